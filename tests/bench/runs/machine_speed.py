"""Whether the cores run at their full speed.

A core of a shared machine takes up to twice the CPU time for a fixed piece of work at times, for seconds, because of
other machines on the same processor. No load average shows that. Runs beside it are no measurement and are repeated.
"""

import os
import time
from collections.abc import Callable
from typing import Final

_ADDITIONS: Final = 100_000
_PROBES: Final = 3


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
        `patience_s`: how long `wait_until_full` waits in all, whatever the number of its calls; `pause_s`: between two
        looks. `probe` takes the number of a core and returns the CPU seconds of a fixed work on it.
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
            if not self.patient:
                return False
            time.sleep(self._pause_s)
            self.spend(time.monotonic() - began)

    @property
    def patient(self) -> bool:
        """Whether it is still worth while to wait, and to repeat a disturbed run."""
        return self._patience_s > 0

    def spend(self, seconds: float) -> None:
        """Take the time of a wait, or of a run that is repeated, off the patience."""
        self._patience_s -= seconds


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
