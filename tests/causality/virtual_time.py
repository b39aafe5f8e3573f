"""Time as the simulation owns it: coroutines that wait for seconds, run in the order in which these pass.

Nothing else can be waited for. The same coroutines and the same draws give the same run, to the last step.
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
    """The clock of the handlers, and the order in which coroutines go on. `crashed` is called before each step: True
    ends the coroutine there, as a process that dies would."""

    start: datetime
    passed_s: float = 0.0
    _heap: list[tuple[float, int, Work, Callable[[], bool] | None]] = field(default_factory=list)
    _order: Any = field(default_factory=count)

    def now(self) -> datetime:
        """To the millisecond, as the worker's clock."""
        return self.start + timedelta(milliseconds=int(self.passed_s * 1000))

    def monotonic(self) -> float:
        return self.passed_s

    async def sleep(self, seconds: float) -> None:
        """Let others go on for so long."""
        await _Pause(seconds)

    def begin(self, work: Work, *, after_s: float = 0.0, crashed: Callable[[], bool] | None = None) -> None:
        """Start a coroutine."""
        heapq.heappush(self._heap, (self.passed_s + after_s, next(self._order), work, crashed))

    def pass_by(self, seconds: float) -> None:
        """Nothing happens for so long."""
        self.passed_s += seconds

    def run(self) -> None:
        """Until nothing waits any more."""
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
