"""The sync state: what observing and reconciling leave in it (sync-rules.md, *State*, steps 1 and 4)."""

from collections.abc import Iterable
from dataclasses import replace
from functools import reduce
from itertools import pairwise, product
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commands.work_item import Status, WorkItem
from sync.conversation import Conversation, ConversationStatus
from sync.field import FIELDS, Field
from sync.runs import RUNS_MAX, Runs, contains, with_revision
from sync.state import Observation, SyncState, Viewed, agree, observe, reconciled, shared_values

EMPTY: Final = SyncState()
ALL: Final = frozenset(FIELDS)


def conversation_event(
    rev: int, *fields: Field, sync: bool = False, deletion: bool = False, **values: Any
) -> Observation:
    """A conversation's event that changed `fields`; values not told are made up from the revision."""
    told: dict[Field, Any] = {name: f"{name} at {rev}" for name in FIELDS}
    told.update({name: values[name] for name in FIELDS if name in values})
    return Observation(
        side="conversation", rev=rev, is_sync=sync, fields=frozenset(fields), values=told, deletion=deletion
    )


def work_item_event(
    rev: int, *fields: Field, knew: int | None = None, sync: bool = False, item: str = "w1", number: int = 1
) -> Observation:
    """An event of the first work-item, told otherwise."""
    return Observation(
        side="work-item",
        rev=rev,
        is_sync=sync,
        fields=frozenset(fields),
        knew=knew,
        work_item=item,
        work_item_number=number,
    )


def seen(*events: Observation, state: SyncState = EMPTY) -> SyncState:
    return reduce(observe, events, state)


class TestObserveAConversationsEvent:
    def test_its_revision_is_observed(self) -> None:
        state = seen(conversation_event(4), conversation_event(6), conversation_event(5))
        assert state.conversation_observed == ((4, 6),)
        assert state.work_item_observed == ()

    def test_changed_rises_to_its_revision_for_the_fields_it_changed_alone(self) -> None:
        state = seen(conversation_event(4, "assignee", "queue"), conversation_event(6, "queue"))
        assert state.changed == {"assignee": 4, "queue": 6}

    def test_changed_never_falls(self) -> None:
        assert seen(conversation_event(6, "queue"), conversation_event(4, "queue")).changed == {"queue": 6}

    def test_a_syncs_event_changes_the_view_and_not_changed(self) -> None:
        state = seen(conversation_event(4, "assignee"), conversation_event(7, "assignee", sync=True))
        assert state.changed == {"assignee": 4}
        assert state.view == {"assignee": Viewed(value="assignee at 7", rev=7)}
        assert state.conversation_observed == ((4, 4), (7, 7))

    def test_the_view_is_of_the_changed_fields_alone(self) -> None:
        state = seen(conversation_event(4, "ended", ended=True))
        assert state.view == {"ended": Viewed(value=True, rev=4)}

    def test_the_view_of_the_higher_revision_stands(self) -> None:
        state = seen(conversation_event(6, "queue", queue="q6"), conversation_event(4, "queue", queue="q4"))
        assert state.view == {"queue": Viewed(value="q6", rev=6)}

    def test_it_says_nothing_of_what_the_work_item_knew(self) -> None:
        state = seen(conversation_event(4, *FIELDS))
        assert (state.known, state.known_at, state.work_item) == ({}, {}, None)

    def test_a_deletion_changes_the_status_and_leaves_a_tombstone(self) -> None:
        state = seen(conversation_event(9, "status", deletion=True))
        assert state.changed == {"status": 9}
        assert state.deleted_rev == 9

    def test_the_tombstone_stands_whatever_comes_late(self) -> None:
        state = seen(
            conversation_event(9, "status", deletion=True),
            conversation_event(4, "status"),
            conversation_event(11, "queue"),
            conversation_event(8, "status", deletion=True),
        )
        assert state.deleted_rev == 9

    def test_a_deletion_by_a_sync_is_a_tombstone_too(self) -> None:
        assert seen(conversation_event(9, "status", deletion=True, sync=True)).deleted_rev == 9

    def test_without_a_work_item(self) -> None:
        assert seen(conversation_event(1, "status")).work_item is None


