"""Health: `GET /healthz` says that the process is alive, `GET /readyz` that it can work.

A process is ready while SQS and MongoDB answer, the pipeline runs, and messages are received or settled. The parts
report their state as they work, so a request to either address calls no service.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final, Literal

import orjson
from aiohttp import web

from handlers.ports import Clock
from worker.telemetry.build import BUILD
from worker.telemetry.listening_sockets import listening_sockets

Part = Literal["queue", "store", "pipelines"]
PARTS: Final[tuple[Part, ...]] = ("queue", "store", "pipelines")
_ROUND_S: Final = 15


class Health:
    """The last report of each part. Without progress for more than `silence_s_max` the process is not ready."""

    def __init__(self, *, clock: Clock, silence_s_max: float) -> None:
        self.clock = clock
        self._silence_s_max = silence_s_max
        self._reasons: dict[Part, str | None] = dict.fromkeys(PARTS, "starting")
        self._progress_at = clock.monotonic()
        self._watermark: dict[str, Any] | None = None
        self._delivery: dict[str, Any] | None = None

    def mark_healthy(self, part: Part) -> None:
        """The part works."""
        self._reasons[part] = None

    def mark_unhealthy(self, part: Part, reason: str) -> None:
        """The part does not work; `reason` is one line."""
        self._reasons[part] = reason

    def note_progress(self) -> None:
        """A receive call returned, with or without messages, or messages were settled."""
        self._progress_at = self.clock.monotonic()

    def note_watermark(self, time: str | None, reason: str | None) -> None:
        """The watermark, or the reason why there is none. Neither makes the process ready or unready."""
        self._watermark = {"time": time, "reason": reason}

    def note_delivery(self, findings: Sequence[str], untried: Sequence[str]) -> None:
        """What keeps published events from the queue, and what of it could not be looked at, a line each. Neither
        makes the process ready or unready."""
        self._delivery = {"findings": list(findings), "untried": list(untried)}

    def report(self) -> dict[str, Any]:
        """The body of `/readyz`: `{ready, checks: {part: {ok, reason}}, watermark: {time, reason}, delivery: {findings,
        untried}, build}`.

        A check has a `reason` where `ok` is false. `watermark` is null under a policy that keeps none, `delivery` until
        it was looked at. `build` says whether the decisions are compiled or interpreted.
        """
        checks: dict[str, Any] = {part: _check(self._reasons[part]) for part in PARTS}
        silence_s = int(self.clock.monotonic() - self._progress_at)
        silent = silence_s > self._silence_s_max
        checks["progress"] = _check(f"nothing received or settled for {silence_s} s" if silent else None)
        ready = all(check["ok"] for check in checks.values())
        return {
            "ready": ready,
            "checks": checks,
            "watermark": self._watermark,
            "delivery": self._delivery,
            "build": BUILD,
        }


def _check(reason: str | None) -> dict[str, Any]:
    return {"ok": True} if reason is None else {"ok": False, "reason": reason}


@asynccontextmanager
async def serve_health(health: Health, *, host: str, port: int) -> AsyncIterator[int]:
    """Serve both addresses while the context lasts; yields the port. Raises Misconfigured if the port is taken or the
    host is not an address of this machine."""
    app = web.Application()
    app.add_routes([web.get("/healthz", _alive), web.get("/readyz", _ready(health))])
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=1)
    await runner.setup()
    try:
        sockets = await listening_sockets(host, port, setting="HTTP")
        for each in sockets:
            await web.SockSite(runner, each).start()
        async with asyncio.TaskGroup() as tasks:
            closing = tasks.create_task(_close_old_connections(runner, health.clock))
            try:
                yield sockets[0].getsockname()[1]
            finally:
                closing.cancel()
    finally:
        await asyncio.shield(runner.cleanup())


async def _close_old_connections(runner: web.AppRunner, clock: Clock) -> None:
    """Close every connection that was open in the round before, until cancelled: after 15 to 30 s.

    Aiohttp keeps a connection on which no request comes for ever, and each takes a file descriptor from the calls to
    SQS and MongoDB. A probe is answered within milliseconds.
    """
    old: set[web.RequestHandler] = set()
    while True:
        await clock.sleep(_ROUND_S)
        connections = set() if runner.server is None else set(runner.server.connections)
        for connection in old & connections:
            connection.force_close()
        old = connections


async def _alive(_: web.Request) -> web.Response:
    return _json({"status": "alive"}, status=200)


def _ready(health: Health) -> Any:
    async def answer(_: web.Request) -> web.Response:
        report = health.report()
        return _json(report, status=200 if report["ready"] else 503)

    return answer


def _json(body: dict[str, Any], *, status: int) -> web.Response:
    return web.Response(body=orjson.dumps(body) + b"\n", status=status, content_type="application/json")
