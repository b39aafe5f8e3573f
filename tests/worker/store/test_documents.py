"""Queues and sessions as other services store them."""

from typing import Any

import pytest

from commands.session import SessionEntry
from worker.store.documents import queue_of, session_of

SIZES = [
    (2, 2), (2.0, 2), (0.5, 0.5), (-1, -1), (-2.5, -2.5), (0, 0), (1e300, 1e300),
    (float("nan"), None), (float("inf"), None), (float("-inf"), None),
    (True, None), ("2", None), (None, None), ({}, None),
]  # fmt: skip


@pytest.mark.parametrize(("stored", "read"), SIZES, ids=repr)
def test_an_item_size_is_any_finite_number_and_anything_else_counts_as_not_set(stored: Any, read: Any) -> None:
    for document in ({"_id": "q", "itemSize": stored}, {"_id": "q", "attributes": {"itemSize": stored}}):
        size = queue_of(document).item_size
        assert (size, type(size)) == (read, type(read))
    session = session_of({"_id": "s", "user": "u", "workItems": [{"id": "w", "itemSize": stored}]})
    assert session is not None
    assert session.work_items == (SessionEntry(id="w", item_size=1 if read is None else read),)


@pytest.mark.parametrize(("stored", "read"), [(3, 3), (3.0, 3), (2.5, 0), (float("inf"), 0), ("3", 0)], ids=repr)
def test_a_capacity_is_a_whole_number(stored: Any, read: int) -> None:
    session = session_of({"_id": "s", "user": "u", "capacity": stored})
    assert session is not None
    assert session.capacity == read


def test_used_and_free_capacity_may_be_fractions() -> None:
    entries = [{"id": "a", "itemSize": 0.5}, {"id": "b", "itemSize": -7}, {"id": "c", "itemSize": 1.25}]
    session = session_of({"_id": "s", "user": "u", "capacity": 4, "workItems": entries})
    assert session is not None
    assert (session.used_capacity, session.free_capacity) == (1.75, 2.25)
