"""The sync state after observing events (docs/rules.md, *The sync state*)."""

from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from sync.conversation import FIELDS, Field
from sync.state.observation import Observation, changes_since_view, gave_up_gap, observe
from sync.state.revision_runs import RUNS_MAX
from sync.state.sync_state import ViewedValue
from tests.sync.observations import EMPTY, conversation_event, seen, work_item_event

ALL: Final = frozenset(FIELDS)


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
        assert state.view == {"assignee": ViewedValue(value="assignee at 7", rev=7)}
        assert state.conversation_observed == ((4, 4), (7, 7))

    def test_the_view_is_of_the_changed_fields_alone(self) -> None:
        state = seen(conversation_event(4, "ended", ended=True))
        assert state.view == {"ended": ViewedValue(value=True, rev=4)}

    def test_the_view_of_the_higher_revision_stands(self) -> None:
        state = seen(conversation_event(6, "queue", queue="q6"), conversation_event(4, "queue", queue="q4"))
        assert state.view == {"queue": ViewedValue(value="q6", rev=6)}

    def test_it_does_not_change_what_the_work_item_knew(self) -> None:
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

    def test_one_that_does_not_say_what_it_knew_leaves_known_as_it_was(self) -> None:
        state = seen(work_item_event(2, "queue", knew=9), work_item_event(3, "queue"))
        assert (state.known, state.known_at) == ({"queue": 9}, {"queue": 2})
        assert state.work_item_observed == ((2, 3),)

    def test_and_touches_the_fields_that_it_changed(self) -> None:
        state = seen(work_item_event(2, "queue"), work_item_event(4, "assignee", "queue"), work_item_event(3, "queue"))
        assert state.touched == {"assignee": 4, "queue": 4}

    def test_one_that_says_so_touches_nothing(self) -> None:
        assert seen(work_item_event(2, "queue", knew=9)).touched == {}

    def test_nor_does_a_sync(self) -> None:
        assert seen(work_item_event(2, "queue", sync=True)).touched == {}

    def test_a_syncs_event_is_observed_and_changes_nothing_else(self) -> None:
        before = seen(work_item_event(2, "queue", knew=9))
        after = observe(before, work_item_event(3, "queue", knew=12, sync=True))
        assert after == replace(before, work_item_observed=((2, 3),))

    def test_a_write_that_knew_revision_0_is_known_as_0(self) -> None:
        assert seen(work_item_event(1, "queue", knew=0)).known_at == {"queue": 1}

    def test_it_does_not_change_the_conversations_changes(self) -> None:
        state = seen(work_item_event(1, *FIELDS, knew=4))
        assert (state.changed, state.view) == ({}, {})


class TestAnUpdateOfWhichNotAllChangesAreKnown:
    """It brings no `changes`, and nothing is at hand to compare it with."""

    def test_its_revision_is_not_observed_and_what_is_known_of_it_counts(self) -> None:
        state = seen(replace(conversation_event(4, "queue", queue="q1"), all_changes_known=False))
        assert state.conversation_observed == ()
        assert state.changed == {"queue": 4}
        assert state.view == {"queue": ViewedValue(value="q1", rev=4)}

    def test_of_a_work_item_too(self) -> None:
        said = replace(work_item_event(4, "queue", knew=3), all_changes_known=False)
        silent = replace(work_item_event(5, "ended"), all_changes_known=False)
        state = seen(said, silent)
        assert state.work_item_observed == ()
        assert (state.known, state.touched) == ({"queue": 3}, {"ended": 5})

    def test_a_syncs_revision_is_not_observed_either(self) -> None:
        assert seen(replace(work_item_event(4, sync=True), all_changes_known=False)).work_item_observed == ()


class TestACreation:
    def test_views_every_value_and_changes_no_field(self) -> None:
        state = seen(replace(conversation_event(1), creation=True))
        assert state.view == {name: ViewedValue(value=f"{name} at 1", rev=1) for name in FIELDS}
        assert state.changed == {}


