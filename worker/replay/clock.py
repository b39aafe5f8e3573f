"""Time, ids and randomness of a replay. None of them is the machine's, so two replays of one capture print the same
bytes.

A conversation's clock shows the highest `publishedAt` of its events so far; an event without `publishedAt` does not
move it. Each conversation has a clock of its own, so that the other conversations of a capture make no difference.
"""

from datetime import UTC, datetime
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""What a clock shows before the first event with a `publishedAt`."""


def later(at: datetime, published_at: datetime | None) -> datetime:
    """The later of the two times, `published_at` cut off below the millisecond."""
    if published_at is None or published_at <= at:
        return at
    return published_at.replace(microsecond=published_at.microsecond // 1000 * 1000)


class ReplayClock:
    """A clock that stands still; implements `handlers.ports.Clock`."""

    def __init__(self, at: datetime = EPOCH) -> None:
        self.at = at

    def now(self) -> datetime:
        """Aware, UTC."""
        return self.at

    def monotonic(self) -> float:
        """Seconds from the epoch to `now`."""
        return (self.at - EPOCH).total_seconds()

    async def sleep(self, seconds: float) -> None:
        """Return at once: a replay has no other writer to wait for."""


class CountedIds:
    """Ids 1, 2, 3, … as 24 hexadecimal digits; implements `handlers.ports.Ids`."""

    def __init__(self) -> None:
        self._count = 0

    def new(self) -> str:
        """The next id."""
        self._count += 1
        return f"{self._count:024x}"


class NoChance:
    """Randomness that is always 0; implements `handlers.ports.Chance`."""

    def random(self) -> float:
        """0."""
        return 0.0
