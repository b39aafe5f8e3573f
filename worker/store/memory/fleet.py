"""What the fleet agrees on, in memory: the workers of one process agree, by that process's clock."""

from datetime import datetime, timedelta

from handlers.ports import Clock
from worker.ports.fleet import Deployment
from worker.ports.sweeps import FleetWatermark, SweepBookmark


class MemoryFleet:
    """`worker.ports.fleet.Fleet` and `worker.ports.sweeps.SweepFleet`. It is never away."""

    def __init__(self, clock: Clock) -> None:
        """No lease is held, and no worker has started."""
        self._clock = clock
        self._leases: dict[str, tuple[str, datetime]] = {}
        self._started_at: datetime | None = None
        self._watermarks: dict[str, tuple[datetime | None, datetime]] = {}
        self._bookmark = SweepBookmark()
        self._deployment: Deployment | None = None

    async def acquire_lease(self, name: str, holder: str, seconds: float) -> bool:
        """Whether `holder` has the lease for the next `seconds`."""
        now = self._clock.now()
        held_by, until = self._leases.get(name, (holder, now))
        if held_by != holder and until > now:
            return False
        self._leases[name] = holder, now + timedelta(seconds=seconds)
        return True

    async def started_at(self) -> datetime:
        """The time of the first call."""
        if self._started_at is None:
            self._started_at = self._clock.now()
        return self._started_at

    async def replace_deployment(self, deployment: Deployment) -> Deployment | None:
        """Keep it; returns the one before."""
        before, self._deployment = self._deployment, deployment
        return before

    async def leave_watermark(self, holder: str, watermark: datetime | None, seconds: float) -> None:
        """The worker lives for the next `seconds`, with this watermark."""
        self._watermarks[holder] = watermark, self._clock.now() + timedelta(seconds=seconds)

    async def fleet_watermark(self) -> FleetWatermark:
        """The live workers and their lowest watermark."""
        now = self._clock.now()
        live = [watermark for watermark, until in self._watermarks.values() if until > now]
        known = [watermark for watermark in live if watermark is not None]
        lowest = min(known) if live and len(known) == len(live) else None
        return FleetWatermark(workers=len(live), lowest=lowest, now=now)

    async def first_start(self) -> datetime | None:
        """The time of the first call of `started_at`."""
        return self._started_at

    async def sweep_bookmark(self) -> SweepBookmark:
        """The bookmark that was kept last."""
        return self._bookmark

    async def keep_sweep_bookmark(self, bookmark: SweepBookmark) -> None:
        """Keep the bookmark."""
        self._bookmark = bookmark
