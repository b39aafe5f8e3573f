"""Queues and sessions as other services store them."""

from typing import Any

import pytest

from commands.session import SessionEntry
from handlers.documents.stored_forms import UnreadableDocument
from worker.store.documents import queue_of, session_of

SIZES = [(2, 2), (0.5, 0.5), (-1, -1), (-2.5, -2.5), (0, 0), (1e300, 1e300), (None, None)]
NO_SIZES = [float("nan"), float("inf"), float("-inf"), True, "2", {}]


@pytest.mark.parametrize(("stored", "read"), SIZES, ids=repr)
def test_an_item_size_is_any_finite_number(stored: Any, read: Any) -> None:
    for document in ({"_id": "q", "itemSize": stored}, {"_id": "q", "attributes": {"itemSize": stored}}):
        size = queue_of(document).item_size
        assert (size, type(size)) == (read, type(read))
    session = session_of({"_id": "s", "user": "u", "workItems": [{"id": "w", "itemSize": stored}]})
    assert session.work_items == (SessionEntry(id="w", item_size=1 if read is None else read),)


@pytest.mark.parametrize("stored", NO_SIZES, ids=repr)
def test_an_item_size_of_another_type_makes_the_document_unreadable(stored: Any) -> None:
    for document in ({"_id": "q", "itemSize": stored}, {"_id": "q", "attributes": {"itemSize": stored}}):
        with pytest.raises(UnreadableDocument, match="q in the store cannot be read: itemSize is"):
            queue_of(document)
    with pytest.raises(UnreadableDocument, match=r"s in the store cannot be read: workItems\.0\.itemSize is"):
        session_of({"_id": "s", "user": "u", "workItems": [{"id": "w", "itemSize": stored}]})


QUEUES = [
    ({"key": 7}, "key is the number 7, not `str | null`"),
    ({"priority": True}, "priority is true, not `int | null`"),
    ({"attributes": "x"}, 'attributes is the text "x", not `object | null`'),
    ({"attributes": {"priority": 2.5}}, "priority is the number 2.5, not `int | null`"),
]
SESSIONS = [
    ({"user": None}, "user is null, not `str`"),
    ({"active": "false"}, 'active is the text "false", not `bool | null`'),
    ({"capacity": 2.5}, "capacity is the number 2.5, not `int | null`"),
    ({"capacity": "3"}, 'capacity is the text "3", not `int | null`'),
    ({"workItems": "w-1"}, 'workItems is the text "w-1", not `array | null`'),
    ({"workItems": ["w-1"]}, 'workItems.0 is the text "w-1", not `object`'),
    ({"pausedWorkItems": [{"itemSize": 1}]}, "pausedWorkItems.0.id is missing"),
    ({"pendingItem": {"id": "w-1"}}, "pendingItem is an object, not `str | null`"),
]


@pytest.mark.parametrize(("fields", "said"), QUEUES, ids=repr)
def test_a_queue_is_read_by_its_types(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(UnreadableDocument) as fault:
        queue_of({"_id": "q-1", **fields})
    assert str(fault.value) == f"q-1 in the store cannot be read: {said}"


@pytest.mark.parametrize(("fields", "said"), SESSIONS, ids=repr)
def test_a_session_is_read_by_its_types(fields: dict[str, Any], said: str) -> None:
    with pytest.raises(UnreadableDocument) as fault:
        session_of({"_id": "s-1", "user": "u-1", **fields})
    assert str(fault.value) == f"s-1 in the store cannot be read: {said}"


def test_used_and_free_capacity_may_be_fractions() -> None:
    entries = [{"id": "a", "itemSize": 0.5}, {"id": "b", "itemSize": -7}, {"id": "c", "itemSize": 1.25}]
    session = session_of({"_id": "s", "user": "u", "capacity": 4, "workItems": entries})
    assert (session.used_capacity, session.free_capacity) == (1.75, 2.25)
