"""Evidence of the newer side, sentence by sentence of docs/rules.md (*Who is newer*, *First sight*)."""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain, combinations, product
from typing import Any, Final

import pytest
from msgspec.structs import replace

from sync.conversation import FIELDS, ConversationStatus, Field
from sync.evidence import Evidence, NewerSide, OldDocuments, TriggerEvents, evidence_of
from sync.revision_runs import RevisionRuns, with_revision
from sync.state import Observation, after_reconcile
from tests.sync.observations import EMPTY, a_conversation, a_work_item, conversation_event, seen, work_item_event

YOUNG: Final = OldDocuments()
C_OLD: Final = OldDocuments(conversation=True)
W_OLD: Final = OldDocuments(work_item=True)
C, W, WAITS = NewerSide.CONVERSATION, NewerSide.WORK_ITEM, NewerSide.UNDECIDED

CREATED: Final = work_item_event(1, *FIELDS, knew=4)
"""The work-item's create, whose write knew the conversation's revision 4."""


def given(
    *events: Observation, conversation_rev: int = 6, item_rev: int = 3, old: OldDocuments = YOUNG, **overrides: Any
) -> Evidence:
    """The evidence of a pair at these revisions after these events; decided before unless given otherwise."""
    state = replace(seen(*events), reconciled=overrides.pop("reconciled_before", True))
    trigger = overrides.pop("trigger", None)
    return evidence_of(
        state, a_conversation(rev=conversation_rev, **overrides), a_work_item(rev=item_rev), old=old, trigger=trigger
    )


def conversation_events(low: int, high: int) -> list[Observation]:
    """Events that change no shared field, from one revision to another."""
    return [conversation_event(rev) for rev in range(low, high + 1)]


class TestTheConversationIsNewer:
    def test_where_it_changed_the_field_after_what_the_work_item_knew(self) -> None:
        about = given(CREATED, conversation_event(5, "queue"), item_rev=1)
        assert about.newer_side("queue") is C

    def test_even_with_an_unobserved_revision_of_its_own(self) -> None:
        about = given(CREATED, conversation_event(5, "queue"), item_rev=1, conversation_rev=9)
        assert about.newer_side("queue") is C

    def test_a_true_conflict_goes_to_it(self) -> None:
        """Neither write knew the other: the work-item's knew revision 4, the conversation's is revision 6."""
        about = given(CREATED, work_item_event(2, "queue", knew=4), conversation_event(6, "queue"), item_rev=2)
        assert about.newer_side("queue") is C

    def test_of_that_field_alone(self) -> None:
        about = given(CREATED, conversation_event(5, "queue"), conversation_event(6), item_rev=1)
        assert (about.newer_side("queue"), about.newer_side("assignee")) == (C, W)


class TestTheWorkItemIsNewer:
    def test_where_every_revision_it_did_not_know_is_observed_and_none_changed_the_field(self) -> None:
        assert given(CREATED, *conversation_events(5, 6), item_rev=1).newer_side("queue") is W

    def test_where_it_knew_the_stored_revision(self) -> None:
        assert given(CREATED, item_rev=1, conversation_rev=4).newer_side("queue") is W

    def test_where_it_knew_the_revision_that_changed_the_field(self) -> None:
        assert (
            given(work_item_event(1, *FIELDS, knew=6), conversation_event(6, "queue"), item_rev=1).newer_side("queue")
            is W
        )

    def test_with_unobserved_revisions_below_the_one_it_knew(self) -> None:
        assert given(work_item_event(1, *FIELDS, knew=5), conversation_event(6), item_rev=1).newer_side("queue") is W

    def test_a_syncs_change_does_not_count(self) -> None:
        about = given(CREATED, conversation_event(5), conversation_event(6, "queue", sync=True), item_rev=1)
        assert about.newer_side("queue") is W

    def test_a_write_that_does_not_say_what_it_knew_knows_what_the_last_reconcile_knew(self) -> None:
        about = given(CREATED, work_item_event(2, "queue"), conversation_event(5, "queue"), item_rev=2)
        assert about.newer_side("queue") is C
        about = given(CREATED, work_item_event(2, "queue"), *conversation_events(5, 6), item_rev=2)
        assert about.newer_side("queue") is W


