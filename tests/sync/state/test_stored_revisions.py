"""The stored revisions that the sync state keeps, and a restored database (docs/rules.md)."""

from datetime import timedelta
from typing import Any, Final

import pytest
from msgspec.structs import replace

from commands.context import CommandContext
from commands.engines.rollout import DEFAULT_ROLLOUT
from commands.execute import Applied
from commands.work_item import Status
from sync.conversation import FIELDS, ConversationStatus
from sync.decision import Decision, decided_pair, run_command
from sync.state.observation import observe
from sync.state.reconciliation import next_rev, reset_if_restored, with_stored_revisions
from sync.state.sync_state import SyncState
from tests.sync.observations import EMPTY, NOW, a_conversation, a_work_item, conversation_event, seen, work_item_event


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
        seen(
            conversation_event(6, *FIELDS),
            conversation_event(8),
            work_item_event(3, *FIELDS, knew=6),
            work_item_event(4),
            state=SyncState(version=7),
        ),
        a_conversation(rev=6),
        a_work_item(rev=3),
        now=NOW,
    )
    """Revision 8 of the conversation and revision 4 of the work-item were observed, and not seen in the store yet."""

    @pytest.mark.parametrize(("conversation", "item"), [(5, 3), (6, 2), (1, 1), (5, None), (None, 2)])
    def test_the_version_the_work_item_and_the_highest_revisions_stay(
        self, conversation: int | None, item: int | None
    ) -> None:
        after = reset_if_restored(self.STATE, conversation_rev=conversation, work_item_rev=item)
        assert after == SyncState(
            version=7,
            # A conversation that was stored once and is gone stays gone.
            conversation_rev=6 if conversation is None else 0,
            work_item="w1",
            work_item_number=1,
            conversation_floor=8,
            work_item_floor=4,
        )

    @pytest.mark.parametrize(("conversation", "kept"), [(None, 9), (5, None)])
    def test_the_tombstone_of_a_conversation_that_is_gone_stays(
        self, conversation: int | None, kept: int | None
    ) -> None:
        deleted = replace(self.STATE, deleted_rev=9)
        assert reset_if_restored(deleted, conversation_rev=conversation, work_item_rev=2).deleted_rev == kept

    @pytest.mark.parametrize(("conversation", "item"), [(6, 3), (7, 9), (None, None), (None, 3), (6, None)])
    def test_no_lower_revision_no_reset(self, conversation: int | None, item: int | None) -> None:
        assert reset_if_restored(self.STATE, conversation_rev=conversation, work_item_rev=item) is self.STATE

    def test_what_was_observed_before_it_was_stored_is_no_sign_of_it(self) -> None:
        """`STATE_FROM_EVENTS=false`: an event may come before its owner's write can be read."""
        ahead = seen(conversation_event(9))
        assert reset_if_restored(ahead, conversation_rev=8, work_item_rev=None) is ahead

    def test_a_second_restore_keeps_the_floor(self) -> None:
        once = reset_if_restored(self.STATE, conversation_rev=5, work_item_rev=2)
        stored = with_stored_revisions(once, a_conversation(rev=5), a_work_item(rev=2), now=NOW)
        again = reset_if_restored(stored, conversation_rev=4, work_item_rev=1)
        assert (again.conversation_floor, again.work_item_floor) == (8, 4)

    def test_the_floor_goes_once_the_stored_revision_has_reached_it(self) -> None:
        once = reset_if_restored(self.STATE, conversation_rev=5, work_item_rev=2)
        below = with_stored_revisions(once, a_conversation(rev=7), a_work_item(rev=3), now=NOW)
        assert (below.conversation_floor, below.work_item_floor) == (8, 4)
        reached = with_stored_revisions(once, a_conversation(rev=8), a_work_item(rev=9), now=NOW)
        assert (reached.conversation_floor, reached.work_item_floor) == (0, 0)

    def test_a_new_work_item_has_no_floor(self) -> None:
        once = reset_if_restored(self.STATE, conversation_rev=5, work_item_rev=2)
        after = observe(once, work_item_event(1, *FIELDS, knew=5, item="w2", number=2))
        assert (after.work_item_floor, after.conversation_floor) == (0, 8)


class TestNextRevision:
    """No revision is announced twice: a write takes one above every revision that is known."""

    @pytest.mark.parametrize(
        ("rev", "observed", "floor", "expected"),
        [(5, (), 0, 6), (5, ((1, 5),), 0, 6), (5, (), 8, 9), (5, ((1, 2), (7, 7)), 0, 8), (9, ((1, 2),), 8, 10)],
    )
    def test_of_a_write(self, rev: int, observed: tuple[tuple[int, int], ...], floor: int, expected: int) -> None:
        assert next_rev(rev, observed, floor) == expected

    def test_both_writes_of_a_decision_take_one_above_the_floor(self) -> None:
        state = SyncState(work_item="w1", work_item_number=1, conversation_floor=8, work_item_floor=4)
        conversation, item = a_conversation(rev=5), a_work_item(rev=2)
        fields = {"assignedTo": "u1"}
        command = run_command(
            item, fields, conversation_rev=5, context=CommandContext(), now=NOW, rollout=DEFAULT_ROLLOUT
        )
        decision = Decision(direction="both", conversation_fields={"ended": True}, work_item_fields=fields, reasons=())
        decided = decided_pair(
            decision, command, state=state, conversation=conversation, item=item, now=NOW, queue_now=NOW
        )
        assert isinstance(decided.command, Applied)
        assert decided.command.after.rev == 5
        assert decided.state.conversation_observed == ((6, 9),)
        assert decided.state.work_item_observed == ((3, 5),)
