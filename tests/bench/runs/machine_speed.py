"""Whether the cores run at their full speed.

A core of a shared machine takes up to twice the CPU time for a fixed piece of work at times, for seconds, because of
other machines on the same processor. No load average shows that. Runs beside it are no measurement and are repeated.
"""

import os
import time
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

_ADDITIONS: Final = 100_000
_PROBES: Final = 3


class Measured(Protocol):
    """What a run measured."""

    @property
    def disturbed(self) -> bool:
        """Whether a core was slow before or after."""
        ...


M = TypeVar("M", bound=Measured)


class MachineSpeed:
    """Probes the cores that this process may use, a few milliseconds each."""

    def __init__(
        self,
        *,
        calibration_s: float = 5.0,
        slow: float = 1.25,
        patience_s: float = 240.0,
        pause_s: float = 0.2,
        probe: Callable[[int], float] | None = None,
    ) -> None:
        """Takes `calibration_s`: the fastest moment in it is the full speed.

        A core is slow where its probe takes more than `slow` times what the slowest core took at the fastest moment.
        `patience_s`: how long waits and repeated runs may take together; `pause_s`: between two looks. `probe` takes
        the number of a core and returns the CPU seconds of a fixed work on it.
        """
        self._fastest = float("inf")
        self._slow = slow
        self._patience_s = patience_s
        self._pause_s = pause_s
        self._probe = probe or _core_s
        end = time.monotonic() + calibration_s
        while time.monotonic() < end:
            self.full()
            time.sleep(pause_s)

    def full(self) -> bool:
        """Whether every core is at full speed now."""
        cores = os.sched_getaffinity(0)
        try:
            slowest = max(self._probe(core) for core in cores)
        finally:
            os.sched_setaffinity(0, cores)
        self._fastest = min(self._fastest, slowest)
        return slowest <= self._fastest * self._slow

    def wait_until_full(self) -> bool:
        """Waits while the patience lasts. Returns whether every core is at full speed."""
        while True:
            began = time.monotonic()
            if self.full():
                return True
            if self._patience_s <= 0:
                return False
            time.sleep(self._pause_s)
            self._patience_s -= time.monotonic() - began

    def undisturbed(self, run: Callable[[], M]) -> M:
        """The first result of `run` beside which no core was slow, or the last one that the patience allows."""
        while True:
            began = time.monotonic()
            found = run()
            if not found.disturbed or self._patience_s <= 0:
                return found
            self._patience_s -= time.monotonic() - began


def _core_s(core: int) -> float:
    """CPU seconds of the work on a core: the least of some, since a probe is interrupted at times."""
    os.sched_setaffinity(0, {core})
    return min(_work_s() for _ in range(_PROBES))


def _work_s() -> float:
    began = time.thread_time()
    total = 0
    for number in range(_ADDITIONS):
        total += number
    return time.thread_time() - began


ANY_SPEED: Final = MachineSpeed(calibration_s=0, slow=float("inf"))
"""Takes no core for slow: for runs whose figures do not count."""
