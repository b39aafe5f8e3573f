"""The sweep's load on mongod: its counters, and which plans its profiler saw."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, Self

from msgspec import Struct
from pymongo import MongoClient
from pymongo.database import Database

PROFILED_SHARE: Final = 0.05
_PROFILE: Final = "system.profile"
_PROFILE_BYTES: Final = 64 * 1_048_576
_APP: Final = "routing-sync"


class Operations(Struct, frozen=True, kw_only=True):
    """mongod's `opcounters` of all clients: totals since its start, or the difference of two readings. `cached_bytes`,
    `dirty_bytes`: of the cache now, of which `cache_bytes_max` is the limit."""

    queries: int
    getmores: int
    commands: int
    inserts: int
    updates: int
    cached_bytes: int
    dirty_bytes: int
    cache_bytes_max: int

    @classmethod
    def now(cls, mongo: MongoClient[dict[str, Any]]) -> Self:
        """Reads the totals."""
        status: Mapping[str, Any] = mongo.admin.command("serverStatus")
        counted, cache = status["opcounters"], status["wiredTiger"]["cache"]
        return cls(
            queries=counted["query"],
            getmores=counted["getmore"],
            commands=counted["command"],
            inserts=counted["insert"],
            updates=counted["update"],
            cached_bytes=cache["bytes currently in the cache"],
            dirty_bytes=cache["tracked dirty bytes in the cache"],
            cache_bytes_max=cache["maximum bytes configured"],
        )

    def since(self, before: Self) -> Self:
        """The difference to an earlier reading; the cache as it is now."""
        return type(self)(
            queries=self.queries - before.queries,
            getmores=self.getmores - before.getmores,
            commands=self.commands - before.commands,
            inserts=self.inserts - before.inserts,
            updates=self.updates - before.updates,
            cached_bytes=self.cached_bytes,
            dirty_bytes=self.dirty_bytes,
            cache_bytes_max=self.cache_bytes_max,
        )


class ProfiledPlan(Struct, frozen=True, kw_only=True):
    """One plan of one operation on one collection, as the profiler saw it `seen` times. `sorted_in_memory`: how often
    it sorted without an index, or spilled to the disk."""

    collection: str
    operation: str
    plan: str
    seen: int
    returned: int
    keys: int
    documents: int
    longest_ms: int
    sorted_in_memory: int

    @property
    def is_bad(self) -> bool:
        """Whether it read a whole collection, or sorted in memory."""
        return "COLLSCAN" in self.plan or self.sorted_in_memory > 0


@contextmanager
def profiled(database: Database[dict[str, Any]], share: float = PROFILED_SHARE) -> Iterator[None]:
    """Lets the profiler note a share of all operations meanwhile, at random."""
    database.drop_collection(_PROFILE)
    database.create_collection(_PROFILE, capped=True, size=_PROFILE_BYTES)
    database.command("profile", 1, slowms=-1, sampleRate=share)
    try:
        yield
    finally:
        database.command("profile", 0, slowms=100, sampleRate=1.0)


def profiled_plans(database: Database[dict[str, Any]]) -> Sequence[ProfiledPlan]:
    """The plans of the worker's reads and writes, by collection."""
    is_sorted = {"$or": [{"$ifNull": ["$hasSortStage", False]}, {"$ifNull": ["$usedDisk", False]}]}
    by_plan: list[Mapping[str, Any]] = [
        {"$match": {"appName": _APP, "planSummary": {"$exists": True}, "ns": {"$not": {"$regex": r"\.system\."}}}},
        {
            "$group": {
                "_id": {"ns": "$ns", "op": "$op", "plan": "$planSummary"},
                "seen": {"$sum": 1},
                "returned": {"$sum": "$nreturned"},
                "keys": {"$sum": "$keysExamined"},
                "documents": {"$sum": "$docsExamined"},
                "longest_ms": {"$max": "$millis"},
                "sorted_in_memory": {"$sum": {"$cond": [is_sorted, 1, 0]}},
            }
        },
        {"$sort": {"_id": 1}},
    ]
    return [_plan(group) for group in database[_PROFILE].aggregate(by_plan)]


def _plan(group: Mapping[str, Any]) -> ProfiledPlan:
    key = group["_id"]
    return ProfiledPlan(
        collection=key["ns"].partition(".")[2],
        operation=key["op"],
        plan=key["plan"],
        seen=group["seen"],
        returned=group["returned"],
        keys=group["keys"],
        documents=group["documents"],
        longest_ms=group["longest_ms"],
        sorted_in_memory=group["sorted_in_memory"],
    )
