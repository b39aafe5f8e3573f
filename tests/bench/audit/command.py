"""`make bench-audit`: what the kept audit (`AUDIT_DAYS`) adds to an event, as ratio to one without it.

The worker's parser and handlers run on a real mongod, in batches: without a queue. Each round handles the same events
once with the kept audit and once without, each on a database of its own, in turns. The ratio is made within a round; of
the rounds the median counts, as the machines are shared. Load b changes no shared field and so keeps no record.
"""

import argparse
import asyncio
import gc
import statistics
import sys
import time
from collections.abc import Sequence
from itertools import count
from typing import Any, Final

from msgspec import Struct
from pydantic import SecretStr
from pymongo import MongoClient
from rich.console import Console
from rich.progress import Progress

from handlers.batch_handler import BatchHandler
from handlers.events.event import Event
from handlers.events.parser import read_message
from handlers.options import Options
from mongod import Mongod
from tests.bench.loads.workload import LoadKind, Workload, workload
from tests.bench.markdown import markdown_table
from tests.bench.runs.machine import machine
from tests.bench.runs.store_use import cpu_s
from tests.handlers.small_ports import FixedChance
from worker.mongo.client import mongo_client
from worker.mongo.store import MongoStore
from worker.runtime.clock import ObjectIds, SystemClock
from worker.store.documents import Collection

ROUNDS: Final = 11
EVENTS: Final = 1_000
BATCH: Final = 20
DAYS: Final = 30
_DEADLINE_S: Final = 60.0
_LOADS: Final = (LoadKind.UNSHARED, LoadKind.SYNCS)
_databases = count(1)


class RunCost(Struct, frozen=True, kw_only=True):
    """One run. CPU and time an event, in microseconds; `mongod_us`: mongod's CPU. `kept`: the records. `stored_bytes`
    and `index_bytes`: of all kept records, uncompressed, and of their indexes."""

    cpu_us: float
    mongod_us: float
    wall_us: float
    kept: int = 0
    stored_bytes: int = 0
    index_bytes: int = 0


class AuditCost(Struct, frozen=True, kw_only=True):
    """A load: the median of the runs without and with the kept audit, and of the ratios made within each round."""

    load: str
    off: RunCost
    on: RunCost
    cpu_ratio: float
    mongod_ratio: float
    wall_ratio: float


def measure_audit(
    mongod: Mongod, *, events: int = EVENTS, rounds: int = ROUNDS, seed: int = 1, progress: Any = lambda: None
) -> list[AuditCost]:
    """Every load with and without. `progress` is called after each run."""
    found: list[AuditCost] = []
    with MongoClient[dict[str, Any]](mongod.uri) as mongo:
        for kind in _LOADS:
            load = workload(kind, events, seed=seed, warm_up=0)
            pairs: list[dict[int, RunCost]] = []
            for number in range(rounds):
                costs: dict[int, RunCost] = {}
                for days in (0, DAYS) if number % 2 else (DAYS, 0):
                    costs[days] = _measured(mongod, mongo, load, days)
                    progress()
                pairs.append(costs)
            found.append(_cost(kind.value, pairs))
    return found


