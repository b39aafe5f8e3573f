"""Evidence of the newer side, sentence by sentence of docs/rules.md (*Who is newer*).

First sight: test_first_sight.py. The end of a wait: state/test_waiting_ends.py.
"""

from collections.abc import Iterator
from itertools import chain, combinations, product
from typing import Any, Final

from msgspec.structs import replace

from commands.work_item import Status
from sync.conversation import FIELDS, ConversationStatus
from sync.evidence import Evidence, NewerSide, evidence_of
from sync.state.observation import Observation
from sync.state.revision_runs import RevisionRuns, with_revision
from sync.state.sync_state import SyncState
from tests.sync.observations import a_conversation, a_work_item, conversation_event, seen, work_item_event

C, W, WAITS = NewerSide.CONVERSATION, NewerSide.WORK_ITEM, NewerSide.UNDECIDED

CREATED: Final = work_item_event(1, *FIELDS, knew=4)
"""The work-item's create, whose write knew the conversation's revision 4."""


def given(
    *events: Observation, conversation_rev: int = 6, item_rev: int = 3, status: Status = Status.IVR, **overrides: Any
) -> Evidence:
    """The evidence of a pair at these revisions after these events; `overrides` are the conversation's."""
    return evidence_of(
        seen(*events), a_conversation(rev=conversation_rev, **overrides), a_work_item(rev=item_rev, status=status)
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
        events = (work_item_event(1, *FIELDS, knew=6), conversation_event(6, "queue"))
        assert given(*events, item_rev=1).newer_side("queue") is W

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

    def test_whatever_the_age_of_the_documents(self) -> None:
        """Time is no evidence: documents of long ago, or without a time, say no more than others."""
        about = given(CREATED, conversation_event(6), item_rev=1)
        old = replace(about, conversation=replace(about.conversation, updated_at=None))
        assert old.newer_side("queue") is WAITS

    def test_until_the_event_comes(self) -> None:
        before = [CREATED, conversation_event(6)]
        assert given(*before, item_rev=1).newer_side("queue") is WAITS
        assert given(*before, conversation_event(5), item_rev=1).newer_side("queue") is W
        assert given(*before, conversation_event(5, "queue"), item_rev=1).newer_side("queue") is C


class TestNeverWaits:
    """Nothing is observed, so every other field waits."""

    def test_paused(self) -> None:
        assert given().newer_side("paused") is C

    def test_a_deletion_over_an_active_work_item(self) -> None:
        about = given(deleted=True)
        assert about.newer_side("status") is C
        assert about.newer_side("assignee") is WAITS

    def test_a_done_conversation_over_an_active_work_item(self) -> None:
        about = given(status=Status.QUEUED)
        done = replace(about, conversation=replace(about.conversation, status=ConversationStatus.DONE))
        assert (about.newer_side("status"), done.newer_side("status")) == (WAITS, C)
        assert done.newer_side("assignee") is WAITS

    def test_not_over_a_completed_one(self) -> None:
        about = given(status=Status.COMPLETED)
        done = replace(about, conversation=replace(about.conversation, status=ConversationStatus.DONE))
        assert (about.newer_side("status"), done.newer_side("status")) == (WAITS, WAITS)


class TestASilentWriteAgainstAnAssumption:
    """The end of a wait assumed that the conversation changed a field of which no event told; then the event of a write
    comes that does not say what it knew."""

    ASSUMED: Final = SyncState(
        conversation_observed=((1, 6),), work_item="w1", work_item_number=1, changed={"assignee": 6}
    )

    def about(self, *events: Observation, state: SyncState = ASSUMED) -> NewerSide:
        observed = replace(seen(*events, state=state), work_item_observed=((1, 3),))
        return evidence_of(observed, a_conversation(), a_work_item(rev=3)).newer_side("assignee")

    def test_the_field_is_the_work_items(self) -> None:
        assert self.about() is C
        assert self.about(work_item_event(3, "assignee")) is W

    def test_of_the_field_that_it_touched_alone(self) -> None:
        assert self.about(work_item_event(3, "queue")) is C

    def test_not_where_an_event_told_that_the_conversation_changed_it(self) -> None:
        assert self.about(conversation_event(6, "assignee"), work_item_event(3, "assignee")) is C

    def test_not_where_a_reconcile_took_the_touch_in(self) -> None:
        taken_in = replace(self.ASSUMED, known={"assignee": 5}, known_at={"assignee": 3})
        assert self.about(work_item_event(3, "assignee"), state=taken_in) is C


def some_revisions(high: int) -> Iterator[frozenset[int]]:
    revs = range(1, high + 1)
    return (frozenset(each) for each in chain.from_iterable(combinations(revs, size) for size in range(high + 1)))


def runs_of(revs: frozenset[int]) -> RevisionRuns:
    runs: RevisionRuns = ()
    for rev in revs:
        runs = with_revision(runs, rev)
    return runs


def as_the_text_has_it(
    of_c: frozenset[int], of_w: frozenset[int], changed: int, known: int, known_at: int
) -> NewerSide:
    """Step 2 with the conversation at revision 3 and the work-item at revision 3."""
    if any(rev not in of_w for rev in range(known_at + 1, 4)):
        return WAITS
    if changed > known:
        return C
    return W if all(rev in of_c for rev in range(known + 1, 4)) else WAITS


def test_step_2_whatever_was_observed_changed_and_known() -> None:
    conversation, item = a_conversation(rev=3, queue="q1"), a_work_item(rev=3)
    for of_c, of_w in product(list(some_revisions(3)), list(some_revisions(3))):
        for changed, known, known_at in product(range(4), repeat=3):
            state = SyncState(
                work_item="w1",
                work_item_number=1,
                conversation_observed=runs_of(of_c),
                work_item_observed=runs_of(of_w),
                changed={"queue": changed},
                known={"queue": known},
                known_at={"queue": known_at},
            )
            found = evidence_of(state, conversation, item).newer_side("queue")
            assert found is as_the_text_has_it(of_c, of_w, changed, known, known_at), (of_c, of_w, changed, known)


class TestAnotherWorkItem:
    def test_of_a_new_one_nothing_is_known_yet(self) -> None:
        state = seen(CREATED, conversation_event(6, "queue"))
        about = evidence_of(state, a_conversation(), a_work_item(id="w2", number=2, rev=1))
        assert about.state.work_item == "w2"
        assert about.newer_side("queue") is WAITS

    def test_of_one_older_than_the_states_nothing_is_known_either(self) -> None:
        state = seen(work_item_event(1, *FIELDS, knew=6, item="w2", number=2))
        about = evidence_of(state, a_conversation(), a_work_item(rev=1))
        assert about.newer_side("queue") is WAITS
        assert about.state == state
