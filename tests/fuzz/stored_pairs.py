"""The fuzz target of stored documents: a pair as BSON, one document of it mutated, and events that want writes.

The input goes the way of a batch on MongoDB: BSON, the adapter's types, the pair's assembly, the plan, the
announcement, and BSON again.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from random import Random
from typing import Any, Final

import bson
from bson import DBRef, Decimal128, Int64, MinKey, ObjectId, Regex, Timestamp
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.datetime_ms import DatetimeMS
from bson.errors import BSONError
from msgspec import Struct

from commands.context import UnreadableRecord
from commands.instant import parse_instant
from commands.session import Session
from handlers.documents.document import document_from_snapshot
from handlers.documents.stored_forms import UnreadableDocument
from handlers.events.event import Event, Malformed, RejectionCode
from handlers.events.parser import read_message
from handlers.options import Options, PlanningContext, PolicyInUse
from handlers.planning.event_batch import load_request_of
from handlers.planning.planner import plan_gap, plan_pair
from handlers.ports import DocumentWrite, Pair, Plan
from sync.state.sync_state import DoneBy, SyncState, ViewedValue, Waiting
from tests.fuzz.mutation import Mutator
from tests.handlers.small_ports import START, CountedIds
from tests.handlers.wire_events import ORG, Json, changes, conversation, event, read, work_item
from worker.mongo.stored_types import STORED_TYPES, as_bson
from worker.store.documents import session_document
from worker.store.pair_assembly import BatchDocuments, active_item_faults, context_of, keyed, pairs_of
from worker.store.state_document import state_document
from worker.store.transaction.changed_paths import changed_paths

_RAW: Final[CodecOptions[dict[str, Any]]] = CodecOptions(
    tz_aware=True, tzinfo=UTC, datetime_conversion=DatetimeConversion.DATETIME_AUTO
)
_REASON_CHARACTERS_MAX: Final = 2_000
_AT: Final = datetime(2024, 5, 6, 7, 8, 9, 250_000, tzinfo=UTC)
_ID: Final = ObjectId("6b0893e8268b3381b9b8ee62")
_ATOMS: Final[tuple[Any, ...]] = (
    _AT, _ID, DatetimeMS(2**60), DatetimeMS(-(2**55)), Int64(3), Int64(2**62), Decimal128("3"), Decimal128("1.5"),
    Decimal128("NaN"), Decimal128("1E+6000"), Decimal128("-0"), b"ab", b"", bson.Binary(b"\xff", 4),
    bson.Binary(b"1" * 16, 4), Regex("a", "i"), Timestamp(1, 2), MinKey(), DBRef("users", _ID),
    DBRef("users", {"a": _AT}), bson.Code("f()"), bson.Code("f()", {"a": _ID}), float("nan"), float("inf"), -0.0, 3.0,
    2.0**60, "\0", "a\0", {"$date": 1}, [_ID], {"at": _AT, "by": _ID}, "2024-05-06T07:08:09.250Z",
    "9999-12-31T23:59:59.9999Z",
)  # fmt: skip


class _BsonMutator(Mutator):
    """Half of its values are BSON's."""

    def atom(self) -> Any:
        return self._random.choice(_ATOMS) if self._random.randrange(2) else super().atom()


class _Scene(Struct, frozen=True, kw_only=True):
    """The documents of a pair as BSON, by kind, and events that want a write of it."""

    documents: Mapping[str, bytes]
    events: tuple[Event, ...]


def _documents(of_conversation: Json, item: Json, *, state: SyncState) -> dict[str, dict[str, Any]]:
    return {
        "conversation": document_from_snapshot(of_conversation, org=ORG, rev=of_conversation["attributes"]["rev"]),
        "work item": document_from_snapshot(item, org=ORG, rev=item["attributes"]["rev"]),
        "state": state_document("c-1", state),
        "queue": {"_id": "q-1", "attributes": {"key": "k", "itemSize": 2, "priority": 1}},
        "session": session_document(Session(id="s-1", user="u-1", capacity=9)),
    }


def _in_bson_types(value: Any) -> Any:
    """The value with dates for instants, doubles for small numbers and 64-bit integers for others."""
    match value:
        case dict():
            return {name: _in_bson_types(inner) for name, inner in value.items()}
        case list():
            return [_in_bson_types(inner) for inner in value]
        case str():
            return (parse_instant(value) if value[:2] == "20" else None) or value
        case int() if not isinstance(value, bool):
            return float(value) if value < 3 else Int64(value)
        case _:
            return value


