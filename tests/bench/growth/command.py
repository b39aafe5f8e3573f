"""`make bench-growth`: the cost of an event with more lanes, documents, hot conversations, history and messages.

The figures are ratios to the first row of a table, made within a round. Prints the tables of each part as soon as it is
measured; with `--json`, all figures at the end.
`--update` replaces the parts `costs` and `footprint` in a file: `routing-sync size` and `make scale` compute with those
of worker/sizing/measured_costs.json. Each run has a deadline (tests/bench/runs/fleet.py).
"""

import argparse
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
import orjson
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from server_process import ROOT
from tests.bench.growth.costs import measure_costs
from tests.bench.growth.footprint import measure_footprint
from tests.bench.growth.heat import measure_heat
from tests.bench.growth.history import HistoryGrowth, as_json, measure_history
from tests.bench.growth.lanes import COUNTS, LATENCIES_MS, PROCESSES, LanesRow, measure_lanes, shapes
from tests.bench.growth.memory import WAVE, MemoryGrowth, measure_memory
from tests.bench.growth.rates import LATENCY_MS, RATES_PER_S, measure_rates
from tests.bench.growth.store import FEW, MANY, StoreGrowth, measure_store
from tests.bench.growth.tables import (
    costs_table,
    footprint_table,
    history_tables,
    lanes_tables,
    memory_table,
    rows_table,
    store_tables,
)
from tests.bench.loads.workload import LoadKind
from tests.bench.runs.comparison import VariantRow
from tests.bench.runs.fleet import RunFailed
from tests.bench.runs.machine import machine
from tests.bench.runs.servers import BenchServers, running_servers
from worker.sizing.costs import EventCost, Footprint, Measurement

Done = Callable[[], None]
Part = Callable[[BenchServers, argparse.Namespace, Progress], tuple[Any, list[Table]]]
"""Measures one part. Returns its figures for JSON, and its tables."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints. Returns 0, or 1 where a part failed or memory grew."""
    options = _options(arguments)
    measurement = Measurement(
        machine=machine(),
        commit=_commit(),
        date=datetime.now(UTC).date().isoformat(),
        messages=options.messages,
        rounds=options.rounds,
    )
    found: dict[str, Any] = {"measured": {}}
    failed = False
    console = Console()
    console = Console(width=max(console.width, 132))
    if not options.json:
        where = f"{measurement.machine}; commit {measurement.commit}"
        console.print(f"Machine: {where}; {options.messages:,} messages a run, medians of {options.rounds}")
    # Standard output is for the figures, so progress goes to standard error.
    progress = Progress(console=Console(stderr=True), transient=True, redirect_stdout=False)
    with running_servers(latency_ms=0, patience_s=options.patience) as servers, progress:
        for name in options.parts.split(","):
            # The other parts are printed although one failed.
            try:
                found[name], tables = PARTS[name](servers, options, progress)
            except RunFailed as error:
                progress.console.print(f"{name}: {error}", markup=False, highlight=False, soft_wrap=True)
                failed = True
                continue
            found["measured"][name] = msgspec.to_builtins(measurement)
            # Each part is kept as soon as it is measured: the next may take minutes, and be stopped.
            if options.update is not None:
                _update(options.update, found)
            if not options.json:
                progress.stop()
                for table in tables:
                    console.print(table)
                progress.start()
    if options.json:
        sys.stdout.buffer.write(orjson.dumps(found, option=orjson.OPT_INDENT_2) + b"\n")
    return 0 if not failed and found.get("memory", {"flat": True})["flat"] else 1


