"""The sync state after a decision, and the fields on which the sides agree (docs/rules.md, *The sync state*)."""

from collections.abc import Collection
from datetime import datetime, timedelta
from itertools import product
from typing import Any, Final

import pytest
from msgspec.structs import replace

from commands.work_item import Status, WorkItem
from sync.conversation import FIELDS, Conversation, ConversationStatus, Field
from sync.evidence import NewerSide, evidence_of
from sync.gates import Side
from sync.state.agreement import agreed_fields, shared_values
from sync.state.observation import observe
from sync.state.reconciliation import Reconciled, after_reconcile
from sync.state.revision_runs import contains
from sync.state.sync_state import DoneBy, SyncState, ViewedValue, Waiting
from tests.sync.observations import EMPTY, NOW, a_conversation, a_work_item, conversation_event, seen, work_item_event

ALL: Final = frozenset(FIELDS)


def settled(
    state: SyncState,
    conversation: Conversation,
    item: WorkItem,
    *,
    wrote: Collection[Side] = (),
    queue_now: datetime = NOW,
    **decided: Any,
) -> SyncState:
    """The state after a decision that left this pair. `decided` as in `Reconciled`; a side of `wrote` took one revision
    in the write."""
    revs: dict[Side, int] = {"conversation": conversation.rev, "work-item": item.rev}
    reconciled = Reconciled(wrote={side: revs[side] for side in wrote}, **decided)
    return after_reconcile(state, conversation, item, reconciled, queue_now=queue_now)


class TestReconciled:
    def test_where_the_sides_agree_the_work_item_knows_the_conversations_revision(self) -> None:
        before = seen(conversation_event(6, "queue"), work_item_event(1, *FIELDS, knew=4))
        after = settled(before, a_conversation(rev=6, queue="q1"), a_work_item(rev=3, queue="q1"))
        assert after.known == dict.fromkeys(FIELDS, 6)
        assert after.known_at == dict.fromkeys(FIELDS, 3)

    def test_where_they_differ_known_and_changed_stay_so_the_newer_side_stays_newer(self) -> None:
        before = seen(conversation_event(6, "ended"), work_item_event(1, *FIELDS, knew=4))
        snoozed = a_conversation(rev=6, ended=True, status=ConversationStatus.SNOOZED)
        after = settled(before, snoozed, a_work_item(rev=3, paused=True))
        assert {name for name in FIELDS if after.known[name] == 6} == ALL - {"ended"}
        assert (after.known["ended"], after.known_at["ended"]) == (4, 1)
        assert after.changed["ended"] > after.known["ended"]

    def test_the_syncs_own_writes_count_as_observed(self) -> None:
        before = seen(conversation_event(5), work_item_event(2))
        forward = settled(before, a_conversation(rev=6), a_work_item(rev=3), wrote=["work-item"])
        assert contains(forward.work_item_observed, 3)
        assert not contains(forward.conversation_observed, 6)
        reverse = settled(before, a_conversation(rev=6), a_work_item(rev=3), wrote=["conversation"])
        assert contains(reverse.conversation_observed, 6)
        assert not contains(reverse.work_item_observed, 3)

    def test_the_view_is_the_conversation_as_it_was_left(self) -> None:
        conversation = a_conversation(rev=6, assigned_users=("u1", "u2"), queue="q1", ended=True)
        after = settled(EMPTY, conversation, a_work_item())
        assert after.view == {
            name: ViewedValue(value=value, rev=6) for name, value in shared_values(conversation).items()
        }

    def test_a_view_of_a_higher_revision_stands(self) -> None:
        before = seen(conversation_event(9, "queue", queue="q9"))
        after = settled(before, a_conversation(rev=6, queue="q1"), a_work_item())
        assert after.view["queue"] == ViewedValue(value="q9", rev=9)
        assert after.view["ended"] == ViewedValue(value=False, rev=6)

    def test_of_a_write_that_left_revisions_out_all_of_them_count_as_observed(self) -> None:
        """Our first write of a restored document takes a revision above every one that was announced before."""
        before = seen(conversation_event(5))
        reconciled = Reconciled(wrote={"conversation": 6})
        after = after_reconcile(before, a_conversation(rev=9), a_work_item(), reconciled, queue_now=NOW)
        assert after.conversation_observed == ((5, 9),)

    def test_changed_is_for_outside_writes_alone(self) -> None:
        before = seen(conversation_event(5, "queue"))
        assert settled(before, a_conversation(rev=6), a_work_item()).changed == before.changed

    def test_again_is_no_news(self) -> None:
        once = settled(EMPTY, a_conversation(), a_work_item())
        assert settled(once, a_conversation(), a_work_item()) is once

    def test_the_syncs_own_event_coming_back_is_no_news(self) -> None:
        conversation, item = a_conversation(rev=6, queue="q1"), a_work_item(rev=3, queue="q1")
        reverse = settled(EMPTY, conversation, item, wrote=["conversation"])
        assert observe(reverse, conversation_event(6, "queue", sync=True, queue="q1")) is reverse
        forward = settled(EMPTY, conversation, item, wrote=["work-item"])
        assert observe(forward, work_item_event(3, "queue", knew=6, sync=True)) is forward


