"""What the fleet agrees on, in memory: the workers of one process agree, by that process's clock."""

from datetime import datetime, timedelta

from handlers.ports import Clock


class MemoryFleet:
    """`worker.ports.Fleet`. It is never away."""

    def __init__(self, clock: Clock) -> None:
        """No lease is held, and no worker has started."""
        self._clock = clock
        self._leases: dict[str, tuple[str, datetime]] = {}
        self._started_at: datetime | None = None

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
