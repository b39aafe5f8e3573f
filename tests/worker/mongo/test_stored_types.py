"""Row 4 of the public failures: BSON values as they are read, announced and written back."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import bson
import orjson
import pytest
from bson import DBRef, Decimal128, Int64, MinKey, ObjectId, Regex, Timestamp
from bson.binary import Binary
from bson.code import Code
from bson.codec_options import CodecOptions, DatetimeConversion
from bson.datetime_ms import DatetimeMS
from hypothesis import given
from hypothesis import strategies as st

from handlers.documents.document_mapping import conversation_of, updated_conversation_document
from handlers.documents.stored_values import json_form
from handlers.events.event import Event
from handlers.events.parser import read_message
from handlers.options import Options, PlanningContext, PolicyInUse
from handlers.planning.announcements import AnnouncementCause, new_announcement
from tests.handlers.small_ports import CountedIds
from tests.handlers.wire_events import Json, changes, conversation, event, work_item
from tests.worker.store.documents.test_unreadable_documents import handled, stored, with_value
from tests.worker.store.store_bench import MongoBench
from worker.mongo.stored_types import STORED_TYPES, as_bson
from worker.store.documents import Collection
from worker.store.transaction.changed_paths import changed_paths

AT = datetime(2024, 5, 6, 7, 8, 9, 120_000, tzinfo=UTC)
NOW = AT + timedelta(minutes=1)
ISO = "2024-05-06T07:08:09.120Z"
OBJECT_ID = ObjectId("6b0893e8268b3381b9b8ee62")
_RAW: CodecOptions[dict[str, Any]] = CodecOptions(
    tz_aware=True, tzinfo=UTC, datetime_conversion=DatetimeConversion.DATETIME_AUTO
)

FORMS = [
    pytest.param(AT, ISO, id="date"),
    pytest.param(3.0, 3, id="whole double"),
    pytest.param(-0.0, -0.0, id="negative zero"),
    pytest.param(1e300, 1e300, id="large double"),
    pytest.param(0.5, 0.5, id="fraction"),
    pytest.param(float("nan"), None, id="NaN"),
    pytest.param(Int64(3), 3, id="int64"),
    pytest.param(Int64(2**60), 2**60, id="large int64"),
    pytest.param(Decimal128("3"), 3, id="decimal"),
    pytest.param(Decimal128("1.5"), "1.5", id="decimal fraction"),
    pytest.param(Decimal128("1E+6000"), "1E+6000", id="large decimal"),
    pytest.param(OBJECT_ID, str(OBJECT_ID), id="ObjectId"),
    pytest.param(b"ab", "YWI=", id="binary"),
    pytest.param(Binary(b"\xff\x00", 128), "/wA=", id="binary of another subtype"),
    pytest.param(
        Binary.from_uuid(UUID("22db5889-e88a-4898-8892-aa6a5aae0f05")),
        "22db5889-e88a-4898-8892-aa6a5aae0f05",
        id="UUID",
    ),
    pytest.param(DBRef("users", OBJECT_ID, at=AT), {"$ref": "users", "$id": str(OBJECT_ID), "at": ISO}, id="reference"),
    pytest.param(Regex("a.b", "i"), {"$regularExpression": {"pattern": "a.b", "options": "i"}}, id="regex"),
    pytest.param(Timestamp(1, 2), {"$timestamp": {"t": 1, "i": 2}}, id="timestamp"),
    pytest.param(MinKey(), {"$minKey": 1}, id="MinKey"),
    pytest.param(Code("f()", {"a": OBJECT_ID}), {"$code": "f()", "$scope": {"a": str(OBJECT_ID)}}, id="code"),
    pytest.param(DatetimeMS(2**60), {"$date": {"$numberLong": str(2**60)}}, id="date beyond Python's"),
]


@pytest.mark.parametrize(("value", "form"), FORMS)
def test_row_4_a_value_has_a_json_form_and_is_written_back_as_it_stood(value: Any, form: Any) -> None:
    raw = bson.encode({"a": value, "b": {"c": [value]}})
    read = bson.decode(raw, codec_options=STORED_TYPES)
    said = orjson.loads(orjson.dumps(read, default=json_form, option=orjson.OPT_PASSTHROUGH_DATETIME))
    assert repr(said) == repr({"a": form, "b": {"c": [form]}})
    assert bson.encode(as_bson(read)) == raw


_LEAVES = (
    st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.floats() | st.text(max_size=5)
    | st.integers(-(2**40), 2**40).map(Int64) | st.binary(max_size=5)
    | st.integers(-(10**15), 10**15).map(lambda ms: AT.replace(microsecond=0) + timedelta(milliseconds=ms % 10**12))
    | st.decimals(places=2, min_value=-(10**9), max_value=10**9).map(lambda number: Decimal128(str(number)))
    | st.sampled_from([OBJECT_ID, DBRef("users", OBJECT_ID), Regex("a"), Timestamp(1, 2), MinKey(), DatetimeMS(2**60)])
)  # fmt: skip
_NAMES = st.text(max_size=4).filter(lambda name: "\0" not in name)
_VALUES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES, inner, max_size=3), max_leaves=8
)


@given(
    custom=_VALUES,
    rev=st.sampled_from([3, 3.0, Int64(3), Decimal128("3")]),
    at=st.sampled_from([AT, ISO, None]),
    users=st.lists(st.sampled_from(["u-1", "u-2"]), max_size=2),
)
def test_row_4_what_is_announced_our_reader_reads(custom: Any, rev: Any, at: Any, users: list[str]) -> None:
    """From MongoDB through the noun to the announcement, to the reader, and back to MongoDB."""
    document = stored(conversation(3, queue="q-1", users=tuple(users), custom=custom, updatedAt=at))
    document["rev"] = document["attributes"]["rev"] = rev
    kept = bson.decode(bson.encode(document), codec_options=_RAW)
    before = bson.decode(bson.encode(document), codec_options=STORED_TYPES)
    assert conversation_of(before).assigned_users == tuple(users)
    after = updated_conversation_document(before, {"status": "done"}, now=NOW)
    told = read_message(
        new_announcement(
            "conversation",
            before=before,
            after=after,
            reasons=(),
            cause=AnnouncementCause(conversation_id="c-1"),
            planning=PlanningContext(now=NOW, queue_now=NOW, ids=CountedIds(), options=Options()),
        ).message
    )
    assert isinstance(told, Event)
    assert told.rev == 4
    paths = changed_paths(before, after)
    assert set(paths.set) == {"rev", "attributes.rev", "attributes.status", "attributes.updatedAt"}
    written = bson.decode(bson.encode(as_bson(dict(paths.set))), codec_options=_RAW)
    assert type(written["rev"]) is type(written["attributes.rev"]) is type(kept["rev"])
    assert isinstance(written["attributes.updatedAt"], datetime if at is AT else str)
    assert repr(bson.decode(bson.encode(as_bson(before)), codec_options=_RAW)) == repr(kept)


def types_of(value: Any) -> Any:
    """The value with each leaf replaced by its type."""
    if isinstance(value, Mapping):
        return {name: types_of(inner) for name, inner in value.items()}
    return [types_of(inner) for inner in value] if isinstance(value, list) else type(value)


async def raw(bench: MongoBench, collection: Collection) -> dict[str, Any]:
    [document] = await bench.database.get_collection(collection, codec_options=_RAW).find().to_list()
    return document


UNMODELLED: Json = {
    "date": AT, "double": 2.0, "binary": b"ab", "owner": OBJECT_ID, "price": Decimal128("9.90"),
    "log": [{"at": AT, "by": OBJECT_ID}], "reference": DBRef("users", OBJECT_ID),
}  # fmt: skip


@pytest.mark.parametrize("kind", [float, Int64, lambda rev: Decimal128(str(rev))], ids=["double", "int64", "decimal"])
async def test_row_4_a_conversation_keeps_its_types_when_it_is_written(mongo: MongoBench, kind: Any) -> None:
    document = stored(conversation(5, users=(), **UNMODELLED))
    document["rev"] = document["attributes"]["rev"] = kind(5)
    document["attributes"]["updatedAt"] = AT
    item = stored(work_item(5, user="u-1", session="s-1", status="queued"))
    await mongo.put(conversations=[document], work_items=[item])
    before = await raw(mongo, Collection.CONVERSATIONS)

    knew = [{"action": "ACCEPT", "code": "ACCEPTED", "meta": {"conversationRev": 5}}]
    taken = work_item(6, user="u-1", session="s-1", status="assigned")
    await mongo.put(work_items=[stored(taken)])
    said = changes({"status": ("queued", "assigned")}, {"assignedTo": (None, "u-1")})
    [end] = await handled(mongo, event(taken, changes=said, routingReasons=knew), policy=PolicyInUse.LEGACY)
    assert end.outcome.reason == "APPLIED"

    after = await raw(mongo, Collection.CONVERSATIONS)
    assert types_of(after) == types_of(with_value(before, "attributes.assignedUsers", ["u-1"]))
    assert after["rev"] == kind(6)
    assert after["attributes"]["updatedAt"] > AT
    assert {name: after["attributes"][name] for name in UNMODELLED} == {
        name: before["attributes"][name] for name in UNMODELLED
    }
    [announcement] = end.announcements
    told = read_message(announcement.message)
    assert isinstance(told, Event)
    assert (told.rev, told.data["attributes"]["date"], told.data["attributes"]["double"]) == (6, ISO, 2)
    assert told.data["attributes"]["log"] == [{"at": ISO, "by": str(OBJECT_ID)}]
    assert (told.data["attributes"]["binary"], told.data["attributes"]["price"]) == ("YWI=", "9.90")
    changed = orjson.loads(announcement.message)["body"]["changes"]["attributes"]
    assert changed["updatedAt"]["before"] == ISO
    assert changed["updatedAt"]["after"].endswith("Z")
    assert set(changed) == {"rev", "assignedUsers", "updatedAt"}


async def test_row_4_a_work_item_keeps_its_types_when_it_is_written(mongo: MongoBench) -> None:
    item = stored(
        work_item(5, user="u-1", session="s-1", status="assigned", itemSize=2.0, queuedCount=3.0, **UNMODELLED)
    )
    item["attributes"] |= {
        "updatedAt": AT,
        "firstEnterQueueAt": AT,
        "handle": {"time": Int64(5), "note": OBJECT_ID},
        "lastRevision": {"enteredQueueAt": AT, "queueTime": 7.0, "acceptedAt": AT, "by": OBJECT_ID},
    }
    item["workItemNumber"] = 1.0
    closed = conversation(6, users=("u-1",), status="done")
    await mongo.put(conversations=[stored(closed)], work_items=[item])
    before = await raw(mongo, Collection.WORK_ITEMS)

    [end] = await handled(
        mongo, event(closed, changes=changes({"status": ("open", "done")})), policy=PolicyInUse.LEGACY
    )
    assert end.outcome.reason == "APPLIED"
    after = await raw(mongo, Collection.WORK_ITEMS)
    kept = set(before["attributes"]) - {"status"}
    assert {name: types_of(after["attributes"][name]) for name in kept} == {
        name: types_of(before["attributes"][name]) for name in kept
    }
    assert after["attributes"]["status"] == "completed"
    assert after["attributes"]["updatedAt"] > AT
    [announcement] = end.announcements
    told = read_message(announcement.message)
    assert isinstance(told, Event)
    assert (told.rev, told.work_item_number, told.data["attributes"]["itemSize"]) == (6, 1, 2)
    assert told.data["attributes"]["lastRevision"]["enteredQueueAt"] == ISO
    assert told.data["attributes"]["lastRevision"]["by"] == str(OBJECT_ID)
    assert told.data["attributes"]["firstEnterQueueAt"] == ISO


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        ("relationships.queue.data.id", OBJECT_ID, f"is the ObjectId {OBJECT_ID}, not `str`"),
        ("attributes.assignedUsers", [OBJECT_ID], f"attributes.assignedUsers.0 is the ObjectId {OBJECT_ID}, not `str`"),
        ("attributes.updatedAt", DatetimeMS(2**60), "attributes.updatedAt is a value of the type DatetimeMS"),
        ("attributes.ended", b"x", "attributes.ended is a value of the type binary"),
        ("rev", 3.5, "rev is the number 3.5, not"),
        ("rev", Decimal128("3.5"), "rev is the decimal 3.5, not"),
    ],
)
async def test_rows_3_and_4_another_type_in_a_modelled_field_is_named(
    mongo: MongoBench, path: str, value: Any, said: str
) -> None:
    document = with_value(stored(conversation(5, queue="q-1", users=("u-1",))), path, value)
    await mongo.put(conversations=[document], work_items=[stored(work_item(5))])
    thing = event(conversation(6, users=("u-2",)), changes=changes({"assignedUsers": (["u-1"], ["u-2"])}))
    [end] = await handled(mongo, thing)
    [reason] = end.audit.reasons
    assert reason.code.value == "STORED_DOCUMENT_UNREADABLE"
    assert said in str(reason.meta)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"deep": orjson.loads("[" * 70 + "]" * 70)}, "nests deeper than 64 levels"),
        ({"a.b": 1}, "a name beside `attributes` that has a dot"),
        ({"org": "o\0"}, "org: String should match pattern"),
    ],
    ids=["depth", "name", "null character"],
)
async def test_row_4_nothing_is_announced_that_our_reader_refuses(
    mongo: MongoBench, more: dict[str, Any], said: str
) -> None:
    taken = work_item(6, user="u-1", session="s-1", status="assigned")
    await mongo.put(conversations=[{**stored(conversation(5)), **more}], work_items=[stored(taken)])
    knew = [{"action": "ACCEPT", "code": "ACCEPTED", "meta": {"conversationRev": 5}}]
    said_changes = changes({"status": ("queued", "assigned")}, {"assignedTo": (None, "u-1")})
    [end] = await handled(mongo, event(taken, changes=said_changes, routingReasons=knew), policy=PolicyInUse.LEGACY)
    [reason] = end.audit.reasons
    assert reason.code.value == "STORED_DOCUMENT_UNREADABLE"
    assert "c-1 in the store cannot be announced: " in str(reason.meta)
    assert said in str(reason.meta)


async def test_row_4_a_count_that_would_leave_the_readers_range_is_not_announced(mongo: MongoBench) -> None:
    """A work-item that is queued once more counts it."""
    item = work_item(5, user="u-1", session="s-1", queue="q-1", status="assigned", queuedCount=2**53 - 1)
    await mongo.put(conversations=[stored(conversation(6, queue="q-1"))], work_items=[stored(item)])
    thing = event(conversation(6, queue="q-1"), changes=changes({"assignedUsers": (["u-1"], [])}))
    [end] = await handled(mongo, thing, policy=PolicyInUse.LEGACY)
    [reason] = end.audit.reasons
    assert reason.code.value == "STORED_DOCUMENT_UNREADABLE"
    assert "w-1 in the store cannot be announced: data.attributes.queuedCount" in str(reason.meta)
