"""`make fuzz INPUTS=100000 [SEED=…] [TARGET=…]`: numbered inputs for every place where bytes enter, on every core.

The exit status is 1 where an input raises, hangs, or shows content in a reason. The printed line says how to repeat it.
"""

import argparse
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Final

from msgspec import Struct
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from handlers.events.event import RejectionCode
from tests.fuzz.runs import Tally, run
from tests.fuzz.targets import TARGETS

SHARES: Final = {"envelope": 10, "events": 3, "updates": 3, "decide": 2, "captures": 2}
"""Each target's share of twenty inputs, where the run names no target."""
CHUNK: Final = 500
CHUNK_SECONDS_MAX: Final = 120
"""The longest wall time of a chunk. An input of a chunk that takes longer hangs."""
SHOWN_MAX: Final = 10


class Chunk(Struct, frozen=True, kw_only=True):
    """The inputs that a process takes at a time."""

    target: str
    seed: int
    first: int
    count: int


class Hung(Exception):
    """An input did not end in time."""


def work(chunk: Chunk) -> tuple[str, Tally]:
    """Run one chunk under an alarm. An input that hangs is a violation, and the rest goes on."""
    signal.signal(signal.SIGALRM, _hung)
    signal.alarm(CHUNK_SECONDS_MAX)
    try:
        return chunk.target, run(chunk.target, chunk.seed, range(chunk.first, chunk.first + chunk.count))
    finally:
        signal.alarm(0)


def _hung(*_: object) -> None:
    signal.alarm(CHUNK_SECONDS_MAX)
    raise Hung("it hangs")


def chunks(inputs: int, seed: int, first: int, target: str | None) -> Iterator[Chunk]:
    """The whole run as chunks, each target with its share."""
    shares = SHARES if target is None else {target: 1}
    total = sum(shares.values())
    for name, share in shares.items():
        end = first + -(-inputs * share // total)
        for start in range(first, end, CHUNK):
            yield Chunk(target=name, seed=seed, first=start, count=min(CHUNK, end - start))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print the table and the violations, and return the exit status."""
    asked = _asked(arguments)
    console = Console()
    console = Console(width=max(console.width, 132))
    todo = list(chunks(asked.inputs, asked.seed, asked.first, asked.target))
    tallies: dict[str, Tally] = {}
    began = time.monotonic()
    with Progress(console=console, transient=True) as progress, multiprocessing.Pool(asked.processes) as pool:
        task = progress.add_task("inputs", total=sum(chunk.count for chunk in todo))
        for target, tally in pool.imap_unordered(work, todo):
            tallies.setdefault(target, Tally()).add(tally)
            progress.advance(task, tally.inputs)
    console.print(_table(tallies, asked.seed, time.monotonic() - began))
    violations = [one for tally in tallies.values() for one in tally.violations]
    for violation in violations[:SHOWN_MAX]:
        sys.stderr.write(f"{violation}\n")
    if len(violations) > SHOWN_MAX:
        sys.stderr.write(f"and {len(violations) - SHOWN_MAX} more\n")
    return 1 if violations else 0


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--inputs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="number of the first input")
    parser.add_argument("--target", choices=TARGETS)
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    return parser.parse_args(arguments)


def _table(tallies: dict[str, Tally], seed: int, seconds: float) -> Table:
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


def _ends(tally: Tally) -> str:
    letters = {code.value for code in RejectionCode}
    lines = [f"{end} {count:,}" for end, count in tally.ends.most_common() if end not in letters]
    dead = [f"{end} {count:,}" for end, count in tally.ends.most_common() if end in letters]
    return "\n".join([*lines, *([f"dead letters: {', '.join(dead)}"] if dead else [])])


if __name__ == "__main__":
    sys.exit(main())
