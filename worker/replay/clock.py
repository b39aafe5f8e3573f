"""Time, ids and chance of a replay: none of them the machine's, so that two replays of one capture print the same
bytes.

A conversation's clock shows the highest `publishedAt` met in it so far; an event without one leaves it where it is.
Each conversation has its own, so that what else a capture holds makes no difference to it.
"""

from datetime import UTC, datetime
from typing import Final

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""What a clock shows before any event has said when it was published."""


def later(at: datetime, published_at: datetime | None) -> datetime:
    """What a clock that stood at `at` shows once an event of that time has come; cut off below the millisecond."""
    if published_at is None or published_at <= at:
        return at
    return published_at.replace(microsecond=published_at.microsecond // 1000 * 1000)


class ReplayClock:
    """Stands where it was put."""

    def __init__(self, at: datetime = EPOCH) -> None:
        self.at = at

    def now(self) -> datetime:
        """Aware, UTC."""
        return self.at

    def monotonic(self) -> float:
        """Seconds, as `now` shows them."""
        return (self.at - EPOCH).total_seconds()

    async def sleep(self, seconds: float) -> None:
        """Nobody else writes in a replay, so there is nothing to wait for."""


class CountedIds:
    """1, 2, 3, … as 24 hexadecimal digits."""

    def __init__(self) -> None:
        self._given = 0

    def new(self) -> str:
        """The next one."""
        self._given += 1
        return f"{self._given:024x}"


class NoChance:
    """The same draw every time."""

    def random(self) -> float:
        """Nought."""
        return 0.0
