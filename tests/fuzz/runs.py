"""Runs of numbered inputs. Seed, target and number determine an input, so that each can be repeated."""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from random import Random
from typing import Final

from msgspec import Struct

from tests.fuzz.targets import TARGETS

INPUT_SECONDS_MAX: Final = 1.0
"""The most CPU time that one input may take."""


class InputViolation(Struct, frozen=True, kw_only=True):
    """An input that violated its target's conditions, and how to repeat it."""

    target: str
    seed: int
    number: int
    what: str

    def __str__(self) -> str:
        again = f"make fuzz TARGET={self.target} SEED={self.seed} FROM={self.number} INPUTS=1"
        return f"{self.target}, input {self.number} of seed {self.seed}: {self.what}\n  again: {again}"


@dataclass(slots=True, kw_only=True)
class TargetTally:
    """The results of some inputs of one target."""

    ends: Counter[str] = field(default_factory=Counter)
    slowest_ms: float = 0.0
    slowest: int = -1
    cpu_seconds: float = 0.0
    violations: list[InputViolation] = field(default_factory=list)

    def add(self, other: "TargetTally") -> None:
        """Add another tally's results."""
        self.ends += other.ends
        self.cpu_seconds += other.cpu_seconds
        self.violations += other.violations
        if other.slowest_ms > self.slowest_ms:
            self.slowest_ms, self.slowest = other.slowest_ms, other.slowest

    @property
    def inputs(self) -> int:
        """The number of inputs."""
        return self.ends.total() + len(self.violations)


def run(target: str, seed: int, numbers: Iterable[int]) -> TargetTally:
    """Run the inputs with these numbers. A violation does not stop the rest."""
    tally, feed = TargetTally(), TARGETS[target].feed
    began = time.thread_time()
    for number in numbers:
        start = time.thread_time()
        try:
            tally.ends[feed(Random(f"{seed}/{target}/{number}"))] += 1
        except Exception as fault:  # noqa: BLE001 - a violation is any exception
            what = f"{type(fault).__name__}: {str(fault)[:200]}"
            tally.violations.append(InputViolation(target=target, seed=seed, number=number, what=what))
        seconds = time.thread_time() - start
        if seconds * 1_000 > tally.slowest_ms:
            tally.slowest_ms, tally.slowest = seconds * 1_000, number
        if seconds > INPUT_SECONDS_MAX:
            what = f"it took {seconds:.1f} s"
            tally.violations.append(InputViolation(target=target, seed=seed, number=number, what=what))
    tally.cpu_seconds = time.thread_time() - began
    return tally
