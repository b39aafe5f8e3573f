"""`GET /healthz`: the process is alive. `GET /readyz`: queue and store answer, the pipelines run, work moves on.

Asking costs nothing: the answer is what the parts told last, and parts that say nothing for too long are not ready.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, Literal

import orjson
from aiohttp import web

from handlers.ports import Clock
from worker.errors import Misconfigured, first_line

Part = Literal["queue", "store", "pipelines"]
PARTS: Final[tuple[Part, ...]] = ("queue", "store", "pipelines")


class Health:
    """What the parts told last. `silence_seconds_max`: longer without any progress is a fault."""

    def __init__(self, *, clock: Clock, silence_seconds_max: float) -> None:
        self._clock = clock
        self._silence_seconds_max = silence_seconds_max
        self._faults: dict[Part, str | None] = dict.fromkeys(PARTS, "starting")
        self._progress_at = clock.monotonic()

    def mark_healthy(self, part: Part) -> None:
        """The part answers."""
        self._faults[part] = None

    def mark_unhealthy(self, part: Part, reason: str) -> None:
        """The part does not; `reason` in one line."""
        self._faults[part] = reason

    def note_progress(self) -> None:
        """Something was received, or a long poll came back empty, or something was settled."""
        self._progress_at = self._clock.monotonic()

    def report(self) -> dict[str, Any]:
        """`{ready, checks: {part: {ok, reason}}}`."""
        checks: dict[str, Any] = {part: _check(self._faults[part]) for part in PARTS}
        silence_seconds = int(self._clock.monotonic() - self._progress_at)
        silent = silence_seconds > self._silence_seconds_max
        checks["progress"] = _check(f"nothing received or settled for {silence_seconds} s" if silent else None)
        return {"ready": all(check["ok"] for check in checks.values()), "checks": checks}


def _check(fault: str | None) -> dict[str, Any]:
    return {"ok": True} if fault is None else {"ok": False, "reason": fault}


@asynccontextmanager
async def served(health: Health, *, host: str, port: int) -> AsyncIterator[int]:
    """Serve both addresses until the end; the port. Raises Misconfigured where the address cannot be had."""
    app = web.Application()
    app.add_routes([web.get("/healthz", _alive), web.get("/readyz", _ready(health))])
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            line = f"HTTP_HOST {host}, HTTP_PORT {port}: {first_line(error)}: choose another port, or 0 for a free one"
            raise Misconfigured(line) from error
        yield runner.addresses[0][1]
    finally:
        await asyncio.shield(runner.cleanup())


async def _alive(_: web.Request) -> web.Response:
    return _json({"status": "alive"}, status=200)


def _ready(health: Health) -> Any:
    async def answer(_: web.Request) -> web.Response:
        said = health.report()
        return _json(said, status=200 if said["ready"] else 503)

    return answer


def _json(body: dict[str, Any], *, status: int) -> web.Response:
    return web.Response(body=orjson.dumps(body) + b"\n", status=status, content_type="application/json")
