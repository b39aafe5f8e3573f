"""The sync state after a decision, and the fields on which the sides agree (docs/rules.md, *The sync state*)."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any, Final

import pytest
from msgspec.structs import replace

from commands.work_item import Status, WorkItem
from sync.conversation import FIELDS, Conversation, ConversationStatus, Field
from sync.gates import Side
from sync.revision_runs import contains
from sync.state import (
    SyncState,
    ViewedValue,
    after_reconcile,
    agreed_fields,
    observe,
    reset_if_restored,
    shared_values,
    with_stored_revisions,
)
from tests.sync.observations import EMPTY, a_conversation, a_work_item, conversation_event, seen, work_item_event

NOW: Final = datetime(2024, 5, 6, tzinfo=UTC)
ALL: Final = frozenset(FIELDS)


def settled(
    state: SyncState,
    conversation: Conversation,
    item: WorkItem,
    *,
    wrote: Collection[Side] = (),
    fired: frozenset[Field] = frozenset(),
    undecided: frozenset[Field] = frozenset(),
) -> SyncState:
    """The state after a decision at `NOW`."""
    return after_reconcile(state, conversation, item, now=NOW, wrote=wrote, fired=fired, undecided=undecided)


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


class TestOfAnotherWorkItem:
    OLD: Final = seen(conversation_event(4, "queue"), work_item_event(1, *FIELDS, knew=4))

    def test_a_decision_about_an_older_work_item_changes_nothing(self) -> None:
        new = observe(self.OLD, work_item_event(1, *FIELDS, knew=8, item="w2", number=2))
        assert settled(new, a_conversation(rev=9), a_work_item(id="w1", number=1, rev=7)) is new

    def test_it_may_be_the_first_sight_of_a_new_one(self) -> None:
        before = replace(settled(self.OLD, a_conversation(), a_work_item()), finished_at=NOW)
        after = settled(before, a_conversation(rev=9), a_work_item(id="w2", number=2, rev=1), wrote=["work-item"])
        assert (after.work_item, after.work_item_number, after.work_item_observed) == ("w2", 2, ((1, 1),))
        assert after.known_at == dict.fromkeys(FIELDS, 1)
        assert (after.reconciled, after.finished_at) == (True, None)


class TestWaiting:
    """A field waits where a rule fired for it, its newer side is not known, and the sides still differ."""

    DIFFER: Final = (a_conversation(queue="q1"), a_work_item(queue="q2"))
    QUEUE: Final = frozenset[Field]({"queue"})
    EARLIER: Final = NOW - timedelta(seconds=20)

    def after(self, fired: frozenset[Field], undecided: frozenset[Field], state: SyncState = EMPTY) -> SyncState:
        return settled(state, *self.DIFFER, fired=fired, undecided=undecided)

    def test_since_now(self) -> None:
        assert self.after(self.QUEUE, self.QUEUE).waiting_since == NOW

    def test_since_the_first_time_however_often_it_is_asked(self) -> None:
        waiting = replace(EMPTY, waiting_since=self.EARLIER)
        assert self.after(self.QUEUE, self.QUEUE, waiting).waiting_since == self.EARLIER

    @pytest.mark.parametrize(
        ("fired", "undecided"),
        [(QUEUE, frozenset()), (frozenset(), QUEUE), (QUEUE, frozenset({"assignee"})), (frozenset(), frozenset())],
        ids=["decided", "no-rule-fired", "another-is-undecided", "neither"],
    )
    def test_no_more_where_one_of_the_three_does_not_hold(
        self, fired: frozenset[Field], undecided: frozenset[Field]
    ) -> None:
        waiting = replace(EMPTY, waiting_since=self.EARLIER)
        assert self.after(fired, undecided, waiting).waiting_since is None

    def test_no_more_where_the_sides_agree(self) -> None:
        waiting = replace(EMPTY, waiting_since=self.EARLIER)
        after = settled(waiting, a_conversation(), a_work_item(), fired=self.QUEUE, undecided=self.QUEUE)
        assert after.waiting_since is None

    def test_the_value_of_an_undecided_field_that_differs_is_not_viewed(self) -> None:
        after = self.after(self.QUEUE, self.QUEUE)
        assert "queue" not in after.view
        assert after.view["ended"] == ViewedValue(value=False, rev=6)

    def test_nor_where_no_rule_asked_for_it(self) -> None:
        assert "queue" not in self.after(frozenset(), self.QUEUE).view

    def test_an_older_view_of_it_stands(self) -> None:
        before = seen(conversation_event(4, "queue", queue="q0"))
        assert self.after(self.QUEUE, self.QUEUE, before).view["queue"] == ViewedValue(value="q0", rev=4)

    def test_the_value_of_an_undecided_field_on_which_both_agree_is_viewed(self) -> None:
        after = settled(EMPTY, a_conversation(queue="q1"), a_work_item(queue="q1"), undecided=self.QUEUE)
        assert after.view["queue"] == ViewedValue(value="q1", rev=6)
        assert after.known["queue"] == 6

    def test_what_it_knew_stays_as_it_was(self) -> None:
        before = seen(work_item_event(2, *FIELDS, knew=4))
        after = self.after(self.QUEUE, self.QUEUE, before)
        assert (after.known["queue"], after.known_at["queue"]) == (4, 2)


class TestStored:
    """The revisions that the store is known to hold, and the time at which the pair was seen finished."""

    OURS: Final = seen(work_item_event(1))

    def test_the_highest_revisions_ever_stored(self) -> None:
        once = with_stored_revisions(self.OURS, a_conversation(rev=6), a_work_item(rev=3), now=NOW)
        assert (once.conversation_rev, once.work_item_rev) == (6, 3)
        again = with_stored_revisions(once, a_conversation(rev=5), a_work_item(rev=2), now=NOW)
        assert again is once

    def test_a_missing_document_changes_nothing(self) -> None:
        assert with_stored_revisions(self.OURS, None, None, now=NOW) is self.OURS

    def test_another_work_item_changes_nothing(self) -> None:
        other = a_work_item(id="w0", rev=9, status=Status.COMPLETED)
        assert with_stored_revisions(self.OURS, None, other, now=NOW) is self.OURS

    def test_the_end_is_when_it_was_first_seen_and_none_while_it_goes_on(self) -> None:
        over = with_stored_revisions(self.OURS, None, a_work_item(status=Status.COMPLETED), now=NOW)
        assert over.finished_at == NOW
        later = NOW + timedelta(days=1)
        assert with_stored_revisions(over, None, a_work_item(status=Status.COMPLETED), now=later).finished_at == NOW
        assert with_stored_revisions(over, None, a_work_item(), now=later).finished_at is None

    @pytest.mark.parametrize("ended", [{"deleted": True}, {"status": ConversationStatus.DONE}])
    def test_a_closed_conversation_that_never_had_a_work_item_is_over_too(self, ended: dict[str, Any]) -> None:
        conversation = a_conversation(rev=6, **ended)
        assert with_stored_revisions(EMPTY, conversation, None, now=NOW).finished_at == NOW
        assert with_stored_revisions(self.OURS, conversation, a_work_item(), now=NOW).finished_at is None

    def test_a_reopened_one_is_not_over_for_its_state_says_that_it_is_newer_than_the_completion(self) -> None:
        completed = a_work_item(status=Status.COMPLETED)
        assert with_stored_revisions(self.OURS, a_conversation(rev=6), completed, now=NOW).finished_at is None


class TestRestoredDatabase:
    """A stored `rev` below an earlier stored one resets the state (docs/rules.md, *A restored database*)."""

    STATE: Final = with_stored_revisions(
        seen(conversation_event(6, *FIELDS), work_item_event(3, *FIELDS, knew=6), state=SyncState(version=7)),
        a_conversation(rev=6),
        a_work_item(rev=3),
        now=NOW,
    )

    @pytest.mark.parametrize(("conversation", "item"), [(5, 3), (6, 2), (1, 1), (5, None), (None, 2)])
    def test_only_the_version_stays(self, conversation: int | None, item: int | None) -> None:
        after = reset_if_restored(self.STATE, conversation_rev=conversation, work_item_rev=item)
        assert after == SyncState(version=7)

    @pytest.mark.parametrize(("conversation", "item"), [(6, 3), (7, 9), (None, None), (None, 3), (6, None)])
    def test_no_lower_revision_no_reset(self, conversation: int | None, item: int | None) -> None:
        assert reset_if_restored(self.STATE, conversation_rev=conversation, work_item_rev=item) is self.STATE

    def test_what_was_observed_before_it_was_stored_is_no_sign_of_it(self) -> None:
        """`STATE_FROM_EVENTS=false`: an event may come before its owner's write can be read."""
        ahead = seen(conversation_event(9))
        assert reset_if_restored(ahead, conversation_rev=8, work_item_rev=None) is ahead
