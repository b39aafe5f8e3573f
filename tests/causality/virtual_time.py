"""Virtual time: runs coroutines that wait for seconds, in the order in which the seconds pass.

A coroutine can wait for nothing else. The same coroutines and the same draws give the same run, step by step.
"""

import heapq
from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

Work = Coroutine[Any, Any, None]


class _Pause:
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __await__(self) -> Generator[float, None, None]:
        yield self._seconds


@dataclass(slots=True)
class VirtualTime:
    """The handlers' clock and the scheduler of the coroutines. `crashed` is called before each step: True ends the
    coroutine there, as the death of its process would."""

    start: datetime
    passed_s: float = 0.0
    _heap: list[tuple[float, int, Work, Callable[[], bool] | None]] = field(default_factory=list)
    _order: Any = field(default_factory=count)

    def now(self) -> datetime:
        """The virtual time, cut to the millisecond as the worker's clock."""
        return self.start + timedelta(milliseconds=int(self.passed_s * 1000))

    def before_start(self, seconds: float) -> datetime:
        """The time so many seconds before the start of the run."""
        return self.start - timedelta(seconds=seconds)

    def monotonic(self) -> float:
        return self.passed_s

    async def sleep(self, seconds: float) -> None:
        """Let the other coroutines run for so many seconds."""
        await _Pause(seconds)

    def begin(self, work: Work, *, after_s: float = 0.0, crashed: Callable[[], bool] | None = None) -> None:
        """Start a coroutine."""
        heapq.heappush(self._heap, (self.passed_s + after_s, next(self._order), work, crashed))

    def pass_by(self, seconds: float) -> None:
        """Let so many virtual seconds pass."""
        self.passed_s += seconds

    def run(self) -> None:
        """Run until no coroutine waits."""
        while self._heap:
            self.passed_s, _, work, crashed = heapq.heappop(self._heap)
            if crashed is not None and crashed():
                work.close()
                continue
            try:
                seconds = work.send(None)
            except StopIteration:
                continue
            heapq.heappush(self._heap, (self.passed_s + seconds, next(self._order), work, crashed))
