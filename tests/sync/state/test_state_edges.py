"""Edges of the sync state: shared values, an event that is not newer, the closing of a gap (docs/rules.md)."""

from typing import Any

import pytest

from sync.conversation import Conversation, ConversationStatus
from sync.state.agreement import shared_values
from sync.state.observation import Observation, observe
from sync.state.revision_runs import RUNS_MAX, contains, with_revision
from sync.state.sync_state import SyncState

NOTHING: dict[str, Any] = {"assignee": [], "queue": None, "status": False, "ended": False, "paused": False}


@pytest.mark.parametrize(
    ("overrides", "values"),
    [
        ({}, {}),
        ({"assigned_users": ("u2", "u1")}, {"assignee": ["u2", "u1"]}),
        ({"queue": "q1"}, {"queue": "q1"}),
        ({"status": ConversationStatus.DONE}, {"status": True}),
        ({"deleted": True}, {"status": "deleted"}),
        ({"deleted": True, "status": ConversationStatus.DONE}, {"status": "deleted"}),
        ({"ended": True}, {"ended": True}),
        ({"status": ConversationStatus.SNOOZED}, {"paused": True}),
    ],
    ids=str,
)
def test_a_conversations_shared_values(overrides: dict[str, Any], values: dict[str, Any]) -> None:
    conversation = Conversation(**{"id": "c", "rev": 6, "status": ConversationStatus.OPEN, **overrides})
    assert shared_values(conversation) == {**NOTHING, **values}


def test_an_event_of_the_revision_that_was_reconciled_does_not_take_back_what_is_known_since() -> None:
    """`known[f]` is set by an event *newer* than `knownAt[f]`: the late event of revision 3 is not."""
    reconciled = SyncState(work_item="w1", work_item_number=1, known={"queue": 6}, known_at={"queue": 3})
    late = Observation(
        side="work-item",
        rev=3,
        is_sync=False,
        changed_fields=frozenset({"queue"}),
        known_conversation_rev=4,
        work_item="w1",
        work_item_number=1,
    )
    after = observe(reconciled, late)
    assert (after.known, after.known_at) == ({"queue": 6}, {"queue": 3})
    assert after.work_item_observed == ((3, 3),)


def test_the_lowest_gap_is_closed_from_the_beginning_of_the_lowest_run() -> None:
    runs = ((1, 6), *((rev, rev) for rev in range(10, 10 + 2 * (RUNS_MAX - 1), 2)))
    beyond = with_revision(runs, 1000)
    assert beyond[0] == (1, 10)
    assert all(contains(beyond, rev) for rev in (1, 6, 8, 10, 1000))
