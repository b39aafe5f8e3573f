"""Rounds of what asks the store now and then; each also tells whether the store answers, when no lane asks it."""

from collections.abc import Awaitable, Callable

from handlers.ports import Chance, Clock, StoreAway
from worker.outage import Outage


async def store_rounds(
    work: Callable[[], Awaitable[None]], *, interval_seconds: float, outage: Outage, clock: Clock, chance: Chance
) -> None:
    """Rounds until cancelled, jittered so that workers started together do not stay together."""
    while True:
        await clock.sleep(interval_seconds * (0.5 + chance.random()))
        try:
            await work()
        except StoreAway as away:
            outage.begins(str(away))
        else:
            outage.ends()
