"""The definitions of the indexes: their keys, their options, and how they compare with those that MongoDB describes.

creation.py makes them at start, worker/mongo/checks/inspection.py only looks.
"""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct
from pymongo import ASCENDING, IndexModel

from worker.store.documents import Collection

ACTIVE: Final = {"active": True}
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


class Index(Struct, frozen=True, kw_only=True):
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
        return found["key"] == self.keys and _is_equal(index_options(found), self.options)

    def clashes_with(self, name: str, found: Mapping[str, Any]) -> bool:
        """Whether MongoDB makes no index of ours beside this one of `index_information`.

        Each name stands once, and so do the same keys with the same of the options by which MongoDB tells indexes
        apart ("createIndexes", MongoDB's manual).
        """
        if self.is_same(found):
            return False
        theirs = index_options(found)
        alike = all(_is_equal(theirs.get(option), self.options.get(option)) for option in _TELLING)
        return name == self.name or (found["key"] == self.keys and alike)

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


INDEXES: Final = (
    Index(
        collection=Collection.WORK_ITEMS,
        name="one_active_a_conversation",
        fields=("conversationId",),
        options={"unique": True, "partialFilterExpression": ACTIVE},
    ),
    Index(
        collection=Collection.WORK_SESSIONS,
        name="active_by_user",
        fields=("user",),
        options={"partialFilterExpression": ACTIVE},
    ),
    # Most states neither wait nor are finished, so these two indexes are small.
    Index(
        collection=Collection.SYNC_STATES,
        name="waiting_by_age",
        fields=("waitingSince",),
        options={"partialFilterExpression": has_timestamp("waitingSince")},
    ),
    Index(
        collection=Collection.SYNC_STATES,
        name="finished_by_age",
        fields=("finishedAt",),
        options={"partialFilterExpression": has_timestamp("finishedAt")},
    ),
    Index(collection=Collection.OUTBOX, name="by_status_and_age", fields=("status", "createdAt")),
    Index(collection=Collection.WAITS, name="by_queue_and_end", fields=("queue", "endedAt", "_id")),
    Index(collection=Collection.WAITS, name="by_org_and_queue", fields=("org", "queue")),
)

WRITTEN_INDEXES: Final = tuple(
    Index(collection=collection, name="by_time_of_writing", fields=("attributes.updatedAt",))
    for collection in (Collection.CONVERSATIONS, Collection.WORK_ITEMS)
)
"""For the sweep by time of writing. One index serves dates and ISO texts."""

WAITING_INDEXES: Final = (
    Index(
        collection=Collection.WORK_ITEMS,
        name=QUEUED_BY_QUEUE,
        fields=tuple(QUEUED_BY_QUEUE_KEYS),
        options={"partialFilterExpression": QUEUED},
    ),
)
"""Those that only the number of waiting work-items uses. Each entry to a queue and each exit writes to the index."""
CREATION_INDEXES: Final = (
    Index(
        collection=Collection.WORK_ITEMS,
        name="by_conversation_and_number",
        fields=("conversationId", "workItemNumber"),
    ),
)
"""For creating work-items: the latest work-item of a conversation."""
QUEUE_RULE_INDEXES: Final = (
    Index(collection=Collection.QUEUE_RULES, name="by_org", fields=("org",)),
    Index(collection=Collection.QUEUES, name="by_org", fields=("org",)),
)

AUDIT_INDEXES: Final = (
    Index(collection=Collection.SYNC_AUDIT, name="by_conversation_and_time", fields=("conversationId", "at", "_id")),
)
"""For reading the kept audit of a conversation, the latest first."""

API_INDEXES: Final = (
    *CREATION_INDEXES,
    Index(collection=Collection.QUEUES, name="by_key", fields=("key",)),
    Index(collection=Collection.QUEUES, name="by_attributes_key", fields=("attributes.key",)),
)
"""For the reads of the API: the work-items of a conversation, and a queue by its key."""


def wanted_indexes(
    *, waiting_times: bool, create_work_items: bool, queue_rules: bool, by_time_of_writing: bool, keeps_audit: bool
) -> tuple[Index, ...]:
    """The indexes that the queries of the worker use, without those that let documents expire. The flags are those of
    `ensure_indexes`."""
    return (
        *INDEXES,
        *(WAITING_INDEXES if waiting_times else ()),
        *(CREATION_INDEXES if create_work_items else ()),
        *(QUEUE_RULE_INDEXES if queue_rules else ()),
        *(WRITTEN_INDEXES if by_time_of_writing else ()),
        *(AUDIT_INDEXES if keeps_audit else ()),
    )


class Expiry(Struct, frozen=True, kw_only=True):
    """The time-to-live index of a collection: its name, and the field with the date from which the days count."""

    collection: Collection
    name: str
    field: str

    def index(self, days: int) -> Index:
        """The index that lets documents expire after so many days."""
        options = {"expireAfterSeconds": days * _DAY_S}
        return Index(collection=self.collection, name=self.name, fields=(self.field,), options=options)


REVISIONS: Final = Expiry(collection=Collection.WORK_ITEM_REVISIONS, name="expired_revisions", field="createdAt")
AUDIT: Final = Expiry(collection=Collection.SYNC_AUDIT, name="expired_audit", field="at")
WAITS: Final = Expiry(collection=Collection.WAITS, name="expired_waits", field="endedAt")

_TELLING: Final = ("unique", "sparse", "partialFilterExpression", "collation")
"""The options by which MongoDB tells two indexes with the same keys apart."""

_ID_INDEX: Final = "_id_"

_IRRELEVANT: Final = frozenset({"v", "key", "ns", "name", "background"})
"""What `index_information` says beside an index's options."""

_FLAGS: Final = frozenset({"unique", "sparse", "hidden"})
"""Options that old shells wrote as numbers."""


def _is_equal(found: object, ours: object) -> bool:
    """Equality as MongoDB has it: a number equals one of another type, and never a truth value; `$eq` is equality."""
    if isinstance(found, Mapping) and found.keys() == {"$eq"}:
        found = found["$eq"]
    if isinstance(found, Mapping) and isinstance(ours, Mapping):
        return found.keys() == ours.keys() and all(_is_equal(found[name], ours[name]) for name in ours)
    return isinstance(found, bool) == isinstance(ours, bool) and found == ours


def index_options(found: Mapping[str, Any]) -> dict[str, Any]:
    """The options of an index of `index_information`; one that is false is as good as absent."""
    options = {name: bool(value) if name in _FLAGS else value for name, value in found.items()}
    return {name: value for name, value in options.items() if name not in _IRRELEVANT and value is not False}


def shown_index(keys: object, options: Mapping[str, Any]) -> str:
    """The keys and options of an index as a message shows them."""
    fields = ", ".join(f"{field} {order}" for field, order in keys) if isinstance(keys, list) else str(keys)
    shown = ", ".join(f"{name} {value}" for name, value in options.items())
    return f"({fields}{f'; {shown}' if shown else ''})"