class TestAgree:
    """Agreement: `assignedTo` is one of the assigned users, or neither has any; the same queue; done and completed;
    ended and wrap-up; snoozed and paused; or neither."""

    @pytest.mark.parametrize(
        ("name", "conversation", "item", "expected"),
        [
            ("assignee", {}, {}, True),
            ("assignee", {"assigned_users": ("u2", "u1")}, {"assigned_to": "u1"}, True),
            ("assignee", {"assigned_users": ("u2",)}, {"assigned_to": "u1"}, False),
            ("assignee", {"assigned_users": ("u2",)}, {}, False),
            ("assignee", {}, {"assigned_to": "u1"}, False),
            ("queue", {}, {}, True),
            ("queue", {"queue": "q1"}, {"queue": "q1", "rule": "r1"}, True),
            ("queue", {"queue": "q1"}, {"queue": "q2"}, False),
            ("queue", {"queue": "q1"}, {}, False),
            ("queue", {}, {"queue": "q1"}, False),
            *(
                ("status", {"status": value}, {"status": status}, (value == "done") is (status == "completed"))
                for value, status in product(ConversationStatus, Status)
            ),
            *(
                ("ended", {"ended": value}, {"status": status}, value is (status == "wrap-up"))
                for value, status in product((False, True), Status)
            ),
            *(
                ("paused", {"status": value}, {"paused": paused}, (value == "snoozed") is paused)
                for value, paused in product(ConversationStatus, (False, True))
            ),
        ],
    )
    def test_by_field(self, name: Field, conversation: dict[str, Any], item: dict[str, Any], expected: bool) -> None:
        assert (name in agreed_fields(a_conversation(**conversation), a_work_item(**item))) is expected


class TestDoneBy:
    """The work-item whose completion A1 took in, and the conversation revision of that write."""

    COMPLETED: Final = a_work_item(rev=3, number=4, status=Status.COMPLETED)
    DONE: Final = a_conversation(rev=7, status=ConversationStatus.DONE)

    def test_is_noted_with_the_revision_of_the_write(self) -> None:
        after = settled(EMPTY, self.DONE, self.COMPLETED, wrote=["conversation"], completion=True)
        assert after.done_by == DoneBy(number=4, rev=7)

    def test_is_kept_until_another_completion_is_taken_in(self) -> None:
        before = replace(EMPTY, done_by=DoneBy(number=2, rev=5))
        assert settled(before, a_conversation(), a_work_item(number=3)).done_by == DoneBy(number=2, rev=5)
        after = settled(before, self.DONE, self.COMPLETED, wrote=["conversation"], completion=True)
        assert after.done_by == DoneBy(number=4, rev=7)

    def test_a_new_work_item_leaves_it(self) -> None:
        before = settled(EMPTY, self.DONE, self.COMPLETED, wrote=["conversation"], completion=True)
        after = observe(before, work_item_event(1, *FIELDS, knew=6, item="w2", number=5))
        assert (after.work_item, after.done_by) == ("w2", before.done_by)


class TestResumed:
    """B2 or B3 took the work-item of an ended conversation out of wrap-up: `ended` is the conversation's again."""

    ENDED: Final = a_conversation(rev=6, ended=True, queue="q1")
    QUEUED: Final = a_work_item(rev=4, status=Status.QUEUED, queue="q1")

    def test_ended_is_the_conversations_again(self) -> None:
        before = seen(conversation_event(2, "ended"), work_item_event(3, *FIELDS, knew=2))
        after = settled(before, self.ENDED, self.QUEUED, wrote=["work-item"], resumed=True)
        assert (after.changed["ended"], after.known["ended"], after.known_at["ended"]) == (6, 5, 4)

    def test_so_it_is_newer_once_an_agent_takes_the_work_item(self) -> None:
        before = seen(work_item_event(3, *FIELDS, knew=6))
        after = settled(before, self.ENDED, self.QUEUED, wrote=["work-item"], resumed=True)
        taken = seen(work_item_event(5, "assignee"), state=after)
        item = replace(self.QUEUED, rev=5, status=Status.ASSIGNED, assigned_to="u1")
        assert evidence_of(taken, self.ENDED, item).newer_side("ended") is NewerSide.CONVERSATION

    def test_not_where_both_agree_on_it(self) -> None:
        open_again = replace(self.ENDED, ended=False)
        after = settled(EMPTY, open_again, self.QUEUED, wrote=["work-item"], resumed=True)
        assert (after.changed, after.known["ended"]) == ({}, 6)

    def test_a_sync_changes_nothing_of_it_otherwise(self) -> None:
        before = seen(conversation_event(2, "ended"), work_item_event(3, *FIELDS, knew=2))
        after = settled(before, self.ENDED, self.QUEUED, wrote=["work-item"])
        assert (after.changed["ended"], after.known["ended"]) == (2, 2)


