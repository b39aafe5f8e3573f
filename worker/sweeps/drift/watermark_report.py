"""The watermark report: each worker leaves its watermark in the store, for the sweep (docs/rules.md, *The sweep*).

An event may be in flight in any worker's queue call, so the sweep goes by the lowest watermark of the fleet. A worker
that has none for the moment leaves its last one: what was sent before it stays delivered. Else a large fleet on a quiet
queue would hardly ever have a watermark of every worker at once. A worker that had none yet holds the sweep up, and one
that died does so until its report expires.
"""

from datetime import datetime
from typing import Final

from handlers.ports import Ids
from worker.ports.sweeps import SweepFleet
from worker.ports.watermark import Watermark
from worker.runtime.context import RuntimeContext

INTERVAL_S: Final = 10.0
LIFETIME_S: Final = 60.0
"""A report counts for so long. A worker that misses some of its rounds still holds the sweep up."""


class WatermarkReport:
    """One for the process."""

    def __init__(self, *, fleet: SweepFleet, watermark: Watermark, ids: Ids, runtime: RuntimeContext) -> None:
        self._fleet = fleet
        self._watermark = watermark
        self._holder = ids.new()
        self._runtime = runtime
        self._last: datetime | None = None

    async def run(self) -> None:
        """Run rounds until cancelled."""
        await self._runtime.run_rounds(self.round, interval_s=INTERVAL_S)

    async def round(self) -> None:
        """Leave the present watermark in the store, or the last one. Raises StoreAway."""
        # The present one counts although it may be lower: the lag of the queue has grown.
        self._last = self._watermark.current() or self._last
        await self._fleet.leave_watermark(self._holder, self._last, LIFETIME_S)
