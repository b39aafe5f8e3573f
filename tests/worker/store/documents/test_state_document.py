"""The document of a sync state: a field that is missing or of a wrong type (worker/store/state_document.py)."""

import pytest

from handlers.documents.stored_forms import UnreadableDocument
from worker.store.pair_assembly import work_item_ids_to_read
from worker.store.state_document import state_of, work_item_id_of


@pytest.mark.parametrize("part", [{}, {"workItem": None}, {"workItem": {}}])
def test_a_state_that_names_no_work_item_is_read(part: dict[str, object]) -> None:
    document = {"_id": "c1", "version": 3, **part}
    assert work_item_id_of(document) is None
    assert work_item_ids_to_read([], {"c1": document}) == []
    state = state_of(document)
    assert (state.version, state.work_item, state.work_item_rev, state.waiting) == (3, None, 0, None)


@pytest.mark.parametrize(
    "part", [{"workItem": {"id": {"$ne": 1}}}, {"workItem": {"id": 7}}, {"workItem": ["w1"]}], ids=repr
)
def test_a_work_item_of_another_type_gets_into_no_query_and_cannot_be_read(part: dict[str, object]) -> None:
    document = {"_id": "c1", "version": 3, **part}
    assert work_item_ids_to_read([], {"c1": document}) == []
    with pytest.raises(UnreadableDocument, match="c1 in the store cannot be read: workItem"):
        state_of(document)


def test_a_version_that_cannot_be_counted_on_is_unreadable() -> None:
    """The next version would be no 64-bit integer."""
    with pytest.raises(UnreadableDocument, match="c1 in the store cannot be read: version is the number"):
        state_of({"_id": "c1", "version": 2**63 - 1})


def test_a_state_names_its_work_item() -> None:
    document = {"_id": "c1", "version": 3, "workItem": {"id": "w1"}}
    assert work_item_id_of(document) == "w1"
    assert work_item_ids_to_read([], {"c1": document}) == ["w1"]