_TIMINGS: Final[Json] = {
    "updatedAt": "2024-05-06T07:08:00.000Z",
    "firstEnterQueueAt": "2024-05-06T07:07:00.000Z",
    "lastRevision": {"enteredQueueAt": "2024-05-06T07:07:00.000Z", "queueTime": 3, "custom": [1]},
    "ivr": {"time": 5, "businessTime": 5},
    "handle": {"time": 7, "resumedAt": "2024-05-06T07:07:00.000Z"},
    "queuedCount": 1,
    "custom": {"at": "2024-05-06T07:07:00.000Z", "score": 3.0},
}
_STATE: Final = SyncState(
    version=3,
    conversation_observed=((1, 2),),
    conversation_rev=2,
    work_item="w-1",
    work_item_number=1,
    work_item_observed=((1, 2),),
    work_item_rev=2,
    view={"queue": ViewedValue(value="q-1", rev=2)},
    changed={"assignee": 1},
    known={"assignee": 2, "queue": 2, "status": 2, "ended": 2, "paused": 2},
    known_at={"assignee": 2},
    done_by=DoneBy(number=0, rev=1),
)
_WAITING: Final = SyncState(
    version=3,
    conversation_observed=((1, 2),),
    conversation_rev=2,
    work_item="w-1",
    work_item_number=1,
    work_item_rev=2,
    waiting=Waiting(since=START, conversation_rev=2, work_item_rev=2, values={"queue": "q-2"}),
)
_KNEW: Final = [{"action": "ACCEPT", "code": "ACCEPTED", "meta": {"conversationRev": 2}}]
_EVENTS: Final = (
    event(conversation(3, queue="q-1", users=("u-2",)), changes=changes({"assignedUsers": (["u-1"], ["u-2"])})),
    event(conversation(3, queue="q-2"), changes=changes({"rev": (2, 3)}, {"queue": ("q-1", "q-2")})),
    event(conversation(3, status="done"), changes=changes({"status": ("open", "done")})),
    event(conversation(3), "delete"),
    event(conversation(2, queue="q-1", users=("u-2",)), changes=changes({"assignedUsers": ([], ["u-2"])})),
    event(
        work_item(3, status="completed"), changes=changes({"status": ("assigned", "completed")}), routingReasons=_KNEW
    ),
    event(
        work_item(3, user="u-1", session="s-1", status="assigned"),
        changes=changes({"status": ("queued", "assigned")}, {"assignedTo": (None, "u-1")}),
        routingReasons=_KNEW,
    ),
    event(work_item(3), changes=None),
)


def _scenes() -> tuple[_Scene, ...]:
    conversations = (
        conversation(2, queue="q-1", users=("u-2",), updatedAt=_TIMINGS["updatedAt"], custom=_TIMINGS["custom"]),
        conversation(3, status="done", updatedAt=_TIMINGS["updatedAt"]),
    )
    items = (
        work_item(2, queue="q-1", user="u-1", session="s-1", status="assigned", **_TIMINGS),
        work_item(3, status="completed", **_TIMINGS),
        work_item(2, queue="q-1", status="queued", **_TIMINGS),
    )
    events = tuple(read(one) for one in _EVENTS)
    return tuple(
        _Scene(documents={name: bson.encode(typed(document)) for name, document in documents.items()}, events=events)
        for of_conversation in conversations
        for item in items
        for state in (_STATE, _WAITING)
        for documents in [_documents(of_conversation, item, state=state)]
        for typed in (dict, _in_bson_types)
    )


_SCENES: Final = _scenes()


def stored_documents(random: Random) -> str:
    """A pair with a mutated document is planned, or a document of it is unreadable. Our reader takes what is announced,
    and a value that is written has the type that stood there."""
    scene = random.choice(_SCENES)
    stored = dict(scene.documents)
    target = random.choice(("conversation", "conversation", "work item", "work item", "state", "queue", "session"))
    if random.randrange(10):
        tree = _BsonMutator(random).tree(bson.decode(stored[target], codec_options=_RAW))
        if not isinstance(tree, dict):
            return "no document"
        if random.randrange(10) == 0:
            _into_a_list(tree, random)
        try:
            stored[target] = bson.encode(tree)
        except (BSONError, OverflowError, UnicodeEncodeError, RecursionError):
            return "no BSON"
    events = random.sample(scene.events, random.choice((1, 1, 2, 3)))
    planned = _planned(stored, events, random)
    if isinstance(planned, str):
        assert " in the store cannot be " in planned
        assert len(planned) < _REASON_CHARACTERS_MAX
        return "unreadable"
    _check(planned, stored)
    return "written" if planned.announcements else "read"


