"""The pair's draft: a decision is a value until it is applied, and applying it writes documents, state and outbox."""

from datetime import timedelta
from typing import Any

import pytest

from handlers.documents.document import document_from_snapshot
from handlers.documents.document_mapping import conversation_of, updated_conversation_document
from handlers.options import Options, PlanningContext
from handlers.planning.announcements import AnnouncementCause
from handlers.planning.drafts.pair_draft import PairDraft
from handlers.planning.pair_view import PairView
from handlers.ports import Document, Pair
from sync.conversation import with_fields
from sync.state.sync_state import SyncState
from tests.handlers.small_ports import START, CountedIds
from tests.handlers.wire_events import ORG, Json, changes, conversation, event, read, work_item

NOW = START + timedelta(minutes=1)
PLANNING = PlanningContext(now=NOW, queue_now=NOW, ids=CountedIds(), options=Options())
ASSIGNED = event(conversation(2, users=("u-1",)), changes=changes({"assignedUsers": ([], ["u-1"])}))


def stored(snapshot: Json) -> Document:
    return document_from_snapshot(snapshot, org=ORG, rev=snapshot["attributes"]["rev"])


def draft_of_an_assigned_conversation() -> PairDraft:
    """The conversation's assignment is observed; the work-item beside it has no agent yet."""
    pair = Pair(conversation=stored(conversation(1)), work_items=(stored(work_item(1, status="queued")),))
    draft = PairDraft("c-1", pair)
    draft.observe(read(ASSIGNED), store_snapshot=True)
    return draft


def test_deciding_changes_nothing() -> None:
    draft = draft_of_an_assigned_conversation()
    before, state = draft.plan(now=PLANNING.now), draft.state
    view = PairView.of(draft, before=SyncState(), planning=PLANNING)
    once, again = view.decide(None, ()), view.decide(None, ())
    assert once == again
    assert draft.state is state
    assert draft.plan(now=PLANNING.now) == before


def test_applying_writes_documents_state_and_outbox() -> None:
    draft = draft_of_an_assigned_conversation()
    view = PairView.of(draft, before=SyncState(), planning=PLANNING)
    trigger = read(ASSIGNED)
    decided = view.decide(trigger, [trigger])
    announcements = draft.apply(decided, view.item, AnnouncementCause.of(trigger), PLANNING)
    plan = draft.plan(now=PLANNING.now)
    assert decided.decision.work_item_fields == {"assignedTo": "u-1"}
    [write] = plan.work_items
    assert write.after["rev"] == 2
    assert plan.announcements == announcements
    assert [one.side for one in announcements] == ["work-item"]
    assert draft.state is decided.state


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "done"},
        {"assignedUsers": ["u-2"]},
        {"assignedUsers": []},
        {"ended": True},
        {"queue": {"id": "q-2"}},
        {"queue": {"id": None}},
        {"status": "done", "assignedUsers": [], "queue": {"id": None}},
    ],
    ids=repr,
)
def test_the_conversation_in_the_decision_is_the_one_that_is_written(fields: dict[str, Any]) -> None:
    document = stored(conversation(3, users=("u-1",), queue="q-1"))
    written = updated_conversation_document(document, fields, now=PLANNING.now)
    assert conversation_of(written) == with_fields(conversation_of(document), fields, now=PLANNING.now, rev=4)