class TestTheFieldWaits:
    def test_on_the_conversations_side_for_a_revision_that_may_have_changed_it(self) -> None:
        assert given(CREATED, conversation_event(6), item_rev=1).newer_side("queue") is WAITS

    def test_on_the_work_items_side_for_a_revision_that_may_have_known_more(self) -> None:
        assert given(CREATED, conversation_event(6, "queue"), item_rev=2).newer_side("queue") is WAITS

    def test_not_for_a_revision_of_the_work_item_before_the_one_that_says_so(self) -> None:
        about = given(work_item_event(3, "queue", knew=4), conversation_event(6, "queue"))
        assert about.newer_side("queue") is C
        assert about.newer_side("assignee") is WAITS

    @pytest.mark.parametrize("old", [YOUNG, C_OLD, W_OLD])
    def test_never_paused(self, old: OldDocuments) -> None:
        assert given(old=old).newer_side("paused") is C

    def test_never_a_deletion(self) -> None:
        about = given(deleted=True)
        assert about.newer_side("status") is C
        assert about.newer_side("assignee") is WAITS

    def test_until_the_event_comes(self) -> None:
        before = [CREATED, conversation_event(6)]
        assert given(*before, item_rev=1).newer_side("queue") is WAITS
        assert given(*before, conversation_event(5), item_rev=1).newer_side("queue") is W
        assert given(*before, conversation_event(5, "queue"), item_rev=1).newer_side("queue") is C


def some_revisions(high: int) -> Iterator[frozenset[int]]:
    revs = range(1, high + 1)
    return (frozenset(each) for each in chain.from_iterable(combinations(revs, size) for size in range(high + 1)))


def runs_of(revs: frozenset[int]) -> RevisionRuns:
    runs: RevisionRuns = ()
    for rev in revs:
        runs = with_revision(runs, rev)
    return runs


def as_the_text_has_it(
    observed: tuple[frozenset[int], frozenset[int]], changed: int, known: int, known_at: int, old: OldDocuments
) -> NewerSide:
    """Step 2 with the conversation at revision 3 and the work-item at revision 3."""
    of_c = frozenset({1, 2, 3}) if old.conversation else observed[0]
    of_w = frozenset({1, 2, 3}) if old.work_item else observed[1]
    if any(rev not in of_w for rev in range(known_at + 1, 4)):
        return WAITS
    if changed > known:
        return C
    return W if all(rev in of_c for rev in range(known + 1, 4)) else WAITS


@pytest.mark.parametrize("old", [YOUNG, W_OLD, C_OLD, OldDocuments(conversation=True, work_item=True)], ids=str)
def test_step_2_whatever_was_observed_changed_and_known(old: OldDocuments) -> None:
    conversation, item = a_conversation(rev=3, queue="q1"), a_work_item(rev=3)
    # Viewed as stored, so the age of the document adds only that every revision counts as observed.
    viewed = after_reconcile(EMPTY, conversation, item, now=datetime(2024, 5, 6, tzinfo=UTC))
    for of_c, of_w in product(list(some_revisions(3)), list(some_revisions(3))):
        for changed, known, known_at in product(range(4), repeat=3):
            state = replace(
                viewed,
                conversation_observed=runs_of(of_c),
                work_item_observed=runs_of(of_w),
                changed={"queue": changed},
                known={"queue": known},
                known_at={"queue": known_at},
            )
            found = evidence_of(state, conversation, item, old=old, trigger=None).newer_side("queue")
            expected = as_the_text_has_it((of_c, of_w), changed, known, known_at, old)
            assert found is expected, (of_c, of_w, changed, known, known_at)


