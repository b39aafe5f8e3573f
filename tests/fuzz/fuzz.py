"""`make fuzz INPUTS=100000 [SEED=…] [TARGET=…] [FROM=…]`: numbered inputs wherever bytes enter, on every core.

The exit status is 1 where an input raises, hangs, or shows content in a reason. The printed line says how to repeat it.
A run that is stopped (Ctrl-C) or killed goes on with the FROM and INPUTS of its last line.
"""

import argparse
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterable, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table

from handlers.events.event import RejectionCode
from tests.fuzz.chunks import Chunk, chunks
from tests.fuzz.runs import TargetTally, run
from tests.fuzz.targets import TARGETS

CHUNK_CPU_SECONDS_MAX: Final = 120
"""The CPU that a chunk may take. An input of a chunk that takes more hangs, however busy the machine is."""
CHUNK_SECONDS_MAX: Final = 3600
"""The longest wall time of a chunk, for an input that waits and takes no CPU."""
PROGRESS_SECONDS: Final = 20
SHOWN_MAX: Final = 10
INTERRUPTED: Final = 130


class Hung(Exception):
    """An input did not end in time."""


class Progress:
    """The tallies so far. Prints a line every twenty seconds, and each violation as soon as it is known."""

    def __init__(self, inputs: int, first: int) -> None:
        self.tallies: dict[str, TargetTally] = {}
        self._end = first + inputs
        self._first = self._next = first
        self._violations = 0
        self._began = self._reported = time.monotonic()

    @property
    def seconds(self) -> float:
        """The wall time since the begin."""
        return time.monotonic() - self._began

    @property
    def violations(self) -> int:
        """The number of violations so far."""
        return self._violations

    def add(self, chunk: Chunk, tally: TargetTally) -> None:
        """Add the tally of the next chunk in the order of the run."""
        self._next = chunk.whole_from
        self.tallies.setdefault(chunk.target, TargetTally()).add(tally)
        for violation in tally.violations:
            self._violations += 1
            if self._violations <= SHOWN_MAX:
                sys.stderr.write(f"{violation}\n")
        if time.monotonic() - self._reported > PROGRESS_SECONDS:
            self._reported = time.monotonic()
            sys.stderr.write(f"{self.line()}\n")

    def line(self) -> str:
        """How far the run is, and how to go on from there."""
        done = sum(tally.inputs for tally in self.tallies.values())
        rate = done / self.seconds
        minutes = (self._end - self._first - done) / rate / 60 if done else 0
        return (
            f"{done:,} of {self._end - self._first:,} inputs, {rate:,.0f} a second, {minutes:.0f} minutes left, "
            f"{self._violations} violations; FROM={self._next} INPUTS={self._end - self._next} goes on here"
        )


def work(chunk: Chunk) -> tuple[Chunk, TargetTally]:
    """Run one chunk under two alarms. An input that hangs is a violation, and the rest goes on."""
    signal.signal(signal.SIGPROF, _hung)
    signal.signal(signal.SIGALRM, _hung)
    _set_alarms(CHUNK_CPU_SECONDS_MAX, CHUNK_SECONDS_MAX)
    try:
        return chunk, run(chunk.target, chunk.seed, range(chunk.first, chunk.first + chunk.count))
    finally:
        _set_alarms(0, 0)


def _set_alarms(cpu_seconds: int, seconds: int) -> None:
    signal.setitimer(signal.ITIMER_PROF, cpu_seconds)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def _hung(*_: object) -> None:
    _set_alarms(CHUNK_CPU_SECONDS_MAX, CHUNK_SECONDS_MAX)
    raise Hung("it hangs")


def run_all(todo: Iterable[Chunk], progress: Progress, processes: int | None) -> bool:
    """Run the chunks, each process one at a time. Returns False where Ctrl-C ended the run."""
    with multiprocessing.Pool(processes, _ignore_interrupts) as pool:
        try:
            for chunk, tally in pool.imap(work, todo):
                progress.add(chunk, tally)
        except KeyboardInterrupt:
            return False
    return True


def _ignore_interrupts() -> None:
    # Ctrl-C goes to every process of the terminal. The first process ends the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print the violations and the table, and return the exit status."""
    asked = _asked(arguments)
    console = Console()
    console = Console(width=max(console.width, 132))
    progress = Progress(asked.inputs, asked.first)
    whole = run_all(chunks(asked.inputs, asked.seed, asked.first, asked.target), progress, asked.processes)
    console.print(_table(progress.tallies, asked.seed, progress.seconds))
    if progress.violations > SHOWN_MAX:
        sys.stderr.write(f"and {progress.violations - SHOWN_MAX} more violations\n")
    if not whole:
        sys.stderr.write(f"stopped: {progress.line()}\n")
        return INTERRUPTED
    return 1 if progress.violations else 0


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--target", choices=TARGETS)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    return parser.parse_args(arguments)


def _table(tallies: dict[str, TargetTally], seed: int, seconds: float) -> Table:
    total = sum(tally.inputs for tally in tallies.values())
    table = Table(title=f"{total:,} inputs of seed {seed} in {seconds:,.0f} s")
    for column in ("target", "inputs", "ends"):
        table.add_column(column, justify="right" if column == "inputs" else "left")
    for column in ("slowest ms", "inputs/s a core", "violations"):
        table.add_column(column, justify="right")
    for target, tally in sorted(tallies.items()):
        rate = tally.inputs / tally.cpu_seconds if tally.cpu_seconds else 0
        slowest = f"{tally.slowest_ms:.1f} (input {tally.slowest})"
        table.add_row(target, f"{tally.inputs:,}", _ends(tally), slowest, f"{rate:,.0f}", str(len(tally.violations)))
    return table


def _ends(tally: TargetTally) -> str:
    letters = {code.value for code in RejectionCode}
    lines = [f"{end} {count:,}" for end, count in tally.ends.most_common() if end not in letters]
    dead = [f"{end} {count:,}" for end, count in tally.ends.most_common() if end in letters]
    return "\n".join([*lines, *([f"dead letters: {', '.join(dead)}"] if dead else [])])


if __name__ == "__main__":
    sys.exit(main())
