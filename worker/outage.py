"""Whether the store is away, for all who must know: receivers pause, readiness says so, metrics count it.

Whoever asks the store tells here how it went. It takes one answer to end an outage, and somebody always asks: the
lanes that keep a batch, and the relay and the gap poll at their rounds.
"""

import asyncio

from handlers.ports import Clock
from worker.health import Health
from worker.metrics import Metric
from worker.telemetry import Telemetry


class Outage:
    """One for the whole process."""

    def __init__(self, *, clock: Clock, health: Health, telemetry: Telemetry) -> None:
        self._clock = clock
        self._health = health
        self._telemetry = telemetry
        self._over = asyncio.Event()
        self._over.set()

    def begins(self, reason: str) -> None:
        """The store did not answer."""
        self._health.fault("store", f"MongoDB is away: {reason}")
        if self._over.is_set():
            self._over.clear()
            self._telemetry.metrics.count(Metric.STORE_PAUSE)
            self._telemetry.log.error("store away, receiving pauses", reason=reason)

    def ends(self) -> None:
        """The store answered."""
        self._health.well("store")
        if not self._over.is_set():
            self._over.set()
            self._telemetry.log.info("store back, receiving goes on")

    async def over(self) -> None:
        """Wait until the store is not away."""
        await self._over.wait()

    async def over_within(self, seconds: float) -> None:
        """Wait so many seconds, or less where somebody finds the store back before."""
        waits = [asyncio.ensure_future(self._over.wait()), asyncio.ensure_future(self._clock.sleep(seconds))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
