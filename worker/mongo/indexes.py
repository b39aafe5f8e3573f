"""The collections and indexes of the store: exactly those that the queries use, made at start.

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

from msgspec import Struct
from pymongo import ASCENDING, IndexModel
from pymongo.errors import CollectionInvalid, DuplicateKeyError, OperationFailure

from handlers.documents.stored_forms import shown
from worker.errors import StoreUnfit
from worker.mongo.database import Database, calls_of_the_start
from worker.mongo.driver_words import driver_words
from worker.mongo.stored_types import STORED_TYPES
from worker.store.documents import Collection

_ACTIVE: Final = {"active": True}


class _Index(Struct, frozen=True, kw_only=True):
    """An index as MongoDB describes it: the fields of its keys, all ascending, and its options without the name."""

    collection: Collection
    name: str
    fields: tuple[str, ...]
    options: dict[str, Any] = {}

    @property
    def model(self) -> IndexModel:
        return IndexModel(self.keys, name=self.name, **self.options)

    @property
    def keys(self) -> list[tuple[str, int]]:
        return [(field, ASCENDING) for field in self.fields]

    def is_same(self, found: Mapping[str, Any]) -> bool:
        """Whether an index of `index_information` has these keys and options, whatever its name."""
        return found["key"] == self.keys and _is_equal(_options(found), self.options)

    def is_refused_by(self, name: str, found: Mapping[str, Any]) -> bool:
        """Whether another index of `index_information`, unique on fields of this one, refuses documents of the worker.

        One that holds for active work-items only asks no more than ours. One with our name cannot stay beside ours.
        """
        fields = {field for field, _ in found["key"]}
        active = found.get("partialFilterExpression", {}).get("active")
        asks_more = not _is_equal(active, True)
        is_other = name not in {self.name, _ID_INDEX} and not self.is_same(found)
        return is_other and bool(found.get("unique")) and fields <= set(self.fields) and asks_more


def has_timestamp(name: str) -> dict[str, Any]:
    """The condition that a state has this timestamp, an ISO text. A query must repeat it to use the partial index."""
    return {name: {"$type": "string"}}


_INDEXES: Final = (
    _Index(
        collection=Collection.WORK_ITEMS,
        name="one_active_a_conversation",
        fields=("conversationId",),
        options={"unique": True, "partialFilterExpression": _ACTIVE},
    ),
    _Index(
        collection=Collection.WORK_SESSIONS,
        name="active_by_user",
        fields=("user",),
        options={"partialFilterExpression": _ACTIVE},
    ),
    # Most states neither wait nor are finished, so these two indexes are small.
    _Index(
        collection=Collection.SYNC_STATES,
        name="waiting_by_age",
        fields=("waitingSince",),
        options={"partialFilterExpression": has_timestamp("waitingSince")},
    ),
    _Index(
        collection=Collection.SYNC_STATES,
        name="finished_by_age",
        fields=("finishedAt",),
        options={"partialFilterExpression": has_timestamp("finishedAt")},
    ),
    _Index(collection=Collection.OUTBOX, name="by_status_and_age", fields=("status", "createdAt")),
)

_EXPIRY: Final = "expired_revisions"
"""The name of the time-to-live index of `work_item_revisions`."""
_DAY_S: Final = 86_400

_BUILD_S_MAX: Final = 600
"""Building an index on stored documents takes long; start-up ends after this time at the latest."""

_NAMED_MAX: Final = 10
"""Conversations that a line names."""

_ID: Final = re.compile(r"[\w.:+-]{1,256}", re.ASCII)
_ID_INDEX: Final = "_id_"

_IRRELEVANT: Final = frozenset({"v", "key", "ns", "name", "background"})
"""What `index_information` says beside an index's options."""

_FLAGS: Final = frozenset({"unique", "sparse", "hidden"})
"""Options that old shells wrote as numbers."""

_NAMESPACE_EXISTS: Final = 48
_INDEX_NOT_FOUND: Final = 27
_CANNOT_CREATE_INDEX: Final = 67
_INDEX_OPTIONS_CLASH: Final = 85
_INDEX_KEYS_CLASH: Final = 86
_NOT_ON_A_VIEW: Final = 166
_NOT_PERMITTED: Final = 13
_CLASHES: Final = frozenset({_INDEX_OPTIONS_CLASH, _INDEX_KEYS_CLASH})
_IMPOSSIBLE: Final = frozenset({_CANNOT_CREATE_INDEX, _NOT_ON_A_VIEW, *_CLASHES})


async def ensure_indexes(database: Database, *, revision_days: int) -> None:
    """Create the collections, which must exist before a transaction, and exactly the indexes that the queries use.

    Records of `work_item_revisions` expire after `revision_days` by a time-to-live index; 0: never, and without it.
    May be called again, and by several workers at once. Raises StoreAway, StoreUnfit, Misconfigured.
    """
    with calls_of_the_start(database.client, _BUILD_S_MAX):
        existing = await database.list_collection_names()
        indexed = {index.collection for index in _INDEXES}
        # Creating an index creates its collection.
        missing = [each for each in Collection if each not in existing and each not in indexed]
        await asyncio.gather(
            *(_create_collection(database, each) for each in missing), *(_ensure(database, each) for each in _INDEXES)
        )
        await _ensure_expiry(database, revision_days)