class TestOfAnotherWorkItem:
    OLD: Final = seen(conversation_event(4, "queue"), work_item_event(1, *FIELDS, knew=4))

    def test_a_decision_about_an_older_work_item_changes_nothing(self) -> None:
        new = observe(self.OLD, work_item_event(1, *FIELDS, knew=8, item="w2", number=2))
        assert settled(new, a_conversation(rev=9), a_work_item(id="w1", number=1, rev=7)) is new

    def test_it_may_be_the_first_of_a_new_one(self) -> None:
        before = replace(settled(self.OLD, a_conversation(), a_work_item()), finished_at=NOW)
        after = settled(before, a_conversation(rev=9), a_work_item(id="w2", number=2, rev=1), wrote=["work-item"])
        assert (after.work_item, after.work_item_number, after.work_item_observed) == ("w2", 2, ((1, 1),))
        assert after.known_at == dict.fromkeys(FIELDS, 1)
        assert after.finished_at is None


class TestWaiting:
    """A field waits where a rule fired for it, its newer side is not known, and the sides still differ."""

    DIFFER: Final = (a_conversation(rev=6, queue="q1"), a_work_item(rev=3, queue="q2"))
    QUEUE: Final = frozenset[Field]({"queue"})
    EARLIER: Final = Waiting(since=NOW - timedelta(seconds=20), conversation_rev=4, work_item_rev=2)

    OURS: Final = seen(work_item_event(1))

    def after(self, fired: frozenset[Field], undecided: frozenset[Field], state: SyncState = EMPTY) -> SyncState:
        return settled(state, *self.DIFFER, fired=fired, undecided=undecided)

    def test_since_now_by_the_queues_clock_with_the_stored_revisions(self) -> None:
        queue_now = NOW + timedelta(minutes=3)
        after = settled(EMPTY, *self.DIFFER, fired=self.QUEUE, undecided=self.QUEUE, queue_now=queue_now)
        values = shared_values(self.DIFFER[0])
        assert after.waiting == Waiting(since=queue_now, conversation_rev=6, work_item_rev=3, values=values)

    def test_it_keeps_its_first_time_and_revisions_however_often_it_is_asked(self) -> None:
        waiting = replace(self.OURS, waiting=self.EARLIER)
        assert self.after(self.QUEUE, self.QUEUE, waiting).waiting == self.EARLIER

    def test_also_where_another_field_waits_by_now(self) -> None:
        waiting = replace(self.OURS, waiting=self.EARLIER)
        assignee = frozenset[Field]({"assignee"})
        after = settled(
            waiting, a_conversation(assigned_users=("u1",)), a_work_item(), fired=assignee, undecided=assignee
        )
        assert after.waiting == self.EARLIER

    def test_a_new_work_item_sets_the_noted_revision_of_the_work_item_to_0(self) -> None:
        before = replace(seen(work_item_event(2)), waiting=self.EARLIER)
        after = observe(before, work_item_event(1, *FIELDS, knew=5, item="w2", number=2))
        assert after.waiting == replace(self.EARLIER, work_item_rev=0)

    @pytest.mark.parametrize(
        ("fired", "undecided"),
        [(QUEUE, frozenset()), (frozenset(), QUEUE), (QUEUE, frozenset({"assignee"})), (frozenset(), frozenset())],
        ids=["decided", "no-rule-fired", "another-is-undecided", "neither"],
    )
    def test_no_more_where_one_of_the_three_does_not_hold(
        self, fired: frozenset[Field], undecided: frozenset[Field]
    ) -> None:
        waiting = replace(self.OURS, waiting=self.EARLIER)
        assert self.after(fired, undecided, waiting).waiting is None

    def test_no_more_where_the_sides_agree(self) -> None:
        waiting = replace(self.OURS, waiting=self.EARLIER)
        after = settled(waiting, a_conversation(), a_work_item(), fired=self.QUEUE, undecided=self.QUEUE)
        assert after.waiting is None

    @pytest.mark.parametrize("name", ["undecided", "assumed"])
    def test_the_value_of_a_field_that_differs_and_was_not_decided_by_observed_revisions_is_not_viewed(
        self, name: str
    ) -> None:
        decided: dict[str, Any] = {name: self.QUEUE}
        after = settled(EMPTY, *self.DIFFER, **decided)
        assert "queue" not in after.view
        assert after.view["ended"] == ViewedValue(value=False, rev=6)

    def test_an_older_view_of_it_stands(self) -> None:
        before = seen(conversation_event(4, "queue", queue="q0"))
        assert self.after(self.QUEUE, self.QUEUE, before).view["queue"] == ViewedValue(value="q0", rev=4)

    @pytest.mark.parametrize("name", ["undecided", "assumed"])
    def test_the_value_of_a_field_on_which_both_agree_is_viewed(self, name: str) -> None:
        decided: dict[str, Any] = {name: self.QUEUE}
        after = settled(EMPTY, a_conversation(queue="q1"), a_work_item(queue="q1"), **decided)
        assert after.view["queue"] == ViewedValue(value="q1", rev=6)
        assert after.known["queue"] == 6

    def test_what_it_knew_stays_as_it_was(self) -> None:
        before = seen(work_item_event(2, *FIELDS, knew=4))
        after = self.after(self.QUEUE, self.QUEUE, before)
        assert (after.known["queue"], after.known_at["queue"]) == (4, 2)
