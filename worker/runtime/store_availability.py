"""Whether the store is away, for all who must know: receivers pause, readiness says so, metrics count it.

Whoever asks the store tells here how it went. It takes one answer to end an outage, and somebody always asks: the
lanes that keep a batch, and the relay and the gap poll at their rounds.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from handlers.ports import Chance, Clock, StoreAway
from worker.errors import first_line
from worker.runtime.backoff import JitteredBackoff
from worker.telemetry.health import Health
from worker.telemetry.metrics import Metric, Telemetry

T = TypeVar("T")


class StoreAvailability:
    """One for the whole process."""

    def __init__(self, *, clock: Clock, health: Health, telemetry: Telemetry) -> None:
        self._clock = clock
        self._health = health
        self._telemetry = telemetry
        self._present = asyncio.Event()
        self._present.set()

    def mark_away(self, reason: str) -> None:
        """The store did not answer."""
        self._health.mark_unhealthy("store", f"MongoDB is away: {reason}")
        if self._present.is_set():
            self._present.clear()
            self._telemetry.metrics.count(Metric.STORE_PAUSE)
            self._telemetry.log.error("store away, receiving pauses", reason=reason)

    def mark_back(self) -> None:
        """The store answered."""
        self._health.mark_healthy("store")
        if not self._present.is_set():
            self._present.set()
            self._telemetry.log.info("store back, receiving goes on")

    async def wait_until_back(self) -> None:
        """Wait until the store is not away."""
        await self._present.wait()

    async def retry_while_away(self, work: Callable[[], Awaitable[T]], pause: JitteredBackoff) -> T:
        """What the work on the store yields, begun anew after a pause for as long as it raises StoreAway."""
        attempt = 1
        while True:
            try:
                done = await work()
            except StoreAway as away:
                self.mark_away(first_line(away))
                await self._wait_at_most(pause.after(attempt))
                attempt += 1
            else:
                # What goes through at once may not have asked the store at all, and says nothing of it.
                if attempt > 1:
                    self.mark_back()
                return done

    async def _wait_at_most(self, seconds: float) -> None:
        # Or less, where somebody finds the store back before.
        waits = [asyncio.ensure_future(self._present.wait()), asyncio.ensure_future(self._clock.sleep(seconds))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


async def run_rounds(
    work: Callable[[], Awaitable[None]],
    *,
    interval_seconds: float,
    store_availability: StoreAvailability,
    clock: Clock,
    chance: Chance,
) -> None:
    """Rounds until cancelled, jittered so that workers started together do not stay together."""
    while True:
        await clock.sleep(interval_seconds * (0.5 + chance.random()))
        try:
            await work()
        except StoreAway as away:
            store_availability.mark_away(str(away))
        else:
            store_availability.mark_back()
