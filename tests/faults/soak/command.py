"""`make soak`: workers on real parts at the highest rate that the machine carries, for an hour or as long as asked.

Prints progress on standard error, and a table on standard output, or JSON with `--json`. Exit status 0 where memory and
descriptors are flat and nothing is lost; 1 where they are not, or where a part failed; 130 on Ctrl-C.
"""

import argparse
import contextlib
import io
import math
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import IO, Final

import msgspec
import orjson
from rich.console import Console
from rich.table import Table

from server_process import ServerError, stop_on_signals
from tests.bench.runs.machine import machine
from tests.faults.soak.reading import SoakResult, SystemReading
from tests.faults.soak.soak_run import soak_run
from tests.faults.soak.verdict import Figure, SoakCost, costs, figures, warm_up

_SHOWN: Final = 12
_READINGS_MIN: Final = 10
_GOOD: Final = "Memory, descriptors, threads and connections are flat, and nothing is lost."


def main(arguments: Sequence[str] | None = None) -> int:
    """Soaks, prints, and returns the exit status."""
    options = _options(arguments)
    stop_on_signals()
    began = time.monotonic()

    def report(text: str) -> None:
        sys.stderr.write(f"{time.monotonic() - began:7.1f} s  {text}\n")
        sys.stderr.flush()

    readings: list[SystemReading] = []
    try:
        with (
            _readings_file(options.readings) as file,
            tempfile.TemporaryDirectory(prefix="routing-sync-soak-") as folder,
            soak_run(
                Path(folder),
                report=report,
                took=partial(_keep, readings, file),
                seed=options.seed,
                workers=options.workers,
                backlog=options.backlog,
            ) as run,
        ):
            result = run.live(seconds=options.minutes * 60, interval_s=options.interval)
    except (ServerError, AssertionError, OSError) as error:
        sys.stderr.write(f"{_so_far(readings)}{error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write(f"{_so_far(readings)}interrupted: nothing is known of lost events\n")
        return 130
    return _print(result, as_json=options.json)


def _readings_file(path: Path | None) -> contextlib.AbstractContextManager[IO[bytes] | None]:
    return contextlib.nullcontext() if path is None else path.open("wb")


def _keep(readings: list[SystemReading], file: IO[bytes] | None, reading: SystemReading) -> None:
    readings.append(reading)
    if file is not None:
        file.write(msgspec.json.encode(reading) + b"\n")
        file.flush()


def _so_far(readings: Sequence[SystemReading]) -> str:
    """The figures of a run that did not come to its end; none where there are too few readings for a line."""
    return "" if len(readings) < _READINGS_MIN else tables(SoakResult(readings=readings, counts={}, wrong=[]))


def faults_of(result: SoakResult) -> Iterator[str]:
    """What a soak found: what is not flat, what is lost or broken."""
    for each in figures(result.readings):
        if not each.flat:
            yield (
                f"{each.title} grew by {each.trend.growth:.1f} after the warm-up, allowed are {each.growth_max:.1f}; "
                f"that is {each.trend.per_hour:.1f} an hour"
            )
    yield from result.wrong


def tables(result: SoakResult) -> str:
    """The figures and the counts as a person reads them."""
    text = io.StringIO()
    console = Console(width=120, file=text, highlight=False)
    console.print(_figures_table(list(figures(result.readings)), warm_up(result.readings)))
    console.print(_costs_table(*costs(result.readings)))
    for name, value in result.counts.items():
        console.print(f"{name}: {value:,}" if isinstance(value, int) else f"{name}: {value}", markup=False)
    console.print(f"Machine: {machine()}")
    return text.getvalue()


def _print(result: SoakResult, *, as_json: bool) -> int:
    found = list(faults_of(result))
    if as_json:
        spent = map(msgspec.to_builtins, costs(result.readings))
        shown = {
            "machine": machine(),
            "warmUpS": warm_up(result.readings),
            "figures": [{**msgspec.to_builtins(each), "flat": each.flat} for each in figures(result.readings)],
            "costs": dict(zip(("start", "end", "whole"), spent, strict=True)),
            "counts": result.counts,
            "faults": found,
        }
        sys.stdout.buffer.write(orjson.dumps(shown, option=orjson.OPT_INDENT_2) + b"\n")
    else:
        shown_faults = found if len(found) <= _SHOWN else [*found[:_SHOWN], f"and {len(found) - _SHOWN} more"]
        sys.stdout.write("\n".join([tables(result), *shown_faults, ""] if found else [tables(result), _GOOD, ""]))
    return 1 if found else 0


def _figures_table(some: Sequence[Figure], warm_up_s: float) -> Table:
    table = Table(title=f"Line fitted after a warm-up of {warm_up_s:.0f} s")
    for column in ("figure", "first", "last", "median", "an hour", "growth", "allowed", ""):
        table.add_column(column, justify="left" if column in ("figure", "") else "right")
    for each in some:
        fitted = each.trend
        numbers = (fitted.first, fitted.last, fitted.level, fitted.per_hour, fitted.growth)
        allowed = "" if each.growth_max is None else f"{each.growth_max:.1f}"
        judged = "" if each.growth_max is None else "flat" if each.flat else "GROWS"
        table.add_row(each.title, *(f"{number:,.1f}" for number in numbers), allowed, judged)
    return table


def _costs_table(start: SoakCost, end: SoakCost, whole: SoakCost) -> Table:
    table = Table(title="Rate, and processor milliseconds an event")
    for column in ("", "events", "a second", "workers", "LocalStack", "mongod", "load", "load average"):
        table.add_column(column, justify="right" if column else "left")
    for name, each in (("start", start), ("end", end), ("whole run", whole)):
        spent = (each.workers_ms, each.queue_server_ms, each.mongod_ms, each.load_ms)
        table.add_row(
            name,
            f"{each.events:,}",
            f"{each.per_second:.1f}",
            *(f"{ms:.2f}" for ms in spent),
            f"{each.load_average:.1f}",
        )
    return table


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=60, help="how long the load lasts (60)")
    parser.add_argument("--seed", type=int, default=1, help="of the load (1)")
    parser.add_argument("--workers", type=int, default=2, help="worker processes (2)")
    parser.add_argument("--backlog", type=int, default=600, help="events in flight at which the load waits (600)")
    parser.add_argument("--interval", type=float, default=5, help="seconds between two readings (5)")
    parser.add_argument("--readings", type=Path, help="keep every reading in this file, one JSON object a line")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    options = parser.parse_args(arguments)
    taken = math.floor(options.minutes * 60 / options.interval)
    if taken < _READINGS_MIN:
        least = math.ceil(_READINGS_MIN * options.interval / 60)
        parser.error(
            f"--minutes {options.minutes:g} leaves {taken} readings: take at least {least} minutes, "
            "or a shorter --interval"
        )
    return options


if __name__ == "__main__":
    sys.exit(main())
