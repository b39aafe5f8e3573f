"""The sync state after observing events (docs/rules.md, *The sync state*)."""

from typing import Final

from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from sync.conversation import FIELDS
from sync.state import Observation, ViewedValue, observe
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

    def test_a_syncs_event_is_observed_and_changes_nothing_else(self) -> None:
        before = seen(work_item_event(2, "queue", knew=9))
        after = observe(before, work_item_event(3, "queue", knew=12, sync=True))
        assert after == replace(before, work_item_observed=((2, 3),))

    def test_a_write_that_knew_revision_0_is_known_as_0(self) -> None:
        assert seen(work_item_event(1, "queue", knew=0)).known_at == {"queue": 1}

    def test_it_does_not_change_the_conversations_changes(self) -> None:
        state = seen(work_item_event(1, *FIELDS, knew=4))
        assert (state.changed, state.view) == ({}, {})


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