def _cost(load: str, rounds: Sequence[dict[int, RunCost]]) -> AuditCost:
    def ratio(name: str) -> float:
        return float(statistics.median(getattr(each[DAYS], name) / getattr(each[0], name) for each in rounds))

    def middle(days: int) -> RunCost:
        return sorted((each[days] for each in rounds), key=lambda cost: cost.cpu_us)[len(rounds) // 2]

    return AuditCost(
        load=load,
        off=middle(0),
        on=middle(DAYS),
        cpu_ratio=ratio("cpu_us"),
        mongod_ratio=ratio("mongod_us"),
        wall_ratio=ratio("wall_us"),
    )


def _measured(mongod: Mongod, mongo: MongoClient[dict[str, Any]], load: Workload, days: int) -> RunCost:
    name = f"bench_audit_{next(_databases)}"
    try:
        return asyncio.run(_run(mongod, mongo, load, days, name))
    finally:
        mongo.drop_database(name)


async def _run(mongod: Mongod, mongo: MongoClient[dict[str, Any]], load: Workload, days: int, name: str) -> RunCost:
    for collection, documents in load.documents.items():
        if documents:
            mongo[name][collection].insert_many([dict(each) for each in documents], ordered=False)
    async with mongo_client(SecretStr(mongod.uri), _DEADLINE_S) as client:
        store = MongoStore(client, name, clock=SystemClock(), ids=ObjectIds(), deadline_s=_DEADLINE_S)
        await store.ensure_indexes(revision_days=400, audit_days=days)
        handler = BatchHandler(
            store=store,
            clock=SystemClock(),
            ids=ObjectIds(),
            chance=FixedChance(),
            options=Options(keeps_audit=days > 0),
        )
        gc.collect()
        mongod_s, began_s, began = cpu_s(mongod.pid), time.monotonic(), time.process_time()
        for start in range(0, len(load.bodies), BATCH):
            batch = [read_message(body) for body in load.bodies[start : start + BATCH]]
            await handler.handle([event for event in batch if isinstance(event, Event)])
        own_s, wall_s = time.process_time() - began, time.monotonic() - began_s
        mongod_s = cpu_s(mongod.pid) - mongod_s
    each = 1_000_000 / len(load.bodies)
    cost = RunCost(cpu_us=own_s * each, mongod_us=mongod_s * each, wall_us=wall_s * each)
    kept = mongo[name][Collection.SYNC_AUDIT].estimated_document_count()
    if not kept:
        return cost
    assert days, "records were kept without AUDIT_DAYS"
    mongo.admin.command("fsync")
    stats = mongo[name].command("collStats", Collection.SYNC_AUDIT.value)
    return RunCost(
        cpu_us=cost.cpu_us,
        mongod_us=cost.mongod_us,
        wall_us=cost.wall_us,
        kept=kept,
        stored_bytes=stats["size"],
        index_bytes=stats["totalIndexSize"],
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints. Returns 0 whatever the ratios."""
    parser = argparse.ArgumentParser(prog="make bench-audit", description=__doc__)
    parser.add_argument("--events", type=int, default=EVENTS, help="events a run")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seed", type=int, default=1, help="of the loads")
    options = parser.parse_args(arguments)
    with Mongod() as mongod, Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("runs", total=2 * options.rounds * len(_LOADS))
        found = measure_audit(
            mongod,
            events=options.events,
            rounds=options.rounds,
            seed=options.seed,
            progress=lambda: progress.advance(task),
        )
    _print(found, options)
    return 0


def _print(found: Sequence[AuditCost], options: argparse.Namespace) -> None:
    title = (
        f"An event without and with AUDIT_DAYS={DAYS}: microseconds, and the median of the ratios within a round "
        f"({options.rounds} rounds of {options.events} events)"
    )
    table = markdown_table(title, "", "CPU", "mongod's CPU", "time", "records", "bytes a record", "with indexes")
    for each in found:
        on = each.on
        table.add_row(
            each.load,
            f"{each.off.cpu_us:,.0f} to {on.cpu_us:,.0f} {each.cpu_ratio:6.2f}",
            f"{each.off.mongod_us:,.0f} to {on.mongod_us:,.0f} {each.mongod_ratio:6.2f}",
            f"{each.off.wall_us:,.0f} to {on.wall_us:,.0f} {each.wall_ratio:6.2f}",
            f"{on.kept:,}",
            f"{on.stored_bytes / on.kept:,.0f}" if on.kept else "-",
            f"{(on.stored_bytes + on.index_bytes) / on.kept:,.0f}" if on.kept else "-",
        )
    console = Console()
    console = Console(width=max(console.width, 160))
    console.print(table)
    console.print(f"Machine: {machine()}", highlight=False)


if __name__ == "__main__":
    sys.exit(main())
