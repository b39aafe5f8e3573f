"""The contract's check catches each broken promise, and no pair that keeps them (docs/rules.md, *The contract*)."""

from typing import Any, Final

import pytest
from msgspec.structs import replace

from commands.work_item import Status, WorkItem
from sync.contract import CONVERGED, NOTHING_LOST, FieldHistory, sync_writes_max, violations
from sync.conversation import FIELDS, Conversation, ConversationStatus, Field
from sync.state.agreement import shared_values, work_item_values
from tests.sync.observations import a_conversation, a_work_item

NOTHING: Final = FieldHistory()
DONE: Final = ConversationStatus.DONE


def conversation_wrote(history: FieldHistory, rev: int, *fields: Field, **values: Any) -> FieldHistory:
    """The history after an outside write of these fields; `values` are the conversation's after it."""
    return history.after_conversation(rev, fields, shared_values(a_conversation(rev=rev, **values)))


def work_item_wrote(history: FieldHistory, rev: int, *fields: Field, knew: int | None, **values: Any) -> FieldHistory:
    """The history after an outside write of these fields; `values` are the work-item's after it."""
    item_values = work_item_values(a_work_item(rev=rev, **values))
    return history.after_work_item(rev, fields, item_values, known_conversation_rev=knew)


def broken(history: FieldHistory, conversation: Conversation | None, item: WorkItem | None) -> list[tuple[int, Field]]:
    return [(violation.point, violation.field) for violation in violations(history, conversation, item)]


CREATED: Final = work_item_wrote(NOTHING, 1, *FIELDS, knew=1)


class TestConverged:
    def test_a_pair_that_agrees_is(self) -> None:
        assert broken(CREATED, a_conversation(), a_work_item()) == []

    @pytest.mark.parametrize("missing", ["conversation", "work-item"])
    def test_half_a_pair_breaks_nothing(self, missing: str) -> None:
        conversation = None if missing == "conversation" else a_conversation(status=DONE)
        assert broken(CREATED, conversation, None if missing == "work-item" else a_work_item()) == []

    def test_not_where_b_would_fire_for_the_conversations_write(self) -> None:
        history = conversation_wrote(CREATED, 2, "queue", queue="q1")
        assert broken(history, a_conversation(queue="q1"), a_work_item()) == [(CONVERGED, "queue")]

    def test_not_where_a_would_fire_for_the_work_items_write(self) -> None:
        history = work_item_wrote(CREATED, 2, "queue", knew=1, queue="q1")
        found = broken(history, a_conversation(), a_work_item(status=Status.QUEUED, queue="q1"))
        assert found == [(CONVERGED, "queue")]

    @pytest.mark.parametrize("overrides", [{"status": DONE}, {"deleted": True}], ids=["done", "deleted"])
    @pytest.mark.parametrize("status", [status for status in Status if status is not Status.COMPLETED])
    def test_not_with_an_active_work_item_of_a_done_or_deleted_conversation(
        self, overrides: dict[str, Any], status: Status
    ) -> None:
        """Whoever closed it: also A1, for the work-item before."""
        found = broken(CREATED, a_conversation(**overrides), a_work_item(status=status, assigned_to="u1"))
        assert (CONVERGED, "status") in found

    def test_with_a_completed_one_it_is(self) -> None:
        history = conversation_wrote(CREATED, 2, "status", status=DONE)
        assert broken(history, a_conversation(status=DONE), a_work_item(status=Status.COMPLETED)) == []

    def test_a_chat_that_ended_while_it_was_queued_stays_in_its_queue(self) -> None:
        history = conversation_wrote(NOTHING, 2, "ended", ended=True)
        conversation = a_conversation(ended=True)
        assert broken(history, conversation, a_work_item(status=Status.QUEUED)) == []
        assigned = a_work_item(status=Status.ASSIGNED, assigned_to="u1")
        with_agent = a_conversation(ended=True, assigned_users=("u1",))
        assert broken(history, with_agent, assigned) == [(CONVERGED, "ended")]

    def test_an_ivr_item_that_was_never_queued_takes_no_queue_away(self) -> None:
        conversation = a_conversation(queue="q1")
        assert broken(CREATED, conversation, a_work_item()) == []
        assert broken(CREATED, conversation, a_work_item(queued_count=1)) == [(CONVERGED, "queue")]


