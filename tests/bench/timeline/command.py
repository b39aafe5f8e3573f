"""`make bench-timeline`: import and timeline of 100,000 captured events: time, memory, and how soon Ctrl-C ends them.

The captures are the two incidents over and over, with new ids: one of many pairs, and one of a single pair with as many
revisions. Prints a table. Exit status 1 where a bound is broken.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Final

from msgspec import Struct
from rich.console import Console

from tests.bench.markdown import markdown_table
from tests.bench.runs.machine import machine
from tests.bench.timeline.captures import many_pairs, one_pair

SECONDS_MAX: Final = 180
RESIDENT_BYTES_MAX: Final = 300_000_000
INTERRUPT_S_MAX: Final = 1.0
_COMMAND: Final = [sys.executable, "-c", "from worker.cli.main import main; main()"]
_IMPORT: Final = ("import", "--json")
_VERBS: Final[Sequence[Sequence[str]]] = (
    ("timeline",),
    ("timeline", "--json"),
    ("timeline", "--markdown"),
)


class TimelineFigures(Struct, frozen=True, kw_only=True):
    """One run. `resident_bytes`: the most that the process held."""

    name: str
    seconds: float
    cpu_s: float
    resident_bytes: int
    status: int

    @property
    def broken(self) -> bool:
        """Whether a bound is broken."""
        return bool(self.status) or self.seconds > SECONDS_MAX or self.resident_bytes > RESIDENT_BYTES_MAX


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=100_000)
    events: int = parser.parse_args(arguments).events
    with tempfile.TemporaryDirectory() as folder:
        captures = {"many pairs": Path(folder) / "many.ndjson", "one pair": Path(folder) / "one.ndjson"}
        # Line by line: a process that is started has the memory of its parent as its least maximum.
        with captures["many pairs"].open("wb") as file:
            file.writelines(many_pairs(events))
        with captures["one pair"].open("wb") as file:
            file.writelines(one_pair(events))
        figures = list(_figures(captures))
        interrupted = list(_interruptions(captures["many pairs"]))
    table = markdown_table(
        f"Import and timeline of {events:,} events", "run", "seconds", "seconds of CPU", "MB at most"
    )
    for each in figures:
        row = (each.name, f"{each.seconds:.1f}", f"{each.cpu_s:.1f}", f"{each.resident_bytes / 1e6:.0f}")
        table.add_row(*row)
    console = Console(width=120)
    console.print(machine())
    console.print(table)
    for verb, after, seconds, status in interrupted:
        console.print(f"Ctrl-C in {verb} after {after:g} s: ended {seconds:.2f} s later, status {status}")
    late = any(seconds > INTERRUPT_S_MAX or status != 130 for _, _, seconds, status in interrupted)
    return int(late or any(each.broken for each in figures))


def _figures(captures: dict[str, Path]) -> Iterator[TimelineFigures]:
    for name, capture in captures.items():
        # Of a conversation, each event has personal data: an import of the single pair measures the stand-ins.
        for verb in (_IMPORT, *_VERBS) if name == "many pairs" else _VERBS:
            began = time.monotonic()
            process = subprocess.Popen([*_COMMAND, *verb, str(capture)], stdout=subprocess.DEVNULL)
            _, status, use = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            yield TimelineFigures(
                name=f"{name}, {' '.join(verb)}",
                seconds=time.monotonic() - began,
                cpu_s=use.ru_utime + use.ru_stime,
                resident_bytes=use.ru_maxrss * 1024,
                status=process.returncode,
            )


def _interruptions(capture: Path) -> Iterator[tuple[str, float, float, int]]:
    """For moments of a run: the verb, the moment, the seconds to the end after Ctrl-C, and the exit status."""
    for verb, after in product(("import", "timeline"), (2.0, 10.0)):
        process = subprocess.Popen([*_COMMAND, verb, str(capture)], stdout=subprocess.DEVNULL)
        try:
            process.wait(after)
        except subprocess.TimeoutExpired:
            began = time.monotonic()
            process.send_signal(signal.SIGINT)
            process.wait()
            yield verb, after, time.monotonic() - began, process.returncode


if __name__ == "__main__":
    sys.exit(main())
