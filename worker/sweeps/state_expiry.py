"""Removes the sync states of pairs that are long over, under every policy, for every policy keeps them.

Documents stay: they are their owners'.
"""

from datetime import timedelta
from typing import Final

from handlers.ports import Chance, Clock
from worker.ports import WaitingPairs
from worker.runtime.store_availability import StoreAvailability, run_rounds
from worker.telemetry.metrics import Telemetry

FORGOTTEN_MAX: Final = 1_000
"""States removed by one command: it has a deadline, and the first round may find a year's."""
_INTERVAL_SECONDS: Final = 1_200.0


class StateExpiry:
    """One for the process; several workers' may remove the same states."""

    def __init__(
        self,
        *,
        pairs: WaitingPairs,
        days: int,
        store_availability: StoreAvailability,
        clock: Clock,
        chance: Chance,
        telemetry: Telemetry,
    ) -> None:
        self._pairs = pairs
        self._age = timedelta(days=days)
        self._store_availability = store_availability
        self._clock = clock
        self._chance = chance
        self._telemetry = telemetry

    async def run(self) -> None:
        """Rounds until cancelled."""
        await run_rounds(
            self.round,
            interval_seconds=_INTERVAL_SECONDS,
            store_availability=self._store_availability,
            clock=self._clock,
            chance=self._chance,
        )

    async def round(self) -> None:
        """Remove all that finished long enough ago. Raises StoreAway."""
        before = self._clock.now() - self._age
        total = removed = await self._pairs.forget(before, FORGOTTEN_MAX)
        while removed == FORGOTTEN_MAX:
            removed = await self._pairs.forget(before, FORGOTTEN_MAX)
            total += removed
        if total:
            self._telemetry.log.info("sync states of finished pairs removed", count=total)
