"""A clock that stands still until the test advances it, and a fixed chance."""

import asyncio
import heapq
from collections.abc import Callable, Sized
from datetime import UTC, datetime, timedelta
from itertools import count

T0 = datetime(2024, 5, 6, 7, 8, 9, 123_000, tzinfo=UTC)


_IDLE_TURNS = 3
"""So many turns of the event loop without a ready task: what one socket sent to another of this process has come."""


async def run_ready_tasks(times: int = 50) -> None:
    """Run the event loop until the ready tasks wait again, `times` turns at most."""
    # asyncio does not say in public whether a callback is ready. Every test in virtual time passes here for each of its
    # seconds, and all turns up to `times` would be most of what it takes.
    ready: Sized = asyncio.get_running_loop()._ready  # type: ignore[attr-defined]
    idle = 0
    for _ in range(times):
        await asyncio.sleep(0)
        idle = 0 if len(ready) else idle + 1
        if idle == _IDLE_TURNS:
            return


async def until(holds: Callable[[], bool]) -> None:
    """Run the event loop until `holds()` is true."""
    for _ in range(10_000):
        if holds():
            return
        await asyncio.sleep(0)
    raise AssertionError("the condition never held")


class FakeClock:
    """Time passes only in `advance`, which wakes each sleeper at its time."""

    def __init__(self) -> None:
        self._now = T0
        self._put_off = timedelta()
        self._sleepers: list[tuple[datetime, int, asyncio.Event]] = []
        self._numbers = count()
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self._now + self._put_off

    def monotonic(self) -> float:
        return (self._now - T0).total_seconds()

    def put(self, seconds: float) -> None:
        """Set the wall clock forward or back; the monotonic clock does not move."""
        self._put_off += timedelta(seconds=seconds)

    def stop(self, seconds: float) -> None:
        """The process is stopped for `seconds`: both clocks go on, and no sleeper is woken meanwhile."""
        self._now += timedelta(seconds=seconds)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        woken = asyncio.Event()
        heapq.heappush(self._sleepers, (self._now + timedelta(seconds=seconds), next(self._numbers), woken))
        await woken.wait()

    async def advance(self, seconds: float) -> None:
        """Let `seconds` pass and wake each sleeper at its time."""
        await run_ready_tasks()
        end = self._now + timedelta(seconds=seconds)
        while self._sleepers and self._sleepers[0][0] <= end:
            wakes_at, _, woken = heapq.heappop(self._sleepers)
            self._now = max(self._now, wakes_at)
            woken.set()
            await run_ready_tasks()
        self._now = end
        await run_ready_tasks()


class AutoAdvancingClock(FakeClock):
    """A clock on which a sleep returns at once and advances the time."""

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._now += timedelta(seconds=seconds)
        await asyncio.sleep(0)


class MiddleChance:
    """Always 0.5: a delay of JitteredBackoff is then three quarters of its ceiling."""

    def random(self) -> float:
        return 0.5