class TestObserveAWorkItemsEvent:
    def test_its_revision_is_observed(self) -> None:
        state = seen(work_item_event(2), work_item_event(1))
        assert (state.work_item, state.work_item_number) == ("w1", 1)
        assert state.work_item_observed == ((1, 2),)
        assert state.conversation_observed == ()

    def test_a_create_knows_all_fields(self) -> None:
        state = seen(work_item_event(1, *FIELDS, knew=4))
        assert state.known == dict.fromkeys(FIELDS, 4)
        assert state.known_at == dict.fromkeys(FIELDS, 1)

    def test_known_and_known_at_for_the_fields_it_changed_alone(self) -> None:
        state = seen(work_item_event(1, *FIELDS, knew=4), work_item_event(2, "assignee", "queue", knew=6))
        assert {name for name in FIELDS if state.known[name] == 6} == {"assignee", "queue"}
        assert {name for name in FIELDS if state.known_at[name] == 2} == {"assignee", "queue"}

    def test_only_what_is_newer_than_known_at(self) -> None:
        state = seen(work_item_event(3, "queue", knew=4), work_item_event(2, "queue", knew=9))
        assert (state.known, state.known_at) == ({"queue": 4}, {"queue": 3})

    def test_a_later_write_may_have_known_less(self) -> None:
        state = seen(work_item_event(2, "queue", knew=9), work_item_event(3, "queue", knew=4))
        assert (state.known, state.known_at) == ({"queue": 4}, {"queue": 3})

    def test_one_that_does_not_say_what_it_knew_leaves_known_as_the_last_reconcile_had_it(self) -> None:
        state = seen(work_item_event(2, "queue", knew=9), work_item_event(3, "queue"))
        assert (state.known, state.known_at) == ({"queue": 9}, {"queue": 2})
        assert state.work_item_observed == ((2, 3),)

    def test_a_syncs_event_is_observed_and_changes_nothing_else(self) -> None:
        before = seen(work_item_event(2, "queue", knew=9))
        after = observe(before, work_item_event(3, "queue", knew=12, sync=True))
        assert after == replace(before, work_item_observed=((2, 3),))

    def test_what_knew_revision_0_is_known_as_0(self) -> None:
        assert seen(work_item_event(1, "queue", knew=0)).known_at == {"queue": 1}

    def test_it_says_nothing_of_the_conversations_changes(self) -> None:
        state = seen(work_item_event(1, *FIELDS, knew=4))
        assert (state.changed, state.view) == ({}, {})


class TestANewWorkItem:
    """It starts a new history; the one with the higher number is the pair's."""

    OLD: Final = seen(
        conversation_event(4, "queue"), work_item_event(1, *FIELDS, knew=4), work_item_event(2, "queue", knew=5)
    )

    def test_starts_a_new_history_of_its_own(self) -> None:
        state = observe(self.OLD, work_item_event(1, *FIELDS, knew=8, item="w2", number=2))
        assert (state.work_item, state.work_item_number, state.work_item_observed) == ("w2", 2, ((1, 1),))
        assert state.known == dict.fromkeys(FIELDS, 8)
        assert state.known_at == dict.fromkeys(FIELDS, 1)

    def test_leaves_the_conversations_history_as_it_was(self) -> None:
        state = observe(self.OLD, work_item_event(1, *FIELDS, knew=8, item="w2", number=2))
        assert state.changed == self.OLD.changed
        assert state.view == self.OLD.view
        assert state.conversation_observed == self.OLD.conversation_observed

    def test_late_events_of_the_one_before_belong_to_no_history(self) -> None:
        new = observe(self.OLD, work_item_event(1, *FIELDS, knew=8, item="w2", number=2))
        assert observe(new, work_item_event(3, "status", knew=99)) is new

    def test_another_one_of_the_same_number_is_not_the_pairs(self) -> None:
        assert observe(self.OLD, work_item_event(1, *FIELDS, knew=8, item="w9", number=1)) is self.OLD

    def test_a_reconcile_of_the_one_before_belongs_to_no_history(self) -> None:
        new = observe(self.OLD, work_item_event(1, *FIELDS, knew=8, item="w2", number=2))
        conversation = a_conversation(rev=9)
        old = a_work_item(id="w1", number=1, rev=7)
        after = reconciled(new, conversation, old)
        assert (after.work_item, after.work_item_observed) == ("w2", ((1, 1),))
        assert after.known == dict.fromkeys(FIELDS, 8)
        assert after.known_at == dict.fromkeys(FIELDS, 1)

    def test_a_reconcile_may_be_its_first_sight(self) -> None:
        after = reconciled(self.OLD, a_conversation(rev=9), a_work_item(id="w2", number=2, rev=1), wrote="work-item")
        assert (after.work_item, after.work_item_number, after.work_item_observed) == ("w2", 2, ((1, 1),))


