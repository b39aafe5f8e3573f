"""A pair's first sight, field by field (docs/rules.md, *First sight*).

The other document was written long before the deployment, so no event of it is in flight. Who finds that out is tested
in tests/handlers/planning.
"""

from typing import Any, Final

import pytest

from sync.conversation import FIELDS, Field
from sync.evidence import Evidence, FirstSight, NewerSide, evidence_of, unknown_fields
from sync.gates import Side
from sync.state.observation import Observation
from sync.state.reconciliation import after_reconcile
from sync.state.sync_state import SyncState, for_pair
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


def at_first(
    event: Observation, *, before: SyncState = EMPTY, declared: frozenset[Field] = frozenset(), **overrides: Any
) -> Evidence:
    """The evidence when the event asks; `overrides` are the conversation's. `before`: the state without the event."""
    sight = FirstSight(side=event.side, rev=event.rev, fields=unknown_fields(before, "w1"), declared_fields=declared)
    return evidence_of(seen(event, state=before), a_conversation(**overrides), a_work_item(), first_sight=sight)


class TestTheFieldsOfFirstSight:
    def test_all_before_anything_was_told(self) -> None:
        assert unknown_fields(EMPTY, "w1") == frozenset(FIELDS)

    def test_not_those_in_view(self) -> None:
        assert unknown_fields(seen(conversation_event(4, "queue")), "w1") == frozenset(FIELDS) - {"queue"}

    def test_not_those_in_known(self) -> None:
        assert unknown_fields(seen(work_item_event(2, "ended", knew=1)), "w1") == frozenset(FIELDS) - {"ended"}

    def test_those_that_were_touched_alone(self) -> None:
        assert unknown_fields(seen(work_item_event(2, "ended")), "w1") == frozenset(FIELDS)

    def test_another_work_items_known_says_nothing(self) -> None:
        assert unknown_fields(seen(CREATED), "w2") == frozenset(FIELDS)

    def test_none_after_a_reconcile(self) -> None:
        state = after_reconcile(EMPTY, a_conversation(), a_work_item(), queue_now=NOW)
        assert unknown_fields(state, "w1") == frozenset()


class TestFieldsGoTheEventsOwnWay:
    def test_of_a_conversations_event_it_is_newer_in_every_field(self) -> None:
        about = at_first(conversation_event(6))
        assert {about.newer_side(name) for name in FIELDS} == {C}

    def test_of_a_work_items_event_it_is_newer_in_every_field_but_paused(self) -> None:
        about = at_first(work_item_event(3))
        assert {name for name in FIELDS if about.newer_side(name) is W} == {*FIELDS} - {"paused"}

    def test_a_field_that_the_work_items_event_declares_goes_by_what_it_knew(self) -> None:
        before = seen(conversation_event(6, "queue", "assignee"))
        declared = frozenset[Field]({"queue"})
        about = at_first(work_item_event(3, "queue", knew=4), before=before, declared=declared)
        # Both were in view, so neither is at first sight; the other fields are.
        assert (about.newer_side("queue"), about.newer_side("assignee"), about.newer_side("ended")) == (C, WAITS, W)

    def test_of_a_declared_field_the_conversations_revisions_count_as_observed(self) -> None:
        about = at_first(work_item_event(3, "queue", knew=4), declared=frozenset({"queue"}))
        assert about.newer_side("queue") is W

    def test_a_field_that_the_conversations_event_changed_is_the_conversations(self) -> None:
        about = at_first(conversation_event(6, "queue"), declared=frozenset({"queue"}))
        assert (about.newer_side("queue"), about.newer_side("assignee")) == (C, C)

    def test_a_work_items_event_of_the_same_batch_that_knew_the_change_outweighs_it(self) -> None:
        """The write of the work-item knew the event's revision; no event declares the other fields."""
        sight = FirstSight(side="conversation", rev=6, fields=frozenset(FIELDS), declared_fields=frozenset({"queue"}))
        state = seen(conversation_event(6, "queue"), work_item_event(3, "queue", knew=6))
        about = evidence_of(state, a_conversation(), a_work_item(), first_sight=sight)
        assert (about.newer_side("queue"), about.newer_side("assignee")) == (W, C)

    def test_a_conversations_event_of_the_same_batch_outweighs_a_write_that_did_not_know_it(self) -> None:
        declared = frozenset[Field]({"queue"})
        sight = FirstSight(side="work-item", rev=3, fields=frozenset(FIELDS), declared_fields=declared)
        state = seen(conversation_event(6, "queue", "assignee"), work_item_event(3, "queue", knew=4))
        about = evidence_of(state, a_conversation(), a_work_item(), first_sight=sight)
        assert (about.newer_side("queue"), about.newer_side("assignee")) == (C, W)


