"""The end of a wait by the watermark: what counts as changed, and at which revision."""

from datetime import UTC, datetime
from typing import Any

from msgspec.structs import replace

from commands.work_item import Status, WorkItem
from sync.conversation import Conversation, ConversationStatus
from sync.evidence import NewerSide, evidence_of
from sync.state.observation import Observation, observe
from sync.state.reconciliation import after_waiting
from sync.state.sync_state import SyncState, ViewedValue, Waiting

NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)


def _conversation(rev: int, **fields: Any) -> Conversation:
    return Conversation(id="c", rev=rev, status=ConversationStatus.OPEN, **fields)


def _waiting(conversation_rev: int, **fields: Any) -> SyncState:
    return SyncState(
        version=1,
        work_item="w",
        work_item_number=1,
        waiting=Waiting(since=NOW, conversation_rev=conversation_rev, work_item_rev=4),
        **fields,
    )


def test_a_field_without_any_event_changed_at_the_highest_revision_without_an_event() -> None:
    # Revision 6 is the sync's own: it is noted, but it changed no assignee.
    state = after_waiting(_waiting(6, conversation_observed=((6, 6),)), _conversation(6, assigned_users=("u1",)))
    assert state.changed["assignee"] == 5
    assert state.conversation_observed == ((1, 6),)


def test_a_second_wait_moves_no_assumed_change() -> None:
    conversation = _conversation(6, assigned_users=("u1",))
    state = after_waiting(_waiting(6, conversation_observed=((6, 6),)), conversation)
    again = replace(state, waiting=Waiting(since=NOW, conversation_rev=6, work_item_rev=5))
    assert after_waiting(again, conversation).changed["assignee"] == 5


def test_a_value_unlike_its_view_changed_at_the_highest_revision_without_an_event() -> None:
    view = {"queue": ViewedValue(value="q1", rev=4)}
    state = _waiting(8, conversation_observed=((1, 4), (6, 6), (8, 8)), view=view)
    assert after_waiting(state, _conversation(8, queue="q2")).changed["queue"] == 7


def test_a_second_wait_counts_no_change_again() -> None:
    view = {"queue": ViewedValue(value="q1", rev=4)}
    state = _waiting(5, conversation_observed=((1, 4), (6, 6)), view=view)
    ended = after_waiting(state, _conversation(5, queue="q2"))
    assert (ended.changed["queue"], ended.view["queue"]) == (5, ViewedValue(value="q2", rev=5))
    again = replace(ended, waiting=Waiting(since=NOW, conversation_rev=8, work_item_rev=4, values={"queue": "q2"}))
    assert after_waiting(again, _conversation(8, queue="q2")).changed["queue"] == 5


def test_a_value_unlike_its_view_changed_at_the_noted_revision_where_every_event_came() -> None:
    # The event of revision 5 had an unknown name: it was observed, and told nothing.
    view = {"queue": ViewedValue(value="q1", rev=4)}
    state = _waiting(5, conversation_observed=((1, 5),), view=view)
    assert after_waiting(state, _conversation(5, queue="q2")).changed["queue"] == 5


def test_a_write_that_knew_the_last_revision_without_an_event_is_newer() -> None:
    state = after_waiting(_waiting(6, conversation_observed=((6, 6),)), _conversation(6, assigned_users=("u1",)))
    state = observe(state, _write(rev=5, knew=5))
    assert _newer(state) is NewerSide.WORK_ITEM


def test_a_silent_write_after_the_wait_is_newer_where_no_event_told_of_a_change() -> None:
    state = after_waiting(_waiting(5), _conversation(5, assigned_users=("u1",)))
    assert _newer(state, item_rev=4) is NewerSide.CONVERSATION
    assert _newer(observe(state, _write(rev=5, knew=None))) is NewerSide.WORK_ITEM


def test_a_silent_write_does_not_outweigh_an_event_of_the_conversation() -> None:
    state = after_waiting(_waiting(5), _conversation(5, assigned_users=("u1",)))
    told = Observation(
        side="conversation",
        rev=6,
        is_sync=False,
        changed_fields=frozenset({"assignee"}),
        values={"assignee": ["u3"]},
    )
    state = observe(observe(state, _write(rev=5, knew=None)), told)
    assert _newer(state, conversation_rev=6) is NewerSide.CONVERSATION


def _write(*, rev: int, knew: int | None) -> Observation:
    return Observation(
        side="work-item",
        rev=rev,
        is_sync=False,
        changed_fields=frozenset({"assignee"}),
        known_conversation_rev=knew,
        work_item="w",
        work_item_number=1,
    )


def _newer(state: SyncState, *, item_rev: int = 5, conversation_rev: int = 0) -> NewerSide:
    conversation = _conversation(conversation_rev or state.conversation_observed[-1][1], assigned_users=("u1",))
    item = WorkItem(id="w", rev=item_rev, number=1, status=Status.ASSIGNED, assigned_to="u2")
    return evidence_of(replace(state), conversation, item).newer_side("assignee")