async def _ensure(database: Database, index: _Index) -> None:
    collection = database[index.collection]
    try:
        found = await collection.index_information()
        _check_uniqueness(index, found)
        if not any(index.is_same(each) for each in found.values()):
            await collection.create_indexes([index.model])
    except DuplicateKeyError as error:
        raise StoreUnfit(await _duplicates_line(database, index)) from error
    except OperationFailure as error:
        if error.code not in _IMPOSSIBLE:
            raise
        raise StoreUnfit(await _clash_line(database, index, error)) from error


def _check_uniqueness(index: _Index, found: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise StoreUnfit for a unique index of others that refuses documents. The worker stores no session."""
    if index.collection is Collection.WORK_SESSIONS:
        return
    for name, other in found.items():
        if index.is_refused_by(name, other):
            raise StoreUnfit(
                f"{index.collection.value}: the unique index {name} on {_shown(other['key'], _options(other))} refuses "
                f'documents that the worker writes: drop it, db.{index.collection.value}.dropIndex("{name}")'
            )


async def _ensure_expiry(database: Database, days: int) -> None:
    """Make, change or drop the time-to-live index, so that it stands exactly for `days`."""
    if days == 0:
        await _drop_expiry(database)
        return
    seconds = days * _DAY_S
    index = _Index(
        collection=Collection.WORK_ITEM_REVISIONS,
        name=_EXPIRY,
        fields=("createdAt",),
        options={"expireAfterSeconds": seconds},
    )
    revisions = database[index.collection]
    ours = (await revisions.index_information()).get(_EXPIRY, {})
    if ours.get("key") != index.keys or "expireAfterSeconds" not in ours or ours["expireAfterSeconds"] == seconds:
        await _ensure(database, index)
        return
    try:
        change = {"name": _EXPIRY, "expireAfterSeconds": seconds}
        await database.command("collMod", index.collection.value, index=change)
    except OperationFailure as refusal:
        if refusal.code != _NOT_PERMITTED:
            raise
        # The role `readWrite` makes and drops indexes, but has no `collMod`.
        await _drop_expiry(database)
        await revisions.create_indexes([index.model])


async def _drop_expiry(database: Database) -> None:
    try:
        await database[Collection.WORK_ITEM_REVISIONS].drop_index(_EXPIRY)
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


async def _clash_line(database: Database, index: _Index, error: OperationFailure) -> str:
    """Which index stands where `index` must stand, and what to do; else the driver's words."""
    what = f"{index.collection.value}: the index {index.name} on {_shown(index.keys, index.options)} cannot be made"
    if error.code in _CLASHES:
        found = await database[index.collection].index_information()
        for name, other in found.items():
            if name == index.name or other["key"] == index.keys:
                return (
                    f"{what}: another index stands there, {name} on {_shown(other['key'], _options(other))}: "
                    f'drop that one, db.{index.collection.value}.dropIndex("{name}"), or give it these keys and options'
                )
    return f"{what}: the driver says: {driver_words(error)}"


async def _duplicates_line(database: Database, index: _Index) -> str:
    """Which conversations have more than one active work-item, the first by their ids, and how many there are."""
    # A unique index has an entry for each value of a list, and one of a document for values that are the same.
    values = {"$cond": [{"$isArray": "$conversationId"}, {"$setUnion": ["$conversationId"]}, ["$conversationId"]]}
    twice: list[dict[str, Any]] = [
        {"$match": _ACTIVE},
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
        return f"{what}: active work-items had the same conversationId, and have no longer: start the worker again"
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


def _is_equal(found: object, ours: object) -> bool:
    """Equality as MongoDB has it: a number equals one of another type, and never a truth value; `$eq` is equality."""
    if isinstance(found, Mapping) and found.keys() == {"$eq"}:
        found = found["$eq"]
    if isinstance(found, Mapping) and isinstance(ours, Mapping):
        return found.keys() == ours.keys() and all(_is_equal(found[name], ours[name]) for name in ours)
    return isinstance(found, bool) == isinstance(ours, bool) and found == ours


def _options(found: Mapping[str, Any]) -> dict[str, Any]:
    """The options of an index of `index_information`; one that is false is as good as absent."""
    options = {name: bool(value) if name in _FLAGS else value for name, value in found.items()}
    return {name: value for name, value in options.items() if name not in _IRRELEVANT and value is not False}


def _shown(keys: object, options: Mapping[str, Any]) -> str:
    fields = ", ".join(f"{field} {order}" for field, order in keys) if isinstance(keys, list) else str(keys)
    shown = ", ".join(f"{name} {value}" for name, value in options.items())
    return f"({fields}{f'; {shown}' if shown else ''})"
