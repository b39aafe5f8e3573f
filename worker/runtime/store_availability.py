"""Store availability: whether MongoDB is away, for the receivers, the readiness check and the metrics.

Every part that calls the store reports the result here, and one successful call ends an outage. The end of an outage is
always noticed, because the lanes repeat their batches and the relay and the sweeps call the store in each round.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from handlers.ports import Clock, StoreAway
from worker.errors import first_line
from worker.runtime.backoff import JitteredBackoff
from worker.telemetry.health import Health
from worker.telemetry.metrics import Metric, Telemetry

T = TypeVar("T")

_STEADY_S: Final = 30.0
"""The metric calls the store away for so long after the last failure: one that comes and goes is away."""


class StoreAvailability:
    """One for the process. The store counts as available until `mark_away`."""

    def __init__(self, *, clock: Clock, health: Health, telemetry: Telemetry) -> None:
        self._clock = clock
        self._health = health
        self._telemetry = telemetry
        self._available = asyncio.Event()
        self._available.set()
        self._failed_at: float | None = None

    def mark_away(self, reason: str) -> None:
        """A call to the store raised StoreAway; `reason` is one line. Only the first of an outage is logged and
        counted."""
        self._failed_at = self._clock.monotonic()
        self._telemetry.metrics.gauge(Metric.STORE_AWAY, 1)
        self._health.mark_unhealthy("store", f"MongoDB is away: {reason}")
        if self._available.is_set():
            self._available.clear()
            self._telemetry.metrics.count(Metric.STORE_PAUSE)
            self._telemetry.log.error("store away, receiving pauses", reason=reason)

    def mark_back(self) -> None:
        """A call to the store succeeded."""
        self._health.mark_healthy("store")
        self._telemetry.metrics.gauge(Metric.STORE_AWAY, int(not self.has_worked_for(_STEADY_S)))
        if not self._available.is_set():
            self._available.set()
            self._telemetry.log.info("store back, receiving goes on")

    @property
    def is_away(self) -> bool:
        """Whether the last call to the store failed."""
        return not self._available.is_set()

    def has_worked_for(self, seconds: float) -> bool:
        """Whether no call to the store has failed within the last `seconds`.

        A store that takes reads and refuses writes is away and back within a second, again and again: one outage.
        """
        return self._failed_at is None or self._clock.monotonic() - self._failed_at > seconds

    async def wait_until_back(self) -> None:
        """Return at once while the store is available, else when it is back."""
        await self._available.wait()

    async def retry_while_away(self, work: Callable[[], Awaitable[T]], pause: JitteredBackoff) -> T:
        """The result of `work`, which is called again, after a growing pause, as long as it raises StoreAway."""
        attempt = 1
        while True:
            try:
                result = await work()
            except StoreAway as away:
                self.mark_away(first_line(away))
                await self._wait_at_most(pause.after(attempt))
                attempt += 1
            else:
                # A first attempt may succeed without a call to the store, so its success does not end an outage.
                if attempt > 1:
                    self.mark_back()
                return result

    async def _wait_at_most(self, seconds: float) -> None:
        """Wait for the pause, or until another part finds the store back."""
        waits = [asyncio.ensure_future(self._available.wait()), asyncio.ensure_future(self._clock.sleep(seconds))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
