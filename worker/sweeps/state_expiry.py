"""State expiry: removes the sync states of pairs that finished long ago, under every policy (docs/rules.md,
*Finished pairs*).

The documents stay: they belong to other services.
"""

from datetime import timedelta
from typing import Final

from worker.ports.sync_states import SyncStatesByAge
from worker.runtime.context import RuntimeContext

REMOVED_MAX: Final = 1_000
"""States removed by one command. The command has a deadline, and the first round may find the states of a year."""
_INTERVAL_S: Final = 1_200.0


class StateExpiry:
    """One for the process. The expiries of several workers may remove the same states."""

    def __init__(self, *, states: SyncStatesByAge, days: int, runtime: RuntimeContext) -> None:
        """A state expires `days` after its pair finished."""
        self._states = states
        self._age = timedelta(days=days)
        self._runtime = runtime

    async def run(self) -> None:
        """Run rounds until cancelled."""
        await self._runtime.run_rounds(self.round, interval_s=_INTERVAL_S)

    async def round(self) -> None:
        """Remove all states that have expired. Raises StoreAway."""
        before = self._runtime.clock.now() - self._age
        total = removed = await self._states.remove_finished(before, REMOVED_MAX)
        while removed == REMOVED_MAX:
            removed = await self._states.remove_finished(before, REMOVED_MAX)
            total += removed
        if total:
            self._runtime.telemetry.log.info("sync states of finished pairs removed", count=total)
