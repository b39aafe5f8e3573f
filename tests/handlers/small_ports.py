"""A clock, ids and chance that the tests control."""

from datetime import UTC, datetime, timedelta

START = datetime(2024, 5, 6, 7, 8, 9, 250_000, tzinfo=UTC)
"""The start of the tests' clock, and the publication time of the events of `wire_events`."""


class HandClock:
    """A clock that only sleeps and changes by hand move."""

    def __init__(self, at: datetime = START + timedelta(minutes=1)) -> None:
        self.at = at
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return (self.at - START).total_seconds()

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += timedelta(milliseconds=int(seconds * 1000))


class CountedIds:
    """Ids 1, 2, 3, … as 24 hexadecimal digits."""

    def __init__(self) -> None:
        self.given = 0

    def new(self) -> str:
        self.given += 1
        return f"{self.given:024x}"


class FixedChance:
    """The same draw every time."""

    def __init__(self, draw: float = 0.5) -> None:
        self.draw = draw

    def random(self) -> float:
        return self.draw