class TestChangesSinceView:
    """A conversation's update without `changes`, compared with the views."""

    VALUES: Final[dict[Field, Any]] = {"queue": "q2", "ended": False}

    def test_of_the_fields_in_view_if_every_revision_between_was_observed(self) -> None:
        state = seen(conversation_event(3, "queue", queue="q1"), conversation_event(4, "ended", ended=False))
        assert changes_since_view(state, self.VALUES, 5) == {"queue": True, "ended": False}

    def test_not_of_a_field_beyond_an_unobserved_revision(self) -> None:
        state = seen(conversation_event(2, "queue", queue="q1"), conversation_event(4, "ended", ended=True))
        assert changes_since_view(state, self.VALUES, 5) == {"ended": True}

    def test_not_of_a_field_that_is_not_in_view(self) -> None:
        assert changes_since_view(EMPTY, self.VALUES, 5) == {}

    def test_not_of_a_view_that_is_as_new_as_the_write(self) -> None:
        state = seen(conversation_event(5, "queue", queue="q1"), conversation_event(6, "ended", ended=True))
        assert changes_since_view(state, self.VALUES, 5) == {}

    def test_not_of_a_field_whose_value_the_event_does_not_have(self) -> None:
        state = seen(conversation_event(4, "paused", paused=True))
        assert changes_since_view(state, self.VALUES, 5) == {}


class TestTooManyGaps:
    def test_closing_the_lowest_is_told(self) -> None:
        full = seen(*(conversation_event(rev) for rev in range(10, 10 + 2 * RUNS_MAX, 2)))
        assert len(full.conversation_observed) == RUNS_MAX
        beyond = observe(full, conversation_event(1000))
        assert beyond.conversation_observed[0] == (10, 12)
        assert gave_up_gap(full, beyond)

    def test_of_a_work_item_too(self) -> None:
        full = seen(*(work_item_event(rev) for rev in range(10, 10 + 2 * RUNS_MAX, 2)))
        assert gave_up_gap(full, observe(full, work_item_event(1000)))

    def test_one_event_more_without_it_is_not(self) -> None:
        full = seen(*(conversation_event(rev) for rev in range(10, 10 + 2 * RUNS_MAX, 2)))
        assert not gave_up_gap(full, observe(full, conversation_event(11)))
        assert not gave_up_gap(full, observe(full, conversation_event(10)))


class TestANewWorkItem:
    """A new work-item starts a new history; the one with the higher number is the pair's."""

    OLD: Final = seen(
        conversation_event(4, "queue"), work_item_event(1, *FIELDS, knew=4), work_item_event(2, "queue", knew=5)
    )

    def test_starts_a_new_history_of_its_own(self) -> None:
        state = observe(self.OLD, work_item_event(1, *FIELDS, knew=8, item="w2", number=2))
        assert (state.work_item, state.work_item_number, state.work_item_observed) == ("w2", 2, ((1, 1),))
        assert state.known == dict.fromkeys(FIELDS, 8)
        assert state.known_at == dict.fromkeys(FIELDS, 1)

    def test_was_touched_by_nothing_yet(self) -> None:
        before = seen(work_item_event(3, "queue"), state=self.OLD)
        assert observe(before, work_item_event(1, "ended", item="w2", number=2)).touched == {"ended": 1}

    def test_leaves_the_conversations_history_as_it_was(self) -> None:
        state = observe(self.OLD, work_item_event(1, *FIELDS, knew=8, item="w2", number=2))
        assert state.changed == self.OLD.changed
        assert state.view == self.OLD.view
        assert state.conversation_observed == self.OLD.conversation_observed

    def test_late_events_of_the_older_one_change_nothing(self) -> None:
        new = observe(self.OLD, work_item_event(1, *FIELDS, knew=8, item="w2", number=2))
        assert observe(new, work_item_event(3, "status", knew=99)) is new

    def test_another_one_of_the_same_number_is_not_the_pairs(self) -> None:
        assert observe(self.OLD, work_item_event(1, *FIELDS, knew=8, item="w9", number=1)) is self.OLD


fields = st.frozensets(st.sampled_from(FIELDS), max_size=5)
one_document_one_truth = st.integers(min_value=1, max_value=12)


@st.composite
def histories(draw: st.DrawFn) -> list[Observation]:
    """A history: at most one event for every revision of a conversation and of two work-items."""
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
