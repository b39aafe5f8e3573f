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
QUEUED: Final = {"active": True, "attributes.status": "queued"}
"""The condition that a work-item waits in a queue. A query must repeat it to use the partial index."""
QUEUED_BY_QUEUE: Final = "queued_by_queue"
"""The name of the index of the work-items that wait in a queue: the work-items with any other status are not in it."""
# The query's fields come first, so that it is answered from the index alone.
QUEUED_BY_QUEUE_KEYS: Final = dict.fromkeys(
    (*QUEUED, "relationships.queue.data.id", "attributes.lastRevision.enteredQueueAt"), ASCENDING
)
"""Its keys, for a query's hint: an administrator may have made the index under another name."""
WAIT_DAYS: Final = 90
"""The days for which the records of ended waits are kept, counted from the end of the wait."""
_DAY_S: Final = 86_400


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
    _Index(collection=Collection.WAITS, name="by_queue_and_end", fields=("queue", "endedAt", "_id")),
    _Index(collection=Collection.WAITS, name="by_org_and_queue", fields=("org", "queue")),
)

_WRITTEN_INDEXES: Final = tuple(
    _Index(collection=collection, name="by_time_of_writing", fields=("attributes.updatedAt",))
    for collection in (Collection.CONVERSATIONS, Collection.WORK_ITEMS)
)
"""For the sweep by time of writing. One index serves dates and ISO texts."""

_WAITING_INDEXES: Final = (
    _Index(
        collection=Collection.WORK_ITEMS,
        name=QUEUED_BY_QUEUE,
        fields=tuple(QUEUED_BY_QUEUE_KEYS),
        options={"partialFilterExpression": QUEUED},
    ),
)
"""Those that only the number of waiting work-items uses. Each entry to a queue and each exit writes to the index."""
_CREATION_INDEXES: Final = (
    _Index(
        collection=Collection.WORK_ITEMS,
        name="by_conversation_and_number",
        fields=("conversationId", "workItemNumber"),
    ),
)
"""For creating work-items: the latest work-item of a conversation."""
_QUEUE_RULE_INDEXES: Final = (
    _Index(collection=Collection.QUEUE_RULES, name="by_org", fields=("org",)),
    _Index(collection=Collection.QUEUES, name="by_org", fields=("org",)),
)

_API_INDEXES: Final = (
    *_CREATION_INDEXES,
    _Index(collection=Collection.QUEUES, name="by_key", fields=("key",)),
    _Index(collection=Collection.QUEUES, name="by_attributes_key", fields=("attributes.key",)),
)
"""For the reads of the API: the work-items of a conversation, and a queue by its key."""


class _Expiry(Struct, frozen=True, kw_only=True):
    """The time-to-live index of a collection: its name, and the field with the date from which the days count."""

    collection: Collection
    name: str
    field: str

    def index(self, days: int) -> _Index:
        """The index that lets documents expire after so many days."""
        options = {"expireAfterSeconds": days * _DAY_S}
        return _Index(collection=self.collection, name=self.name, fields=(self.field,), options=options)


_REVISIONS: Final = _Expiry(collection=Collection.WORK_ITEM_REVISIONS, name="expired_revisions", field="createdAt")
_WAITS: Final = _Expiry(collection=Collection.WAITS, name="expired_waits", field="endedAt")

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


async def ensure_indexes(
    database: Database,
    *,
    revision_days: int,
    wait_days: int = WAIT_DAYS,
    waiting_times: bool = False,
    create_work_items: bool = False,
    queue_rules: bool = False,
    by_time_of_writing: bool = False,
) -> None:
    """Create the collections, which must exist before a transaction, and exactly the indexes that the queries use.

    Records of `work_item_revisions` expire after `revision_days`, those of `waits` after `wait_days`, by a time-to-live
    index each; 0: never, and without it. `waiting_times`: the waiting work-items of a queue are counted.
    `create_work_items`, `queue_rules`: these are on. `by_time_of_writing`: the sweep looks for documents by it. An
    index that was made for one of the four stays. May be called again, and by several workers at once. Raises
    StoreAway, StoreUnfit, Misconfigured.
    """
    with calls_of_the_start(database.client, _BUILD_S_MAX):
        existing = await database.list_collection_names()
        wanted = (
            *_INDEXES,
            *(_WAITING_INDEXES if waiting_times else ()),
            *(_CREATION_INDEXES if create_work_items else ()),
            *(_QUEUE_RULE_INDEXES if queue_rules else ()),
            *(_WRITTEN_INDEXES if by_time_of_writing else ()),
        )
        indexed = {index.collection for index in wanted}
        # Creating an index creates its collection.
        missing = [each for each in Collection if each not in existing and each not in indexed]
        await asyncio.gather(
            *(_create_collection(database, each) for each in missing), *(_ensure(database, each) for each in wanted)
        )
        await _ensure_expiry(database, _REVISIONS, revision_days)
        await _ensure_expiry(database, _WAITS, wait_days)


async def ensure_waiting_indexes(database: Database) -> None:
    """Create the indexes by which the waiting work-items of a queue are counted. Raises StoreAway, StoreUnfit,
    Misconfigured."""
    with calls_of_the_start(database.client, _BUILD_S_MAX):
        await asyncio.gather(*(_ensure(database, each) for each in _WAITING_INDEXES))


async def ensure_api_indexes(database: Database) -> None:
    """Create the indexes that only the reads of the API use. Raises StoreAway, StoreUnfit, Misconfigured."""
    with calls_of_the_start(database.client, _BUILD_S_MAX):
        await asyncio.gather(*(_ensure(database, each) for each in _API_INDEXES))


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


async def _ensure_expiry(database: Database, expiry: _Expiry, days: int) -> None:
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


async def _drop_expiry(database: Database, expiry: _Expiry) -> None:
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
