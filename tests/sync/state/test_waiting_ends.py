"""The state after the watermark has passed the time since which a pair waits (docs/rules.md, *Waiting, and the gap
poll*)."""

from typing import Any, Final

import pytest
from msgspec.structs import replace

from sync.conversation import FIELDS, Conversation, ConversationStatus, Field
from sync.evidence import NewerSide, evidence_of
from sync.state.agreement import shared_values
from sync.state.observation import Observation, observe
from sync.state.reconciliation import after_reconcile, after_waiting
from sync.state.sync_state import SyncState, ViewedValue, Waiting, for_pair
from tests.sync.observations import (
    EMPTY,
    NOW,
    a_conversation,
    a_work_item,
    conversation_event,
    seen,
    work_item_event,
)

C, W, WAITS = NewerSide.CONVERSATION, NewerSide.WORK_ITEM, NewerSide.UNDECIDED
CREATED: Final = work_item_event(1, *FIELDS, knew=4)
VIEWED: Final = after_reconcile(EMPTY, a_conversation(rev=4), a_work_item(rev=1), queue_now=NOW)
"""Both sides agreed at the conversation's revision 4: every field is in view, and known."""


def waiting_at(conversation_rev: int, work_item_rev: int, *events: Observation, state: SyncState = EMPTY) -> SyncState:
    """A state that waits since both documents had these revisions."""
    waiting = Waiting(since=NOW, conversation_rev=conversation_rev, work_item_rev=work_item_rev)
    return replace(seen(*events, state=state), waiting=waiting)


def newer(state: SyncState, name: Field, conversation: Conversation, item_rev: int = 3) -> NewerSide:
    return evidence_of(state, conversation, a_work_item(rev=item_rev)).newer_side(name)


def test_a_pair_that_does_not_wait_stays_as_it_is() -> None:
    state = seen(CREATED, conversation_event(6))
    assert after_waiting(state, a_conversation()) is state


class TestTheRevisionsThatCountAsObserved:
    def test_every_one_up_to_the_noted(self) -> None:
        after = after_waiting(waiting_at(6, 3, conversation_event(6), work_item_event(3)), a_conversation(rev=6))
        assert (after.conversation_observed, after.work_item_observed) == (((1, 6),), ((1, 3),))

    def test_none_above(self) -> None:
        after = after_waiting(waiting_at(6, 3, conversation_event(9), work_item_event(5)), a_conversation(rev=9))
        assert after.conversation_observed == ((1, 6), (9, 9))
        assert after.work_item_observed == ((1, 3), (5, 5))

    def test_none_of_a_work_item_that_came_after_the_wait_began(self) -> None:
        before = waiting_at(6, 3, CREATED)
        new = observe(before, work_item_event(2, "queue", knew=5, item="w2", number=2))
        assert after_waiting(new, a_conversation(rev=6)).work_item_observed == ((2, 2),)

    def test_the_wait_is_closed(self) -> None:
        assert after_waiting(waiting_at(6, 3), a_conversation()).waiting is None


class TestWhatDecidesThen:
    def test_a_field_that_no_lost_event_can_have_changed_is_the_work_items(self) -> None:
        state = waiting_at(6, 1, CREATED, conversation_event(6), state=VIEWED)
        assert newer(state, "queue", a_conversation(rev=6), item_rev=1) is WAITS
        assert newer(after_waiting(state, a_conversation(rev=6)), "queue", a_conversation(rev=6), item_rev=1) is W

    def test_a_work_item_write_whose_event_was_lost_did_not_say_what_it_knew(self) -> None:
        state = waiting_at(6, 3, CREATED, conversation_event(6, "queue"))
        assert newer(state, "queue", a_conversation(rev=6)) is WAITS
        assert newer(after_waiting(state, a_conversation(rev=6)), "queue", a_conversation(rev=6)) is C

    def test_a_later_revision_without_its_event_waits_anew(self) -> None:
        """The conversation was written again after the wait began; that event is not observed."""
        after = after_waiting(waiting_at(6, 1, state=VIEWED), a_conversation(rev=7, queue="q1"))
        assert newer(after, "queue", a_conversation(rev=7, queue="q1"), item_rev=1) is WAITS
        assert after.changed == {}


CHANGES: Final[list[tuple[Field, dict[str, Any]]]] = [
    ("assignee", {"assigned_users": ("u1",)}),
    ("queue", {"queue": "q1"}),
    ("status", {"status": ConversationStatus.DONE}),
    ("ended", {"ended": True}),
    ("paused", {"status": ConversationStatus.SNOOZED}),
]