fields = st.frozensets(st.sampled_from(FIELDS), max_size=5)
one_document_one_truth = st.integers(min_value=1, max_value=12)


@st.composite
def histories(draw: st.DrawFn) -> list[Observation]:
    """What truly happened: at most one event for every revision of the conversation and of two work-items."""
    events: list[Observation] = []
    for rev in draw(st.frozensets(one_document_one_truth, max_size=8)):
        deletion = draw(st.integers(min_value=0, max_value=9)) == 0
        changed = frozenset({"status"}) if deletion else draw(fields)
        events.append(
            conversation_event(rev, *sorted(changed), sync=draw(st.booleans()), deletion=deletion)  # type: ignore[arg-type] # sorted() forgets the literals
        )
    for number in (1, 2):
        for rev in draw(st.frozensets(one_document_one_truth, max_size=8)):
            changed = ALL if rev == 1 else draw(fields)
            knew = draw(st.none() | st.integers(min_value=0, max_value=12))
            events.append(
                work_item_event(
                    rev,
                    *sorted(changed),  # type: ignore[arg-type] # the same
                    knew=knew,
                    sync=rev != 1 and draw(st.booleans()),
                    item=f"w{number}",
                    number=number,
                )
            )
    return events


@settings(max_examples=120, deadline=None)
@given(data=st.data(), history=histories())
def test_observing_commutes_and_may_be_repeated(data: st.DataObject, history: list[Observation]) -> None:
    in_order = seen(*history)
    again = data.draw(st.lists(st.sampled_from(history), max_size=8)) if history else []
    shuffled = data.draw(st.permutations([*history, *again]))
    assert seen(*shuffled) == in_order
    for event in shuffled:
        assert observe(in_order, event) is in_order, "an event that is no news leaves the very same object"


def test_an_event_that_changed_nothing_shared_is_news_once() -> None:
    once = seen(conversation_event(3))
    assert once != EMPTY
    assert observe(once, conversation_event(3)) is once


def a_conversation(**told: Any) -> Conversation:
    return Conversation(**{"id": "c", "rev": 6, "status": ConversationStatus.OPEN, **told})


def a_work_item(**told: Any) -> WorkItem:
    return WorkItem(**{"id": "w1", "rev": 3, "status": Status.IVR, "number": 1, **told})


class TestReconciled:
    def test_where_the_sides_agree_the_work_item_knows_the_conversations_revision(self) -> None:
        before = seen(conversation_event(6, "queue"), work_item_event(1, *FIELDS, knew=4))
        after = reconciled(before, a_conversation(rev=6, queue="q1"), a_work_item(rev=3, queue="q1"))
        assert after.known == dict.fromkeys(FIELDS, 6)
        assert after.known_at == dict.fromkeys(FIELDS, 3)

    def test_where_they_do_not_both_stay_so_that_whoever_was_newer_remains_so(self) -> None:
        before = seen(conversation_event(6, "ended"), work_item_event(1, *FIELDS, knew=4))
        snoozed = a_conversation(rev=6, ended=True, status=ConversationStatus.SNOOZED)
        after = reconciled(before, snoozed, a_work_item(rev=3, paused=True))
        assert {name for name in FIELDS if after.known[name] == 6} == ALL - {"ended"}
        assert (after.known["ended"], after.known_at["ended"]) == (4, 1)
        assert after.changed["ended"] > after.known["ended"]

    def test_what_the_sync_wrote_counts_as_observed(self) -> None:
        before = seen(conversation_event(5), work_item_event(2))
        forward = reconciled(before, a_conversation(rev=6), a_work_item(rev=3), wrote="work-item")
        assert contains(forward.work_item_observed, 3)
        assert not contains(forward.conversation_observed, 6)
        reverse = reconciled(before, a_conversation(rev=6), a_work_item(rev=3), wrote="conversation")
        assert contains(reverse.conversation_observed, 6)
        assert not contains(reverse.work_item_observed, 3)

    def test_the_view_is_the_conversation_as_it_was_left(self) -> None:
        conversation = a_conversation(rev=6, assigned_users=("u1", "u2"), queue="q1", ended=True)
        after = reconciled(EMPTY, conversation, a_work_item())
        assert after.view == {name: Viewed(value=value, rev=6) for name, value in shared_values(conversation).items()}

    def test_a_view_of_a_higher_revision_stands(self) -> None:
        before = seen(conversation_event(9, "queue", queue="q9"))
        after = reconciled(before, a_conversation(rev=6, queue="q1"), a_work_item())
        assert after.view["queue"] == Viewed(value="q9", rev=9)
        assert after.view["ended"] == Viewed(value=False, rev=6)

    def test_changed_is_for_outside_writes_alone(self) -> None:
        before = seen(conversation_event(5, "queue"))
        assert reconciled(before, a_conversation(rev=6), a_work_item()).changed == before.changed

    def test_again_is_no_news(self) -> None:
        once = reconciled(EMPTY, a_conversation(), a_work_item())
        assert reconciled(once, a_conversation(), a_work_item()) is once

    def test_the_syncs_own_event_coming_back_is_no_news(self) -> None:
        conversation, item = a_conversation(rev=6, queue="q1"), a_work_item(rev=3, queue="q1")
        reverse = reconciled(EMPTY, conversation, item, wrote="conversation")
        assert observe(reverse, conversation_event(6, "queue", sync=True, queue="q1")) is reverse
        forward = reconciled(EMPTY, conversation, item, wrote="work-item")
        assert observe(forward, work_item_event(3, "queue", knew=6, sync=True)) is forward


