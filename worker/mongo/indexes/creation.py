"""The collections and indexes of the store: exactly those that the queries use, made at start. The API makes its own.

| stands already | then |
|---|---|
| an index with the same keys and options, whatever its name | it is taken for ours |
| an index with our name or keys, and other keys or options | StoreUnfit, which names the collection and both indexes |
| a unique index of others on fields of ours, which refuses documents of the worker | StoreUnfit, which names it |
| two active work-items of a conversation | StoreUnfit, which names the first conversations |
"""

import asyncio
import re
from collections.abc import Mapping
from typing import Any, Final

from pymongo.errors import CollectionInvalid, DuplicateKeyError, OperationFailure

from handlers.documents.stored_forms import shown
from worker.errors import StoreUnfit
from worker.mongo.database import Database, calls_of_the_start
from worker.mongo.driver_words import driver_words
from worker.mongo.indexes.definitions import (
    ACTIVE,
    API_INDEXES,
    AUDIT,
    REVISIONS,
    WAIT_DAYS,
    WAITING_INDEXES,
    WAITS,
    Expiry,
    Index,
    index_options,
    shown_index,
    wanted_indexes,
)
from worker.mongo.stored_types import STORED_TYPES
from worker.store.documents import Collection

_BUILD_S_MAX: Final = 600
"""Building an index on stored documents takes long; start-up ends after this time at the latest."""

_NAMED_MAX: Final = 10
"""Conversations that a line names."""

_ID: Final = re.compile(r"[\w.:+-]{1,256}", re.ASCII)

_NAMESPACE_EXISTS: Final = 48
_INDEX_NOT_FOUND: Final = 27
_CANNOT_CREATE_INDEX: Final = 67
_INDEX_OPTIONS_CLASH: Final = 85
_INDEX_KEYS_CLASH: Final = 86
_NOT_ON_A_VIEW: Final = 166
_NOT_PERMITTED: Final = 13
_CLASHES: Final = frozenset({_INDEX_OPTIONS_CLASH, _INDEX_KEYS_CLASH})
_IMPOSSIBLE: Final = frozenset({_CANNOT_CREATE_INDEX, _NOT_ON_A_VIEW, *_CLASHES})


async def ensure_indexes(
    database: Database,
    *,
    revision_days: int,
    wait_days: int = WAIT_DAYS,
    waiting_times: bool = False,
    create_work_items: bool = False,
    queue_rules: bool = False,
    by_time_of_writing: bool = False,
    audit_days: int = 0,
) -> None:
    """Create the collections, which must exist before a transaction, and exactly the indexes that the queries use.

    Records of `work_item_revisions` expire after `revision_days`, those of `waits` after `wait_days`, by a time-to-live
    index each; 0: never, and without it. `waiting_times`: the waiting work-items of a queue are counted.
    `create_work_items`, `queue_rules`: these are on. `by_time_of_writing`: the sweep looks for documents by it. An
    index that was made for one of the four stays. `audit_days`: after so many days the records of `sync_audit` expire;
    0: no audit is kept, and what stands there stays as it is, so that records of before still expire. May be called
    again, and by several workers at once. Raises StoreAway, StoreUnfit, Misconfigured.
    """
    with calls_of_the_start(database.client, _BUILD_S_MAX):
        existing = await database.list_collection_names()
        wanted = wanted_indexes(
            waiting_times=waiting_times,
            create_work_items=create_work_items,
            queue_rules=queue_rules,
            by_time_of_writing=by_time_of_writing,
            keeps_audit=audit_days > 0,
        )
        indexed = {index.collection for index in wanted}
        # Creating an index creates its collection.
        unused = {*existing, *indexed, *(() if audit_days else (Collection.SYNC_AUDIT,))}
        missing = [each for each in Collection if each not in unused]
        await asyncio.gather(
            *(_create_collection(database, each) for each in missing), *(_ensure(database, each) for each in wanted)
        )
        await _ensure_expiry(database, REVISIONS, revision_days)
        await _ensure_expiry(database, WAITS, wait_days)
        if audit_days:
            await _ensure_expiry(database, AUDIT, audit_days)


async def ensure_waiting_indexes(database: Database) -> None:
    """Create the indexes by which the waiting work-items of a queue are counted. Raises StoreAway, StoreUnfit,
    Misconfigured."""
    with calls_of_the_start(database.client, _BUILD_S_MAX):
        await asyncio.gather(*(_ensure(database, each) for each in WAITING_INDEXES))


async def ensure_api_indexes(database: Database) -> None:
    """Create the indexes that only the reads of the API use. Raises StoreAway, StoreUnfit, Misconfigured."""
    with calls_of_the_start(database.client, _BUILD_S_MAX):
        await asyncio.gather(*(_ensure(database, each) for each in API_INDEXES))


async def _ensure(database: Database, index: Index) -> None:
    collection = database[index.collection]
    try:
        found = await collection.index_information()
        refusal = refusal_line(index, found)
        if refusal is not None:
            raise StoreUnfit(refusal)
        if not any(index.is_same(each) for each in found.values()):
            await collection.create_indexes([index.model])
    except DuplicateKeyError as error:
        raise StoreUnfit(await _duplicates_line(database, index)) from error
    except OperationFailure as error:
        if error.code not in _IMPOSSIBLE:
            raise
        raise StoreUnfit(await _clash_line(database, index, error)) from error


