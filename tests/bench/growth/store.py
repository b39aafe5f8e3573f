"""Growth by stored documents: the same load on a small and on a large store, and what mongod examines for it.

The events belong to pairs all over the store, one event a pair. The small store is filled anew for every run, the large
one once: every run takes other pairs.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from random import Random
from typing import Any, Final

from msgspec import Struct
from pymongo.database import Database

from tests.bench.consumers.consumer import OURS
from tests.bench.loads.many_pairs import DOCUMENTS_A_PAIR, put_pairs
from tests.bench.loads.workload import LoadKind, Workload, workload
from tests.bench.runs.comparison import Variant, VariantRow, compare
from tests.bench.runs.fleet import Figures, RunFailed
from tests.bench.runs.servers import BenchServers

FEW: Final = 10_000
MANY: Final = 1_000_000
_PROFILE_BYTES: Final = 64 * 1_048_576
_APP: Final = "routing-sync"


class StoreRow(Struct, frozen=True, kw_only=True):
    """The row of a load on a store of one size, as ratio to the small store."""

    kind: LoadKind
    row: VariantRow


class ExaminedCounts(Struct, frozen=True, kw_only=True):
    """Index keys and documents that mongod examined per document found, for one operation on one collection."""

    documents: int
    collection: str
    operation: str
    operations: int
    found: int
    keys_a_found: float
    documents_a_found: float


class StoreGrowth(Struct, frozen=True, kw_only=True):
    """The rows, and what mongod examined."""

    rows: Sequence[StoreRow]
    examined: Sequence[ExaminedCounts]


def measure_store(
    servers: BenchServers,
    kinds: Sequence[LoadKind],
    *,
    messages: int,
    rounds: int,
    seed: int,
    few: int = FEW,
    many: int = MANY,
    cache_gb: float | None = None,
    done: Callable[[], None] = lambda: None,
    stored: Callable[[int], None] = lambda _: None,
) -> StoreGrowth:
    """Measures both stores under every load. Raises RunFailed.

    `cache_gb`: cache of mongod; None: that of a local mongod. `stored`: called with the number of documents of every
    insert into the large store.
    """
    rows: list[StoreRow] = []
    examined: list[ExaminedCounts] = []
    if cache_gb is not None:
        cache = f"cache_size={round(cache_gb * 1_024)}M"
        servers.mongo.admin.command({"setParameter": 1, "wiredTigerEngineRuntimeConfig": cache})
    with servers.place() as large:
        pairs = many // DOCUMENTS_A_PAIR
        put_pairs(servers.mongo, large, pairs, done=stored)
        # What filling leaves in the cache is written now, not beside the first runs.
        servers.mongo.admin.command("fsync")
        # Every pair gets one event in all runs together.
        pair_numbers = iter(Random(seed).sample(range(pairs), pairs))
        for kind in kinds:

            def on_few(number: int, kind: LoadKind = kind) -> Figures:
                return _on_few(servers, _load(kind, messages, seed + number, _shuffled_numbers(few, number)), few)

            def on_many(number: int, kind: LoadKind = kind) -> Figures:
                return _on(servers, large, _load(kind, messages, seed + number, pair_numbers))

            variants = [
                Variant(name=f"{few:,} documents", run=on_few),
                Variant(name=f"{many:,} documents", run=on_many),
            ]
            found = compare(variants, rounds=rounds, seed=seed, speed=servers.speed, done=done)
            rows += [StoreRow(kind=kind, row=row) for row in found]
        examined += examined_on_few(servers, messages=messages, seed=seed, few=few)
        examined += _examined(servers, large, _load(LoadKind.SYNCS, messages, seed, pair_numbers), many)
    return StoreGrowth(rows=rows, examined=examined)


def _load(kind: LoadKind, messages: int, seed: int, numbers: Iterator[int]) -> Workload:
    load = workload(kind, messages, seed=seed, numbers=numbers)
    if len(load.bodies) < messages:
        raise RunFailed("the large store has too few pairs for so many messages and repeated runs: give more --many")
    return load


def _shuffled_numbers(documents: int, number: int) -> Iterator[int]:
    pairs = documents // DOCUMENTS_A_PAIR
    return iter(Random(number).sample(range(pairs), pairs))


def _on(servers: BenchServers, queue: str, load: Workload) -> Figures:
    with servers.fleet(OURS, queue) as fleet:
        fleet.warm_up(load)
        return fleet.drain(messages=len(load.bodies), announced=load.announced)


def _on_few(servers: BenchServers, load: Workload, documents: int) -> Figures:
    with servers.place() as queue:
        put_pairs(servers.mongo, queue, documents // DOCUMENTS_A_PAIR)
        return _on(servers, queue, load)


_SMALL_TRANSACTIONS: Final = {"BATCH_MAX": "50"}
"""mongod writes the profiler's entry of an operation in a transaction of its own, while the worker's is open. Where the
two are more than a small cache may hold changed, mongod 6.0.5 waits for itself and does not come back."""


def examined_on_few(servers: BenchServers, *, messages: int, seed: int, few: int) -> list[ExaminedCounts]:
    """What mongod examines in the small store. Raises RunFailed."""
    with servers.place() as queue:
        put_pairs(servers.mongo, queue, few // DOCUMENTS_A_PAIR)
        return _examined(servers, queue, _load(LoadKind.SYNCS, messages, seed, _shuffled_numbers(few, 0)), few)


def _examined(servers: BenchServers, queue: str, load: Workload, documents: int) -> list[ExaminedCounts]:
    """What mongod's profiler records of the worker's operations, in a run that is not measured."""
    database = servers.mongo[queue]
    with servers.fleet(OURS, queue, extra=_SMALL_TRANSACTIONS) as fleet:
        fleet.warm_up(load)
        database.create_collection("system.profile", capped=True, size=_PROFILE_BYTES)
        database.command("profile", 2)
        fleet.drain(messages=len(load.bodies), announced=load.announced)
        database.command("profile", 0)
    return list(_by_operation(database, documents))


_COUNTED: Final = {"$sum": {"$add": [{"$ifNull": [f"${name}", 0]} for name in ("nreturned", "nMatched", "ndeleted")]}}


def _by_operation(database: "Database[dict[str, Any]]", documents: int) -> Iterator[ExaminedCounts]:
    total: list[Mapping[str, Any]] = [
        {"$match": {"appName": _APP, "docsExamined": {"$exists": True}}},
        {
            "$group": {
                "_id": {"collection": "$ns", "operation": "$op"},
                "operations": {"$sum": 1},
                "found": _COUNTED,
                "keys": {"$sum": "$keysExamined"},
                "documents": {"$sum": "$docsExamined"},
            }
        },
        {"$sort": {"_id": 1}},
    ]
    for group in database["system.profile"].aggregate(total):
        found = group["found"]
        yield ExaminedCounts(
            documents=documents,
            collection=group["_id"]["collection"].partition(".")[2],
            operation=group["_id"]["operation"],
            operations=group["operations"],
            found=found,
            keys_a_found=group["keys"] / max(found, 1),
            documents_a_found=group["documents"] / max(found, 1),
        )