def _commit() -> str:
    """The commit that is checked out, shortened; marked where files differ from it."""
    command = ["git", "describe", "--always", "--exclude=*", "--dirty=+changes"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def _update(path: Path, found: dict[str, Any]) -> None:
    """Replaces the measured parts in the file, and keeps its other parts."""
    kept: dict[str, Any] = orjson.loads(path.read_bytes()) if path.exists() else {}
    parts = {name: value for name, value in found.items() if name in _SCALED}
    provenance = {**kept.get("measured", {}), **{name: found["measured"][name] for name in parts}}
    path.write_bytes(orjson.dumps({**kept, "measured": provenance, **parts}, option=orjson.OPT_INDENT_2) + b"\n")


def _lanes(servers: BenchServers, options: argparse.Namespace, progress: Progress) -> tuple[Any, list[Table]]:
    kind = _load(options)
    counts = [each for each in COUNTS if each <= options.most]
    among = shapes(counts, [each for each in PROCESSES if each <= options.processes])
    done = _counted(progress, "lanes", len(among) * len(LATENCIES_MS) * options.rounds)
    found: list[LanesRow] = measure_lanes(
        servers, kind, messages=options.messages, rounds=options.rounds, seed=options.seed, among=among, done=done
    )
    return [msgspec.to_builtins(each) for each in found], list(lanes_tables(found, kind.value))


def _rates(servers: BenchServers, options: argparse.Namespace, progress: Progress) -> tuple[Any, list[Table]]:
    kind = _load(options)
    done = _counted(progress, "rates", len(RATES_PER_S) * options.rounds)
    found: list[VariantRow] = measure_rates(
        servers, kind, messages=options.messages, rounds=options.rounds, seed=options.seed, done=done
    )
    title = f"Messages a second; load {kind.value}; a call to SQS takes {LATENCY_MS:.0f} ms"
    return [msgspec.to_builtins(each) for each in found], [rows_table(title, found)]


def _store(servers: BenchServers, options: argparse.Namespace, progress: Progress) -> tuple[Any, list[Table]]:
    kinds = (LoadKind.UNSHARED, LoadKind.SYNCS)
    filling = progress.add_task("documents", total=options.many)
    found: StoreGrowth = measure_store(
        servers,
        kinds,
        messages=options.messages,
        rounds=options.rounds,
        seed=options.seed,
        few=options.few,
        many=options.many,
        cache_gb=options.cache_gb,
        done=_counted(progress, "store", len(kinds) * 2 * options.rounds),
        stored=lambda count: progress.advance(filling, count),
    )
    return msgspec.to_builtins(found), list(store_tables(found))


def _heat(servers: BenchServers, options: argparse.Namespace, progress: Progress) -> tuple[Any, list[Table]]:
    done = _counted(progress, "heat", 4 * options.rounds)
    found: list[VariantRow] = measure_heat(
        servers, messages=options.messages, rounds=options.rounds, seed=options.seed, done=done
    )
    return [msgspec.to_builtins(each) for each in found], [
        rows_table("Hot conversations: half of all events on ten of them", found)
    ]


def _history(servers: BenchServers, options: argparse.Namespace, progress: Progress) -> tuple[Any, list[Table]]:
    found: HistoryGrowth = measure_history(
        servers,
        messages=options.messages,
        rounds=options.rounds,
        seed=options.seed,
        long=options.revisions,
        done=_counted(progress, "history", 3 + 3 * options.rounds),
    )
    wire = {"histories": list(map(as_json, found.histories)), "rows": list(map(msgspec.to_builtins, found.rows))}
    return wire, list(history_tables(found))


def _memory(servers: BenchServers, options: argparse.Namespace, progress: Progress) -> tuple[Any, list[Table]]:
    done = _counted(progress, "memory", options.memory_messages // options.wave)
    found: MemoryGrowth = measure_memory(
        servers, messages=options.memory_messages, seed=options.seed, wave=options.wave, done=done
    )
    return {**msgspec.to_builtins(found), "flat": found.flat}, [memory_table(found)]


def _costs(servers: BenchServers, options: argparse.Namespace, progress: Progress) -> tuple[Any, list[Table]]:
    done = _counted(progress, "costs", len(LoadKind) * options.rounds)
    found: list[EventCost] = measure_costs(
        servers, messages=options.messages, rounds=options.rounds, seed=options.seed, done=done
    )
    return [msgspec.to_builtins(each) for each in found], [costs_table(found)]


def _footprint(servers: BenchServers, options: argparse.Namespace, progress: Progress) -> tuple[Any, list[Table]]:
    done = _counted(progress, "footprint", 2)
    found: Footprint = measure_footprint(servers, messages=options.messages, seed=options.seed, done=done)
    return msgspec.to_builtins(found), [footprint_table(found)]


PARTS: Final[dict[str, Part]] = {
    "lanes": _lanes,
    "rates": _rates,
    "store": _store,
    "heat": _heat,
    "history": _history,
    "memory": _memory,
    "costs": _costs,
    "footprint": _footprint,
}
_SCALED: Final = ("costs", "footprint")
"""The parts that worker/sizing/ computes with."""


def _load(options: argparse.Namespace) -> LoadKind:
    return next(one for one in LoadKind if one.value.startswith(options.load))


def _counted(progress: Progress, name: str, total: int) -> Done:
    task = progress.add_task(name, total=total)
    return lambda: progress.advance(task)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench-growth", description=__doc__)
    parser.add_argument("--parts", default=",".join(PARTS), help="parts in the order to run them")
    parser.add_argument("--messages", type=int, default=1_000, help="messages a run")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of every part but memory")
    parser.add_argument("--seed", type=int, default=1, help="of the loads and of the order of the runs")
    parser.add_argument("--load", default="d", choices="abcd", help="load of the parts lanes and rates, by its letter")
    parser.add_argument("--most", type=int, default=max(COUNTS), help="most lanes and receivers in the part lanes")
    parser.add_argument("--processes", type=int, default=max(PROCESSES), help="most processes in the part lanes")
    parser.add_argument("--few", type=int, default=FEW, help="documents of the small store in the part store")
    parser.add_argument("--many", type=int, default=MANY, help="documents of the large store in the part store")
    parser.add_argument("--cache-gb", type=float, help="cache of mongod in the part store; by default 0.25")
    parser.add_argument("--revisions", type=int, default=10_000, help="events of the long history in the part history")
    parser.add_argument("--memory-messages", type=int, default=200_000, help="messages of the part memory")
    parser.add_argument("--wave", type=int, default=WAVE, help="messages between two memory readings")
    parser.add_argument("--patience", type=float, default=240, help="seconds to wait for a core at full speed, in all")
    parser.add_argument("--update", type=Path, help="file in which to replace the parts costs and footprint")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    options = parser.parse_args(arguments)
    unknown = sorted(set(options.parts.split(",")) - set(PARTS))
    if unknown:
        parser.error(f"no such parts: {', '.join(unknown)}; the parts are {', '.join(PARTS)}")
    return options


if __name__ == "__main__":
    sys.exit(main())