def refusal_line(index: Index, found: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Which unique index of others refuses documents of the worker, and the remedy; None: none does. `found` is the
    collection's `index_information`. The worker stores no session."""
    if index.collection is Collection.WORK_SESSIONS:
        return None
    for name, other in found.items():
        if index.is_refused_by(name, other):
            return (
                f"{index.collection.value}: the unique index {name} on "
                f"{shown_index(other['key'], index_options(other))} refuses documents that the worker writes: "
                f'drop it, db.{index.collection.value}.dropIndex("{name}")'
            )
    return None


async def _ensure_expiry(database: Database, expiry: Expiry, days: int) -> None:
    """Make, change or drop the time-to-live index, so that it stands exactly for `days`."""
    if days == 0:
        await _drop_expiry(database, expiry)
        return
    index = expiry.index(days)
    seconds = index.options["expireAfterSeconds"]
    records = database[index.collection]
    ours = (await records.index_information()).get(index.name, {})
    if ours.get("key") != index.keys or "expireAfterSeconds" not in ours or ours["expireAfterSeconds"] == seconds:
        await _ensure(database, index)
        return
    try:
        change = {"name": index.name, "expireAfterSeconds": seconds}
        await database.command("collMod", index.collection.value, index=change)
    except OperationFailure as refusal:
        if refusal.code != _NOT_PERMITTED:
            raise
        # The role `readWrite` makes and drops indexes, but has no `collMod`.
        await _drop_expiry(database, expiry)
        await records.create_indexes([index.model])


async def _drop_expiry(database: Database, expiry: Expiry) -> None:
    try:
        await database[expiry.collection].drop_index(expiry.name)
    except OperationFailure as error:
        if error.code != _INDEX_NOT_FOUND:
            raise


async def _create_collection(database: Database, collection: Collection) -> None:
    try:
        await database.create_collection(collection)
    except CollectionInvalid:
        # Another worker created it meanwhile.
        pass
    except OperationFailure as error:
        if error.code != _NAMESPACE_EXISTS:
            raise


async def _clash_line(database: Database, index: Index, error: OperationFailure) -> str:
    """Which index stands where `index` must stand, and what to do; else the driver's words."""
    if error.code in _CLASHES:
        found = await database[index.collection].index_information()
        for name, other in found.items():
            if name == index.name or other["key"] == index.keys:
                return clash_line(index, name, other)
    return f"{_unmade(index)}: the driver says: {driver_words(error)}"


def clash_line(index: Index, name: str, other: Mapping[str, Any]) -> str:
    """That this other index stands where `index` must stand, and the remedy."""
    return (
        f"{_unmade(index)}: another index stands there, {name} on {shown_index(other['key'], index_options(other))}: "
        f'drop that one, db.{index.collection.value}.dropIndex("{name}"), or give it these keys and options'
    )


def _unmade(index: Index) -> str:
    keys = shown_index(index.keys, index.options)
    return f"{index.collection.value}: the index {index.name} on {keys} cannot be made"


async def _duplicates_line(database: Database, index: Index) -> str:
    line = await duplicates_line(database, index)
    return line or (
        f"{index.collection.value}: the unique index {index.name} cannot be made: active work-items had the same "
        "conversationId, and have no longer: start the worker again"
    )


async def duplicates_line(database: Database, index: Index) -> str | None:
    """Which conversations have more than one active work-item, the first by their ids, how many there are, and the
    remedy; None: none has."""
    # A unique index has an entry for each value of a list, and one of a document for values that are the same.
    values = {"$cond": [{"$isArray": "$conversationId"}, {"$setUnion": ["$conversationId"]}, ["$conversationId"]]}
    twice: list[dict[str, Any]] = [
        {"$match": ACTIVE},
        {"$project": {"of": values}},
        {"$unwind": "$of"},
        {"$group": {"_id": "$of", "count": {"$sum": 1}}},
        {"$match": {"count": {"$gt": 1}}},
    ]
    facets = {"first": [{"$sort": {"_id": 1}}, {"$limit": _NAMED_MAX}], "all": [{"$count": "count"}]}
    collection = database[index.collection].with_options(codec_options=STORED_TYPES)
    cursor = await collection.aggregate([*twice, {"$facet": facets}], allowDiskUse=True)
    (found,) = await cursor.to_list()
    count = next((each["count"] for each in found["all"]), 0)
    what = f"{index.collection.value}: the unique index {index.name} cannot be made"
    if count == 0:
        return None
    named = ", ".join(_shown_id(each["_id"]) for each in found["first"])
    rest = f" and {count - _NAMED_MAX} more" if count > _NAMED_MAX else ""
    return (
        f"{what}, as {count} conversation{'s have' if count != 1 else ' has'} more than one active work-item: "
        f"{named}{rest}: complete all but one of each"
    )


def _shown_id(value: object) -> str:
    if value is None:
        return "null or missing"
    return value if isinstance(value, str) and _ID.fullmatch(value) else shown(value)
