"""The runtime context: the services that every part of the process shares, as one value."""

from collections.abc import Awaitable, Callable
from typing import Self

from msgspec import Struct

from handlers.ports import Chance, Clock, StoreAway
from worker.errors import first_line
from worker.runtime.store_availability import StoreAvailability
from worker.telemetry.health import Health
from worker.telemetry.metrics import Telemetry


class RuntimeContext(Struct, frozen=True, kw_only=True):
    """Clock, chance, telemetry, health and store availability of one process. Make it with `create`."""

    clock: Clock
    chance: Chance
    telemetry: Telemetry
    health: Health
    store_availability: StoreAvailability

    @classmethod
    def create(cls, *, clock: Clock, chance: Chance, telemetry: Telemetry, health: Health) -> Self:
        """The context of a process whose store counts as available until a call to it fails."""
        availability = StoreAvailability(clock=clock, health=health, telemetry=telemetry)
        return cls(clock=clock, chance=chance, telemetry=telemetry, health=health, store_availability=availability)

    async def run_rounds(self, work: Callable[[], Awaitable[None]], *, interval_s: float) -> None:
        """Repeat `work`, which calls the store, until cancelled; each round reports whether the store is available.

        The pause before a round is 0.5 to 1.5 times `interval_s`. The jitter keeps workers that started together
        from calling the store together.
        """
        while True:
            await self.clock.sleep(interval_s * (0.5 + self.chance.random()))
            try:
                await work()
            except StoreAway as away:
                self.store_availability.mark_away(first_line(away))
            else:
                self.store_availability.mark_back()
