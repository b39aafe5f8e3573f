"""`make bench-sweep`: the sweep of a million documents: time, memory, and its load on mongod.

One pair in a thousand has lost its last event. The first full sweep repairs them, the second finds nothing. Then one
pair in a hundred is written, and a sweep by time of writing looks at those. Beside each sweep, and before it, a client
reads and writes one document at a time: its latency shows what the sweep leaves to the events. mongod's counters show
its load, and its profiler which indexes served the sweep.

Prints tables. Exit status 1 where a bound is broken, where a repair is missing, and where a query read a whole
collection or sorted in memory.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Event, Thread
from typing import Any, Final

import orjson
from msgspec import Struct
from pydantic import SecretStr
from pymongo import MongoClient, UpdateOne
from pymongo.write_concern import WriteConcern
from rich.console import Console
from rich.progress import Progress

from commands.instant import format_instant
from mongod import Mongod
from tests.bench.loads.many_pairs import put_pairs
from tests.bench.markdown import markdown_table
from tests.bench.runs.machine import machine
from tests.bench.runs.store_use import StoreUse
from tests.bench.sweep.mongod_load import PROFILED_SHARE, Operations, ProfiledPlan, profiled, profiled_plans
from worker.mongo.client import mongo_client
from worker.mongo.store import MongoStore
from worker.runtime.clock import ObjectIds, SystemClock
from worker.store.documents import Collection

SECONDS_MAX: Final = 600
RESIDENT_BYTES_MAX: Final = 200_000_000
DRIFTED_EACH: Final = 1_000
"""One pair of so many has drifted."""
_DATABASE: Final = "sweep"
_PAIRS_WITH_SESSIONS: Final = 1_000
WRITTEN_EACH: Final = 100
"""One pair of so many is written before the sweep by time of writing."""
_WRITTEN_AT_ONCE: Final = 1_000
_IDLE_S: Final = 10.0
_INDEX_S_MAX: Final = 600.0


class Latency(Struct, frozen=True, kw_only=True):
    """Milliseconds of one read and one write by id, beside the sweep."""

    median: float
    p99: float


class SweepFigures(Struct, frozen=True, kw_only=True):
    """One sweep. `use`: of mongod, the latency's client included."""

    name: str
    seconds: float
    resident_bytes: int
    cpu_s: float
    repaired: int
    left: int
    use: StoreUse
    operations: Operations
    latency: Latency
    plans: Sequence[ProfiledPlan]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints. Returns 0, or 1 where a bound is broken."""
    options = _options(arguments)
    pairs = options.documents // 2
    with Mongod() as mongod, MongoClient[dict[str, Any]](mongod.uri) as mongo:
        _fill(mongo, pairs)
        with _pings(mongo) as idle:
            time.sleep(_IDLE_S)
        full = [_measure(name, mongod, mongo, "--all") for name in ("the first, with repairs", "the second")]
        written = _write_some(mongo, pairs)
        since = _measure("by time of writing", mongod, mongo)
    figures = [*full, since]
    _print(figures, idle(), documents=2 * pairs, written=written)
    _print_plans(figures)
    per_million = 1_000_000 / (2 * pairs)
    first, second = full
    expected = -(-pairs // DRIFTED_EACH)
    is_kept = all(each.seconds * per_million <= SECONDS_MAX for each in full)
    is_small = all(each.resident_bytes <= RESIDENT_BYTES_MAX for each in figures)
    is_right = (first.repaired, first.left, second.repaired, second.left) == (expected, 0, 0, 0)
    is_indexed = not any(plan.is_bad for each in figures for plan in each.plans)
    return 0 if is_kept and is_small and is_right and is_indexed else 1


def _fill(mongo: MongoClient[dict[str, Any]], pairs: int) -> None:
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("filling", total=3 * pairs)
        put_pairs(
            mongo,
            _DATABASE,
            pairs,
            with_sessions=_PAIRS_WITH_SESSIONS,
            done=lambda count: progress.advance(task, count),
        )
    asyncio.run(_make_indexes(mongo))
    _drift(mongo, pairs)


async def _make_indexes(mongo: MongoClient[dict[str, Any]]) -> None:
    """Those of a worker that sweeps."""
    host, port = mongo.address or ("", 0)
    uri = SecretStr(f"mongodb://{host}:{port}/?directConnection=true")
    async with mongo_client(uri, _INDEX_S_MAX) as client:
        store = MongoStore(client, _DATABASE, clock=SystemClock(), ids=ObjectIds(), deadline_s=_INDEX_S_MAX)
        await store.ensure_indexes(revision_days=0, by_time_of_writing=True)


def _write_some(mongo: MongoClient[dict[str, Any]], pairs: int) -> int:
    """Some conversations are written now, and their events come; how many."""
    conversations = mongo[_DATABASE][Collection.CONVERSATIONS]
    ids = [each["_id"] for each in conversations.find({}, {"_id": 1}).sort("_id").limit(pairs)][::WRITTEN_EACH]
    now = format_instant(datetime.now(UTC))
    for start in range(0, len(ids), _WRITTEN_AT_ONCE):
        of_some = {"_id": {"$in": ids[start : start + _WRITTEN_AT_ONCE]}}
        conversations.update_many(of_some, {"$set": {"attributes.updatedAt": now}})
    return len(ids)


def _drift(mongo: MongoClient[dict[str, Any]], pairs: int) -> None:
    """The last event of some conversations is lost: a revision more, and another status."""
    changes: list[UpdateOne] = []
    for number, each in enumerate(mongo[_DATABASE][Collection.CONVERSATIONS].find({}, {"rev": 1}).sort("_id")):
        if number % DRIFTED_EACH == 0:
            rev = each["rev"] + 1
            change = {"rev": rev, "attributes.rev": rev, "attributes.status": "snoozed"}
            changes.append(UpdateOne({"_id": each["_id"]}, {"$set": change}))
    assert len(changes) == -(-pairs // DRIFTED_EACH)
    mongo[_DATABASE][Collection.CONVERSATIONS].bulk_write(changes, ordered=False)


def _measure(name: str, mongod: Mongod, mongo: MongoClient[dict[str, Any]], *arguments: str) -> SweepFigures:
    before, counted = StoreUse.now(mongod, mongo, _DATABASE), Operations.now(mongo)
    began = time.monotonic()
    with _pings(mongo) as latency, profiled(mongo[_DATABASE]):
        process = subprocess.Popen([*_COMMAND, *arguments], env=_environment(mongod.uri), stdout=subprocess.PIPE)
        assert process.stdout is not None
        with _peak_memory(process.pid) as resident_bytes:
            lines = [orjson.loads(line) for line in process.stdout]
        _, _, used = os.wait4(process.pid, 0)
        process.returncode = 0
    seconds = time.monotonic() - began
    use, operations = StoreUse.now(mongod, mongo, _DATABASE).since(before), Operations.now(mongo).since(counted)
    ends = [line["end"] for line in lines[:-1] if line["drift"] != "LEFT_IN_OUTBOX"]
    # No worker publishes here.
    mongo[_DATABASE][Collection.OUTBOX].delete_many({})
    figures = SweepFigures(
        name=name,
        seconds=seconds,
        resident_bytes=resident_bytes(),
        cpu_s=used.ru_utime + used.ru_stime,
        repaired=ends.count("repaired"),
        left=len(ends) - ends.count("repaired"),
        use=use,
        operations=operations,
        latency=latency(),
        plans=profiled_plans(mongo[_DATABASE]),
    )
    # A run takes up to half an hour: what is known already is not lost when it is stopped.
    mb = figures.resident_bytes / 1e6
    done = f"{name}: {seconds:,.0f} s, {mb:,.0f} MB, {figures.cpu_s:,.0f} s of CPU, {use.cpu_s:,.0f} s of mongod's"
    sys.stderr.write(f"{done}, {figures.repaired:,} repaired, load {os.getloadavg()[0]:.1f}\n")
    return figures


@contextmanager
def _peak_memory(pid: int) -> Iterator[Callable[[], int]]:
    """Yields the function that returns the largest resident memory of the process, as Linux notes it.

    `ru_maxrss` would not do: it counts what this process had when it made the other one.
    """
    stopping, status = Event(), Path(f"/proc/{pid}/status")
    peaks = [0]

    def read() -> None:
        while not stopping.wait(0.2):
            # A process that has ended has no such line.
            peaks.extend(
                int(line.split()[1]) * 1_024 for line in status.read_text().splitlines() if line.startswith("VmHWM:")
            )

    thread = Thread(target=read)
    thread.start()
    try:
        yield lambda: max(peaks)
    finally:
        stopping.set()
        thread.join()


@contextmanager
def _pings(mongo: MongoClient[dict[str, Any]]) -> Any:
    """Reads and writes one document at a time meanwhile; yields the function that returns their latency."""
    stopping, found = Event(), list[float]()
    pings = mongo[_DATABASE].get_collection("pings", write_concern=WriteConcern("majority"))
    pings.update_one({"_id": 1}, {"$inc": {"count": 1}}, upsert=True)

    def ping() -> None:
        while not stopping.wait(0.02):
            began = time.perf_counter()
            pings.find_one({"_id": 1})
            pings.update_one({"_id": 1}, {"$inc": {"count": 1}})
            found.append((time.perf_counter() - began) * 1_000)

    def latency() -> Latency:
        return Latency(median=statistics.median(found), p99=statistics.quantiles(found, n=100)[98])

    thread = Thread(target=ping)
    thread.start()
    try:
        yield latency
    finally:
        stopping.set()
        thread.join()


_COMMAND: Final = (str(Path(sys.executable).parent / "routing-sync"), "sweep", "--quiet-queue", "--json")


def _environment(uri: str) -> dict[str, str]:
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        "AWS_REGION": "us-east-1",
        "SNS_CONVERSATION_TOPIC_ARN": "arn:aws:sns:us-east-1:000000000000:conversations",
        "SNS_WORK_ITEM_TOPIC_ARN": "arn:aws:sns:us-east-1:000000000000:work-items",
        "SQS_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/000000000000/events",
        "MONGODB_URI": uri,
        "MONGODB_DATABASE": _DATABASE,
    }


def _print(figures: Sequence[SweepFigures], idle: Latency, *, documents: int, written: int) -> None:
    title = f"Full sweeps of {documents:,} documents, and a sweep of {written:,} that were written"
    table = markdown_table(title, "", *(each.name for each in figures))
    rows: dict[str, Callable[[SweepFigures], str]] = {
        "seconds": lambda each: f"{each.seconds:,.0f}",
        "memory of the process, MB": lambda each: f"{each.resident_bytes / 1e6:,.0f}",
        "CPU of the process, s": lambda each: f"{each.cpu_s:,.0f}",
        "repaired": lambda each: f"{each.repaired:,}",
        "CPU of mongod, s": lambda each: f"{each.use.cpu_s:,.0f}",
        "mongod's share of one core": lambda each: f"{each.use.cpu_s / each.seconds:.0%}",
        "reads of mongod a second": lambda each: (
            f"{(each.operations.queries + each.operations.getmores) / each.seconds:,.0f}"
        ),
        "its writes in all": lambda each: f"{each.operations.inserts + each.operations.updates:,}",
        "its cache in use, of which dirty": lambda each: (
            f"{each.operations.cached_bytes / each.operations.cache_bytes_max:.0%}, "
            f"{each.operations.dirty_bytes / each.operations.cache_bytes_max:.1%}"
        ),
        "network of mongod, MB": lambda each: f"{each.use.network_bytes / 1e6:,.0f}",
        "pages read into the cache": lambda each: f"{each.use.pages_read:,}",
        "a read and a write beside it, median ms": lambda each: f"{each.latency.median:.1f}",
        "the same, 99th percentile": lambda each: f"{each.latency.p99:.1f}",
    }
    for name, shown in rows.items():
        table.add_row(name, *map(shown, figures))
    console = Console()
    console = Console(width=max(console.width, 132))
    console.print(table)
    console.print(f"A read and a write without a sweep: {idle.median:.1f} ms, 99th percentile {idle.p99:.1f} ms")
    console.print(f"Machine: {machine()}")


def _print_plans(figures: Sequence[SweepFigures]) -> None:
    title = f"What the profiler saw of {PROFILED_SHARE:.0%} of the sweep's operations"
    columns = ("", "collection", "plan", "seen", "keys a document", "documents a document", "longest ms")
    table = markdown_table(title, *columns)
    for each in figures:
        for plan in each.plans:
            found = max(plan.returned, 1)
            examined = (f"{plan.keys / found:.2f}", f"{plan.documents / found:.2f}", str(plan.longest_ms))
            table.add_row(f"{each.name}: {plan.operation}", plan.collection, plan.plan, f"{plan.seen:,}", *examined)
    console = Console()
    console = Console(width=max(console.width, 220))
    console.print(table)
    bad = sorted({plan.plan for each in figures for plan in each.plans if plan.is_bad})
    console.print(f"Whole collections read, or sorted in memory: {', '.join(bad) or 'never'}")


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--documents", type=int, default=1_000_000, help="conversations and work-items together")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