class TestAViewOlderThanTheNotedRevision:
    @pytest.mark.parametrize(("name", "overrides"), CHANGES, ids=[name for name, _ in CHANGES])
    def test_a_stored_value_that_differs_from_it_changed_at_the_noted_revision(
        self, name: Field, overrides: dict[str, Any]
    ) -> None:
        after = after_waiting(waiting_at(6, 1, state=VIEWED), a_conversation(rev=6, **overrides))
        assert after.changed == {name: 6}

    def test_also_where_later_revisions_are_observed(self) -> None:
        state = waiting_at(6, 1, conversation_event(7), state=VIEWED)
        assert after_waiting(state, a_conversation(rev=7, queue="q1")).changed == {"queue": 6}

    def test_not_where_a_later_revision_is_unobserved(self) -> None:
        """Its own event may tell that it changed the field."""
        state = waiting_at(6, 1, conversation_event(8), state=VIEWED)
        assert after_waiting(state, a_conversation(rev=8, queue="q1")).changed == {}

    def test_the_value_at_the_noted_revision_tells_it_whatever_came_later(self) -> None:
        """The event of revision 6 was lost. The customer wrote revision 7 just before the watermark passed."""
        at_noted = shared_values(a_conversation(rev=6, queue="q1"))
        state = waiting_at(6, 1, state=VIEWED)
        assert state.waiting is not None
        noted = replace(state, waiting=replace(state.waiting, values=at_noted))
        after = after_waiting(noted, a_conversation(rev=7, queue="q1"))
        assert after.changed == {"queue": 6}
        assert newer(after, "queue", a_conversation(rev=7, queue="q1"), item_rev=1) is C

    def test_a_later_write_does_not_count_as_changed_at_the_noted_revision(self) -> None:
        at_noted = shared_values(a_conversation(rev=6))
        state = waiting_at(6, 1, conversation_event(7, "queue"), state=VIEWED)
        assert state.waiting is not None
        noted = replace(state, waiting=replace(state.waiting, values=at_noted))
        assert after_waiting(noted, a_conversation(rev=7, queue="q1")).changed == {"queue": 7}

    def test_not_where_the_value_is_the_viewed_one(self) -> None:
        assert after_waiting(waiting_at(6, 1, state=VIEWED), a_conversation(rev=6)).changed == {}

    @pytest.mark.parametrize("rev", [6, 7])
    def test_not_of_a_view_that_is_as_new_as_the_noted_revision(self, rev: int) -> None:
        viewed = {**VIEWED.view, "queue": ViewedValue(value="q9", rev=rev)}
        state = waiting_at(6, 1, conversation_event(7), state=replace(VIEWED, view=viewed))
        assert after_waiting(state, a_conversation(rev=7, queue="q1")).changed == {}

    def test_a_later_change_that_an_event_told_stands(self) -> None:
        state = waiting_at(6, 1, conversation_event(7, "ended", ended=True), state=VIEWED)
        after = after_waiting(state, a_conversation(rev=7, ended=True, queue="q1"))
        assert after.changed == {"ended": 7, "queue": 6}


class TestAFieldThatWasNeverViewed:
    def test_is_the_conversations_where_no_event_told_anything(self) -> None:
        after = after_waiting(waiting_at(6, 3, state=for_pair(EMPTY, a_work_item())), a_conversation(rev=6))
        assert after.changed == dict.fromkeys(FIELDS, 6)
        assert newer(after, "queue", a_conversation(rev=6)) is C

    def test_is_the_work_items_where_its_write_touched_it(self) -> None:
        """A fresh deployment: an agent accepts, and the write does not say what it knew."""
        after = after_waiting(waiting_at(6, 3, work_item_event(3, "assignee")), a_conversation(rev=6))
        assert "assignee" not in after.changed
        assert newer(after, "assignee", a_conversation(rev=6)) is W

    def test_goes_by_what_was_known_where_a_work_items_event_said_so(self) -> None:
        state = waiting_at(6, 3, work_item_event(3, "queue", knew=4))
        after = after_waiting(state, a_conversation(rev=6))
        assert "queue" not in after.changed
        assert newer(after, "queue", a_conversation(rev=6)) is W

    def test_is_the_conversations_where_its_event_changed_it_although_it_was_touched(self) -> None:
        events = (work_item_event(3, "assignee"), conversation_event(6, "assignee"))
        after = after_waiting(waiting_at(6, 3, *events), a_conversation(rev=6, assigned_users=("u1",)))
        assert newer(after, "assignee", a_conversation(rev=6, assigned_users=("u1",))) is C

    def test_a_touch_at_a_revision_after_the_noted_one_waits_for_those_between(self) -> None:
        state = waiting_at(6, 3, work_item_event(5, "assignee"))
        after = after_waiting(state, a_conversation(rev=6))
        assert newer(after, "assignee", a_conversation(rev=6), item_rev=5) is WAITS