CHANGES: Final[list[tuple[Field, dict[str, Any]]]] = [
    ("assignee", {"assigned_users": ("u1",)}),
    ("queue", {"queue": "q1"}),
    ("status", {"status": ConversationStatus.DONE}),
    ("ended", {"ended": True}),
]


class TestOldNews:
    def test_an_old_conversations_revisions_count_as_observed(self) -> None:
        state = after_reconcile(EMPTY, a_conversation(rev=4), a_work_item(rev=1), now=datetime(2024, 5, 6, tzinfo=UTC))
        about = evidence_of(state, a_conversation(rev=9), a_work_item(rev=1), old=C_OLD, trigger=None)
        assert {name: about.newer_side(name) for name in FIELDS} == {**dict.fromkeys(FIELDS, W), "paused": C}
        young = evidence_of(state, a_conversation(rev=9), a_work_item(rev=1), old=YOUNG, trigger=None)
        assert young.newer_side("queue") is WAITS

    def test_an_old_work_items_revisions_count_as_observed(self) -> None:
        assert given(CREATED, conversation_event(6, "queue"), item_rev=9, old=W_OLD).newer_side("queue") is C

    def test_the_age_of_one_document_does_not_count_for_the_other(self) -> None:
        assert given(CREATED, conversation_event(6, "queue"), item_rev=9, old=C_OLD).newer_side("queue") is WAITS
        assert given(CREATED, conversation_event(6), item_rev=1, old=W_OLD).newer_side("queue") is WAITS

    @pytest.mark.parametrize(("name", "overrides"), CHANGES, ids=[name for name, _ in CHANGES])
    def test_a_value_that_differs_from_the_view_counts_as_changed_at_the_stored_revision(
        self, name: Field, overrides: dict[str, Any]
    ) -> None:
        state = after_reconcile(EMPTY, a_conversation(rev=4), a_work_item(rev=1), now=datetime(2024, 5, 6, tzinfo=UTC))
        about = evidence_of(state, a_conversation(rev=9, **overrides), a_work_item(rev=1), old=C_OLD, trigger=None)
        assert about.state.changed == {name: 9}
        assert {other for other in FIELDS if about.newer_side(other) is C} == {name, "paused"}

    def test_only_in_an_old_document(self) -> None:
        state = after_reconcile(EMPTY, a_conversation(rev=4), a_work_item(rev=1), now=datetime(2024, 5, 6, tzinfo=UTC))
        about = evidence_of(state, a_conversation(rev=9, queue="q1"), a_work_item(rev=1), old=W_OLD, trigger=None)
        assert about.state.changed == {}
        assert about.newer_side("queue") is WAITS

    def test_a_value_that_was_never_viewed_is_the_conversations_unless_it_was_known(self) -> None:
        assert given(CREATED, item_rev=1, conversation_rev=6, old=C_OLD).newer_side("queue") is C
        assert given(CREATED, item_rev=1, conversation_rev=4, old=C_OLD).newer_side("queue") is W
        assert given(CREATED, *conversation_events(5, 6), item_rev=1, old=C_OLD).newer_side("queue") is W

    def test_which_is_not_recorded(self) -> None:
        assert given(CREATED, item_rev=1, old=C_OLD).state.changed == {}