class TestNothingLost:
    def test_a_conversations_write_that_no_later_one_knew(self) -> None:
        history = conversation_wrote(CREATED, 2, "assignee", assigned_users=("u1",))
        assert broken(history, a_conversation(), a_work_item()) == [(NOTHING_LOST, "assignee")]

    def test_a_work_items_write_that_knew_the_conversations(self) -> None:
        history = conversation_wrote(CREATED, 2, "assignee", assigned_users=("u1",))
        history = work_item_wrote(history, 2, "assignee", knew=2, assigned_to="u2", status=Status.ASSIGNED)
        item = a_work_item(status=Status.ASSIGNED, assigned_to="u1")
        assert broken(history, a_conversation(assigned_users=("u1",)), item) == [(NOTHING_LOST, "assignee")]
        kept = a_work_item(status=Status.ASSIGNED, assigned_to="u2")
        assert broken(history, a_conversation(assigned_users=("u2",)), kept) == []

    def test_a_work_items_write_that_did_not_know_it_may_be(self) -> None:
        history = conversation_wrote(CREATED, 2, "assignee", assigned_users=("u1",))
        history = work_item_wrote(history, 2, "assignee", knew=1, assigned_to="u2", status=Status.ASSIGNED)
        item = a_work_item(status=Status.ASSIGNED, assigned_to="u1")
        assert broken(history, a_conversation(assigned_users=("u1",)), item) == []

    def test_a_re_opening_over_the_conversations_own_done(self) -> None:
        """A7 is for a conversation that only A1 closed."""
        history = conversation_wrote(CREATED, 2, "status", status=DONE)
        assert broken(history, a_conversation(), a_work_item()) == [(NOTHING_LOST, "status")]

    def test_a_snooze_that_a_completion_overwrote_is_none(self) -> None:
        """A1 closes the snoozed conversation, and A7 opens it again."""
        conversation, item = a_conversation(rev=9), a_work_item(rev=1)
        history = FieldHistory().after_conversation(6, ["paused"], {**shared_values(conversation), "paused": True})
        assert [each.field for each in violations(history, conversation, item)] == ["paused"]
        completed = {**work_item_values(item), "status": True}
        after = history.after_work_item(4, ["status"], completed, known_conversation_rev=6)
        assert violations(replace(after, work_item={}), conversation, item) == ()

    def test_a_wrap_up_of_nobody_is_none(self) -> None:
        history = work_item_wrote(NOTHING, 2, "ended", knew=1, status=Status.WRAP_UP, assigned_to="u1")
        queued = a_work_item(status=Status.QUEUED)
        assert broken(history, a_conversation(ended=True), queued) == []
        assigned = a_work_item(status=Status.ASSIGNED, assigned_to="u1")
        found = broken(history, a_conversation(ended=True, assigned_users=("u1",)), assigned)
        assert found == [(NOTHING_LOST, "ended")]


class TestACompletionIsTheLastWord:
    """A work-item that the sync completed has the agent and the queue that the conversation had when it was done."""

    CLOSED: Final = conversation_wrote(
        conversation_wrote(CREATED, 2, "assignee", "queue", assigned_users=("u1",), queue="q1"),
        3, "status", status=DONE, assigned_users=("u1",), queue="q1",
    )  # fmt: skip
    CONVERSATION: Final = a_conversation(status=DONE, assigned_users=("u1",), queue="q1")

    def completed(self, **overrides: Any) -> WorkItem:
        return a_work_item(**{"status": Status.COMPLETED, "assigned_to": "u1", "queue": "q1", **overrides})

    def test_with_both_of_them(self) -> None:
        assert broken(self.CLOSED, self.CONVERSATION, self.completed()) == []

    @pytest.mark.parametrize("agent", [None, "u2"])
    def test_without_its_agent(self, agent: str | None) -> None:
        found = violations(self.CLOSED, self.CONVERSATION, self.completed(assigned_to=agent))
        assert [violation.as_wire() for violation in found] == [
            {"point": NOTHING_LOST, "field": "assignee", "expected": ["u1"], "found": agent}
        ]

    @pytest.mark.parametrize("queue", [None, "q2"])
    def test_without_its_queue(self, queue: str | None) -> None:
        assert broken(self.CLOSED, self.CONVERSATION, self.completed(queue=queue)) == [(NOTHING_LOST, "queue")]

    def test_an_agent_who_was_assigned_after_the_end_need_not_be_taken_in(self) -> None:
        history = conversation_wrote(self.CLOSED, 4, "assignee", assigned_users=("u3",), status=DONE)
        conversation = a_conversation(status=DONE, assigned_users=("u3",), queue="q1")
        assert broken(history, conversation, self.completed()) == []

    def test_a_completion_from_outside_is_its_own_last_word(self) -> None:
        history = work_item_wrote(self.CLOSED, 2, "status", knew=1, status=Status.COMPLETED)
        assert broken(history, self.CONVERSATION, self.completed(assigned_to=None)) == []

    def test_a_deletion_completes_without_waiting(self) -> None:
        deleted = a_conversation(deleted=True, assigned_users=("u1",), queue="q1")
        history = conversation_wrote(self.CLOSED, 4, "status", deleted=True, assigned_users=("u1",), queue="q1")
        assert broken(history, deleted, self.completed(assigned_to=None)) == []

    def test_an_earlier_closing_may_have_completed_the_work_item(self) -> None:
        history = conversation_wrote(self.CLOSED, 4, "status", assigned_users=("u1",), queue="q1")
        history = conversation_wrote(history, 5, "queue", assigned_users=("u1",))
        history = conversation_wrote(history, 6, "status", status=DONE, assigned_users=("u1",))
        conversation = a_conversation(status=DONE, assigned_users=("u1",))
        assert broken(history, conversation, self.completed()) == []

    def test_a_conversation_that_the_sync_closed_says_nothing_of_it(self) -> None:
        """Its work-item was completed outside, or A1 closed it for an earlier one."""
        history = conversation_wrote(CREATED, 2, "assignee", assigned_users=("u1",))
        conversation = a_conversation(status=DONE, assigned_users=("u1",))
        assert broken(history, conversation, self.completed(assigned_to=None, queue=None)) == []


def test_no_loops_at_most_two_syncs_for_each_outside_write() -> None:
    assert [sync_writes_max(count) for count in (0, 1, 7)] == [0, 2, 14]
