"""Rates: how many requests each client may send. Each has a bucket of permits that fills at the rate."""

from typing import Final

from handlers.ports import Clock

_BURST_S: Final = 2.0
"""The time in which an empty bucket is full."""


class RequestRate:
    """One for the process. The clients are the tokens' names, so there are few."""

    def __init__(self, *, per_second: float, clock: Clock) -> None:
        self._per_second = per_second
        self._permits_max = max(per_second * _BURST_S, 1.0)
        self._clock = clock
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, client: str) -> bool:
        """Take a permit of the client's; False: it has none now."""
        now = self._clock.monotonic()
        permits, filled_at = self._buckets.get(client, (self._permits_max, now))
        permits = min(permits + (now - filled_at) * self._per_second, self._permits_max)
        if permits < 1:
            self._buckets[client] = permits, now
            return False
        self._buckets[client] = permits - 1, now
        return True