class TestFirstSight:
    """A pair never decided, the other document old news: fields that the event does not declare go its own way."""

    def at_first(self, *events: Observation, trigger: TriggerEvents, old: OldDocuments, **overrides: Any) -> Evidence:
        return given(*events, reconciled_before=False, trigger=trigger, old=old, **overrides)

    def test_of_a_conversations_event_it_is_newer_in_every_field(self) -> None:
        about = self.at_first(conversation_event(6), trigger=TriggerEvents(side="conversation", rev=6), old=W_OLD)
        assert {about.newer_side(name) for name in FIELDS} == {C}

    def test_of_a_work_items_event_it_is_newer_in_every_field_but_paused(self) -> None:
        about = self.at_first(work_item_event(3), trigger=TriggerEvents(side="work-item", rev=3), old=C_OLD)
        assert {name for name in FIELDS if about.newer_side(name) is W} == {*FIELDS} - {"paused"}

    def test_a_field_that_the_work_items_event_declares_goes_by_what_it_knew(self) -> None:
        declared = frozenset[Field]({"queue"})
        trigger = TriggerEvents(side="work-item", rev=3, declared_fields=declared)
        about = self.at_first(
            work_item_event(3, "queue", knew=4), conversation_event(6, "queue", "assignee"), trigger=trigger, old=C_OLD
        )
        assert (about.newer_side("queue"), about.newer_side("assignee")) == (C, W)

    def test_a_field_that_the_conversations_event_changed_stays_changed(self) -> None:
        """The work-item's write knew the event's revision; no event declares the other fields."""
        trigger = TriggerEvents(side="conversation", rev=6, declared_fields=frozenset({"queue"}))
        about = self.at_first(
            work_item_event(3, "queue", knew=6), conversation_event(6, "queue"), trigger=trigger, old=W_OLD
        )
        assert (about.newer_side("queue"), about.newer_side("assignee")) == (W, C)

    @pytest.mark.parametrize(
        ("trigger", "old"),
        [(TriggerEvents(side="conversation", rev=6), C_OLD), (TriggerEvents(side="work-item", rev=3), W_OLD)],
        ids=["conversation", "work-item"],
    )
    def test_not_where_the_other_document_is_young(self, trigger: TriggerEvents, old: OldDocuments) -> None:
        about = self.at_first(conversation_event(6), work_item_event(3), trigger=trigger, old=old)
        assert about.newer_side("queue") is WAITS

    def test_not_where_the_pair_was_reconciled_before(self) -> None:
        trigger = TriggerEvents(side="conversation", rev=6)
        about = given(CREATED, conversation_event(6), trigger=trigger, old=W_OLD)
        assert about.newer_side("queue") is WAITS

    def test_not_for_the_poll(self) -> None:
        about = given(CREATED, conversation_event(6), reconciled_before=False, old=W_OLD)
        assert about.newer_side("queue") is WAITS

    @pytest.mark.parametrize(
        ("trigger", "old"),
        [(TriggerEvents(side="conversation", rev=6), W_OLD), (TriggerEvents(side="work-item", rev=3), C_OLD)],
        ids=["conversation", "work-item"],
    )
    def test_nothing_of_it_is_recorded(self, trigger: TriggerEvents, old: OldDocuments) -> None:
        before = seen(CREATED, conversation_event(5, "queue", queue=None))
        about = evidence_of(before, a_conversation(), a_work_item(), old=old, trigger=trigger)
        assert about.state == before
        assert (about.basis.changed, about.basis.known) != (before.changed, before.known)


class TestAnotherWorkItem:
    def test_of_a_new_one_nothing_is_known_yet(self) -> None:
        state = replace(seen(CREATED, conversation_event(6, "queue")), reconciled=True)
        new = a_work_item(id="w2", number=2, rev=1)
        about = evidence_of(state, a_conversation(), new, old=YOUNG, trigger=None)
        assert (about.state.work_item, about.state.reconciled) == ("w2", False)
        assert about.newer_side("queue") is WAITS
        first = TriggerEvents(side="work-item", rev=1)
        assert evidence_of(state, a_conversation(), new, old=C_OLD, trigger=first).newer_side("queue") is W

    def test_of_one_older_than_the_states_nothing_is_known_either(self) -> None:
        state = seen(work_item_event(1, *FIELDS, knew=6, item="w2", number=2))
        about = evidence_of(state, a_conversation(), a_work_item(rev=1), old=YOUNG, trigger=None)
        assert about.newer_side("queue") is WAITS