class TestAgree:
    """Step 4: `assignedTo` is one of the assigned users, or neither has any; the same queue; done and completed; ended
    and wrap-up; snoozed and paused; or neither."""

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
                ("status", {"status": told}, {"status": status}, (told == "done") is (status == "completed"))
                for told, status in product(ConversationStatus, Status)
            ),
            *(
                ("ended", {"ended": told}, {"status": status}, told is (status == "wrap-up"))
                for told, status in product((False, True), Status)
            ),
            *(
                ("paused", {"status": told}, {"paused": paused}, (told == "snoozed") is paused)
                for told, paused in product(ConversationStatus, (False, True))
            ),
        ],
    )
    def test_by_field(self, name: Field, conversation: dict[str, Any], item: dict[str, Any], expected: bool) -> None:
        assert agree(name, a_conversation(**conversation), a_work_item(**item)) is expected


def built(revs: Iterable[int]) -> Runs:
    runs: Runs = ()
    for rev in revs:
        runs = with_revision(runs, rev)
    return runs


class TestRuns:
    def test_unbroken_runs(self) -> None:
        assert built([1, 2, 3, 4, 5, 6, 8]) == ((1, 6), (8, 8))
        assert built([8, 6, 5, 1, 4, 3, 2]) == ((1, 6), (8, 8))
        assert built([1, 3, 2]) == ((1, 3),)

    def test_at_most_64_the_lowest_gap_is_closed(self) -> None:
        runs = built(range(10, 10 + 2 * RUNS_MAX, 2))
        assert (RUNS_MAX, len(runs)) == (64, 64)
        beyond = with_revision(runs, 1000)
        assert len(beyond) == 64
        assert beyond[0] == (10, 12)
        assert beyond[1:] == (*runs[2:], (1000, 1000))

    def test_a_revision_below_all_of_64_runs_closes_its_own_gap(self) -> None:
        runs = built(range(10, 10 + 2 * RUNS_MAX, 2))
        assert with_revision(runs, 1) == ((1, 10), *runs[1:])

    def test_a_revision_in_the_closed_gap_is_no_news(self) -> None:
        beyond = with_revision(built(range(10, 10 + 2 * RUNS_MAX, 2)), 1000)
        assert with_revision(beyond, 11) is beyond

    @given(st.lists(st.integers(min_value=1, max_value=80), max_size=60))
    def test_they_hold_what_was_put_in_and_nothing_else(self, revs: list[int]) -> None:
        runs = built(revs)
        assert {rev for rev in range(100) if contains(runs, rev)} == set(revs)
        assert list(runs) == sorted(runs)
        assert all(end + 1 < start for (_, end), (start, _) in pairwise(runs))

    @given(st.data(), st.frozensets(st.integers(min_value=1, max_value=80), max_size=40))
    def test_whatever_order_they_come_in(self, data: st.DataObject, revs: frozenset[int]) -> None:
        shuffled = data.draw(st.permutations(sorted(revs)))
        assert built(shuffled) == built(sorted(revs))

    @settings(deadline=None)
    @given(st.lists(st.integers(min_value=1, max_value=2000), max_size=300))
    def test_beyond_64_nothing_observed_is_forgotten(self, revs: list[int]) -> None:
        runs = built(revs)
        assert len(runs) <= RUNS_MAX
        assert all(contains(runs, rev) for rev in revs)
        assert all(end + 1 < start for (_, end), (start, _) in pairwise(runs))
