"""The worker's report for the status page: every few seconds its health and its last decisions, left in the store.

The page is served by another process, which cannot see this one's memory (worker/ports/status.py). A report that cannot
be left is not kept: the next one follows.
"""

import asyncio
import contextlib
import os
import socket
from typing import Final

from handlers.ports import StoreAway
from worker.ports.status import PartHealth, StatusBoard, WorkerReport
from worker.runtime.context import RuntimeContext

_OLD_S: Final = 86_400.0
"""Reports of workers that left none for so long are removed when a worker starts."""
_POST_S_MAX: Final = 1.0
"""How long a stop waits for the report under way, and for the last one."""


def process_name() -> str:
    """The name of this process in its reports: the machine's and the process's, as in the log's lines."""
    return f"{socket.gethostname()}:{os.getpid()}"


class StatusReporter:
    """One for the process."""

    def __init__(self, *, board: StatusBoard, worker: str, interval_s: float, runtime: RuntimeContext) -> None:
        """`worker` is the name of this process, which no other process of the fleet has."""
        self._board = board
        self._worker = worker
        self._interval_s = interval_s
        self._runtime = runtime
        self._started_at = runtime.clock.monotonic()
        self._removed_old = False
        self._posting: asyncio.Future[None] | None = None

    async def run(self) -> None:
        """Leave a report every `interval_s` or so, until cancelled."""
        try:
            await self._runtime.run_rounds(self.round, interval_s=self._interval_s)
        finally:
            await self._end_posting()

    async def round(self) -> None:
        """Leave a report. Raises StoreAway."""
        self._posting = asyncio.ensure_future(self._board.post(self._report()))
        await asyncio.shield(self._posting)
        if not self._removed_old:
            await self._board.remove_old(_OLD_S)
            self._removed_old = True

    async def farewell(self) -> None:
        """Leave the last report, after `run` has ended: this worker has stopped. A store that is away is not waited
        for."""
        with contextlib.suppress(StoreAway, TimeoutError):
            async with asyncio.timeout(_POST_S_MAX):
                await self._board.post(self._report(stopped=True))

    async def _end_posting(self) -> None:
        """Wait for the report under way. A call that is given up may reach the store all the same, and later than the
        farewell."""
        posting = self._posting
        if posting is None:
            return
        await asyncio.wait([posting], timeout=_POST_S_MAX)
        if not posting.done():
            posting.cancel()
            await asyncio.wait([posting])
        if not posting.cancelled():
            # Nobody else reads it, and it is the next report's business.
            posting.exception()

    def _report(self, *, stopped: bool = False) -> WorkerReport:
        health, recent = self._runtime.health.report(), self._runtime.telemetry.decisions
        watermark = health["watermark"] or {"time": None, "reason": None}
        checks = health["checks"].items()
        found = (health["delivery"] or {}).get("findings", [])
        delivery = [PartHealth(part="delivery", reason=line) for line in found]
        return WorkerReport(
            worker=self._worker,
            interval_s=self._interval_s,
            parts=(*(PartHealth(part=part, reason=check.get("reason")) for part, check in checks), *delivery),
            watermark=watermark["time"],
            no_watermark=watermark["reason"],
            decisions=() if recent is None else recent.decisions(),
            drifts=() if recent is None else recent.drifts(),
            dead_letters=() if recent is None else recent.dead_letters.counts(),
            stopped=stopped,
            up_s=round(self._runtime.clock.monotonic() - self._started_at, 1),
        )