def _into_a_list(document: dict[str, Any], random: Random) -> None:
    """Put a value by which a query finds the document into a list, where MongoDB finds it, too; every second document
    has an ObjectId then."""
    name = random.choice(("conversationId", "active", "user"))
    if name in document:
        document[name] = random.choice(([document[name]], [7, document[name]], [document[name], ["c-2"], "c-2"]))
        document["_id"] = random.choice((document.get("_id"), _ID))


def _check(plan: Plan, stored: Mapping[str, bytes]) -> None:
    """Assert that our reader takes what is announced, and BSON what is written, in the types that stood there."""
    for announcement in plan.announcements:
        end = read_message(announcement.message)
        assert not isinstance(end, Malformed) or end.code is RejectionCode.TOO_LARGE, end
    for name, write in (("conversation", plan.conversation), *(("work item", item) for item in plan.work_items)):
        if write is not None and write.before is not None:
            _check_written(write, bson.decode(stored[name], codec_options=_RAW))
    for revision in plan.revisions:
        bson.encode(as_bson(dict(revision)))
    if plan.state is not None:
        bson.encode(state_document("c-1", plan.state))


def _planned(stored: Mapping[str, bytes], events: list[Event], random: Random) -> Plan | str:
    """The plan, or why a document cannot be read."""
    policy = random.choice((PolicyInUse.CAUSAL, PolicyInUse.CAUSAL, PolicyInUse.LEGACY))
    options = Options(policy=policy, state_from_events=random.random() < 0.5)
    planning = PlanningContext(now=_AT, queue_now=_AT, ids=CountedIds(), options=options)
    pair = _pair(stored, events)
    try:
        if random.randrange(8) == 0:
            return plan_gap("c-1", pair, watermark=datetime(2100, 1, 1, tzinfo=UTC), planning=planning)[0]
        return plan_pair("c-1", pair, events, planning=planning).plan
    except (UnreadableDocument, UnreadableRecord) as fault:
        return str(fault)


def _pair(stored: Mapping[str, bytes], events: list[Event]) -> Pair:
    """The pair as the store on MongoDB assembles it from the documents that its queries find."""
    found = {name: bson.decode(raw, codec_options=STORED_TYPES) for name, raw in stored.items()}
    item = found["work item"]
    is_active = _holds(item.get("active"), True) and _holds(item.get("conversationId"), "c-1")
    items = [item] if "_id" in item and (is_active or item["_id"] == "w-1") else []
    has_user = _holds(found["session"].get("user"), "u-1")
    documents = BatchDocuments(
        states=_under(found["state"], "c-1"),
        conversations=_under(found["conversation"], "c-1"),
        work_items=keyed(items),
        unreadable=active_item_faults(items),
    )
    context = context_of(
        _under(found["queue"], "q-1").values(), [found["session"]] if has_user and "_id" in found["session"] else []
    )
    request = load_request_of("c-1", events)
    return pairs_of([request], documents, context)["c-1"]


def _holds(stored: Any, value: Any) -> bool:
    """Whether a query by the value finds what is stored: MongoDB looks into a list, too."""
    return any(
        type(each) is type(value) and each == value for each in (stored if isinstance(stored, list) else [stored])
    )


def _under(document: dict[str, Any], key: str) -> dict[str, dict[str, Any]]:
    return {key: document} if document.get("_id") == key else {}


def _check_written(write: DocumentWrite, raw: dict[str, Any]) -> None:
    """Assert that the write keeps the types of the stored document `raw`."""
    assert write.before is not None
    paths = changed_paths(write.before, write.after)
    written = bson.decode(bson.encode(as_bson(dict(paths.set))), codec_options=_RAW)
    for path, value in written.items():
        level, _, name = path.partition(".")
        old = raw.get(level)
        _check_type(old.get(name) if name and isinstance(old, dict) else old, value)


_KEPT: Final[Mapping[type, Callable[[Any], bool]]] = {
    datetime: lambda value: isinstance(value, str) and _has_milliseconds(value),
    float: lambda value: isinstance(value, int) and not isinstance(value, bool),
    Int64: lambda value: type(value) is int,
    Decimal128: lambda value: isinstance(value, int | float) and not isinstance(value, bool),
}
"""For each type that is kept: whether a value would be of JSON's type in its place."""


def _has_milliseconds(text: str) -> bool:
    """Whether a date can hold the text."""
    instant = parse_instant(text)
    return instant is not None and instant.microsecond % 1_000 == 0


def _check_type(old: Any, new: Any) -> None:
    if isinstance(old, dict) and isinstance(new, dict):
        for name in old.keys() & new.keys():
            _check_type(old[name], new[name])
    elif type(old) in _KEPT:
        assert not _KEPT[type(old)](new), f"{type(old).__name__} became {type(new).__name__}"