class TestFieldByField:
    """A field told of before goes by its evidence, also where its neighbours are at first sight."""

    def test_a_field_in_view_waits_for_the_work_items_revisions(self) -> None:
        about = at_first(conversation_event(6), before=seen(conversation_event(4, "queue")))
        assert (about.newer_side("queue"), about.newer_side("assignee")) == (WAITS, C)

    def test_a_field_that_was_known_waits_for_the_conversations_revisions(self) -> None:
        about = at_first(work_item_event(3), before=seen(work_item_event(2, "queue", knew=4)))
        assert (about.newer_side("queue"), about.newer_side("assignee")) == (WAITS, W)

    def test_the_revisions_of_the_events_own_document_do_not_count_as_observed(self) -> None:
        """Revision 5 of the conversation may have changed what the work-item's write of revision 3 did not know."""
        sight = FirstSight(side="conversation", rev=6, fields=frozenset({"assignee"}))
        state = seen(work_item_event(3, "queue", knew=4), conversation_event(6))
        about = evidence_of(state, a_conversation(), a_work_item(), first_sight=sight)
        assert about.newer_side("queue") is WAITS

    def test_without_a_first_sight_every_field_waits(self) -> None:
        about = evidence_of(seen(conversation_event(6)), a_conversation(), a_work_item())
        assert {name for name in FIELDS if about.newer_side(name) is WAITS} == {*FIELDS} - {"paused"}

    def test_a_sight_of_no_field_is_none(self) -> None:
        sight = FirstSight(side="conversation", rev=6, fields=frozenset())
        about = evidence_of(seen(conversation_event(6)), a_conversation(), a_work_item(), first_sight=sight)
        assert about.newer_side("queue") is WAITS
        assert about.assumed == frozenset()


@pytest.mark.parametrize(
    ("side", "event"), [("conversation", conversation_event(6)), ("work-item", work_item_event(3))], ids=["c", "w"]
)
class TestNothingOfItIsRecorded:
    def test_in_the_state(self, side: Side, event: Observation) -> None:
        about = at_first(event)
        assert about.state == for_pair(seen(event), about.item)
        assert about.basis != about.state
        assert about.observed_side != side

    def test_so_the_next_event_finds_the_evidence_as_it_was(self, side: Side, event: Observation) -> None:
        about = at_first(event)
        again = evidence_of(about.state, about.conversation, about.item)
        assert {again.newer_side(name) for name in FIELDS if name != "paused"} == {WAITS}
        assert side == event.side


class TestAnotherWorkItem:
    def test_a_new_one_is_seen_first_in_the_fields_that_are_not_in_view(self) -> None:
        state = seen(CREATED, conversation_event(6, "queue"))
        new = a_work_item(id="w2", number=2, rev=1)
        sight = FirstSight(side="work-item", rev=1, fields=unknown_fields(state, "w2"))
        about = evidence_of(state, a_conversation(), new, first_sight=sight)
        assert (about.newer_side("assignee"), about.newer_side("queue")) == (W, WAITS)

    def test_an_older_one_is_not(self) -> None:
        state = seen(work_item_event(1, *FIELDS, knew=6, item="w2", number=2))
        sight = FirstSight(side="work-item", rev=3, fields=frozenset(FIELDS))
        about = evidence_of(state, a_conversation(), a_work_item(), first_sight=sight)
        assert about.newer_side("assignee") is WAITS
