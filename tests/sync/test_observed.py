"""A revision counts as observed only where its event was observed or the sync wrote it (*The sync state*).

Shown on whole decisions. A document that was only *read* may have an event still on its way. If its revision counted as
observed, policy `causal` would take every conversation revision as observed and call the work-item newer: so the
assignment of 2022-03-02 was lost.
"""

from datetime import UTC, datetime
from typing import Any, Final

import pytest

from handlers.documents.document import document_from_snapshot
from handlers.events.event import Event
from handlers.options import Options, PlanningContext, PolicyInUse
from handlers.planning.planner import PlannedPair, plan_pair
from handlers.ports import Document, Pair
from sync.gates import Side
from sync.state.revision_runs import contains
from sync.state.sync_state import SyncState
from tests.handlers.small_ports import CountedIds

NOW: Final = datetime(2022, 3, 2, 19, 13, 27, tzinfo=UTC)
EVERY_POLICY: Final = pytest.mark.parametrize("policy", list(PolicyInUse), ids=lambda policy: policy.value)


def conversation_data(rev: int, **attributes: Any) -> dict[str, Any]:
    return {
        "id": "c",
        "type": "conversation",
        "attributes": {"status": "open", "assignedUsers": [], "ended": False, "rev": rev, **attributes},
        "relationships": {},
    }


def work_item_data(rev: int, **attributes: Any) -> dict[str, Any]:
    base = {"resourceType": "conversation", "status": "ivr", "paused": False, "workItemNumber": 1, "rev": rev}
    return {
        "id": "w",
        "type": "work_item",
        "attributes": {**base, **attributes},
        "relationships": {"resource": {"data": {"type": "conversation", "id": "c"}}},
    }


def stored(data: dict[str, Any]) -> Document:
    return document_from_snapshot(data, org="o", rev=data["attributes"]["rev"])


def event_of(data: dict[str, Any]) -> Event:
    side: Side = "work-item" if data["type"] == "work_item" else "conversation"
    return Event(
        id="e",
        name=f"kustomer.{side}.update",
        side=side,
        org="o",
        partition="o",
        conversation_id="c",
        document_id=data["id"],
        rev=data["attributes"]["rev"],
        data=data,
        client="router",
        is_sync=False,
        is_own_sync=False,
        published_at=NOW,
        work_item_number=1 if side == "work-item" else 0,
    )


def decided(
    conversation: dict[str, Any], item: dict[str, Any], *, comes: dict[str, Any], policy: PolicyInUse
) -> PlannedPair:
    """The plan after one document's event; the other document is stored, and its event is on its way."""
    pair = Pair(conversation=stored(conversation), work_items=(stored(item),), state=SyncState())
    planning = PlanningContext(now=NOW, queue_now=NOW, ids=CountedIds(), options=Options(policy=policy))
    return plan_pair("c", pair, [event_of(comes)], planning=planning)


@EVERY_POLICY
def test_a_conversation_that_was_only_read_is_not_observed(policy: PolicyInUse) -> None:
    # The conversation was assigned at revision 6; that event has not come. In ivr no rule of A un-assigns it.
    item = work_item_data(2)
    planned = decided(conversation_data(6, assignedUsers=["u1"]), item, comes=item, policy=policy)
    assert planned.handled[0].audit.reasons[0].code == "IN_SYNC"
    assert planned.plan.conversation is None
    state = planned.plan.state
    assert state is not None
    assert contains(state.work_item_observed, 2)
    assert not contains(state.conversation_observed, 6)


@EVERY_POLICY
def test_a_work_item_that_was_only_read_is_not_observed(policy: PolicyInUse) -> None:
    # The queue rules wrote revision 2; its event says which conversation revision they knew, and has not come.
    conversation = conversation_data(6)
    planned = decided(conversation, work_item_data(2), comes=conversation, policy=policy)
    assert planned.handled[0].audit.reasons[0].code == "IN_SYNC"
    state = planned.plan.state
    assert state is not None
    assert contains(state.conversation_observed, 6)
    assert not contains(state.work_item_observed, 2)


@EVERY_POLICY
def test_a_conversation_that_the_sync_wrote_is_observed_as_written_and_not_as_read(policy: PolicyInUse) -> None:
    item = work_item_data(2, status="wrap-up")
    planned = decided(conversation_data(6, assignedUsers=["u1"]), item, comes=item, policy=policy)
    assert planned.plan.conversation is not None
    assert planned.plan.conversation.after["rev"] == 7
    state = planned.plan.state
    assert state is not None
    assert contains(state.conversation_observed, 7)
    assert not contains(state.conversation_observed, 6)
