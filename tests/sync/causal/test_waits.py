"""The rules that wait for a field that is not their own: B6 for assignee and queue, B7 for the assignee
(docs/rules.md, *Who is newer*)."""

from typing import Final

import pytest

from sync.conversation import FIELDS
from sync.evidence import NewerSide
from tests.sync.pairs import Json, c, decided_where, rules_of, w

C, W, WAITS = NewerSide.CONVERSATION, NewerSide.WORK_ITEM, NewerSide.UNDECIDED
Q1, Q2 = {"id": "q1"}, {"id": "q2"}


def decided(conversation: Json, item: Json, **newer: NewerSide) -> Json:
    """The decision where the conversation is newer in every field that is not given."""
    return decided_where(conversation, item, {name: newer.get(name, C) for name in FIELDS})


def suppressed(found: Json) -> dict[str, str]:
    return {each["field"]: each["code"] for each in found["suppressed"]}


class TestACompletionIsTheLastWord:
    """B6 waits while assignee or queue waits; else the work-item would be completed without its agent."""

    DONE: Final = c(status="done", assignedUsers=["u1"], queue=Q1)
    OTHER_AGENT: Final = w(status="assigned", assignedTo="u2", queue=Q1)
    OTHER_QUEUE: Final = w(status="assigned", assignedTo="u1", queue=Q2)

    @pytest.mark.parametrize(
        ("item", "field"), [(OTHER_AGENT, "assignee"), (OTHER_QUEUE, "queue")], ids=["assignee", "queue"]
    )
    def test_it_waits_for(self, item: Json, field: str) -> None:
        found = decided(self.DONE, item, **{field: WAITS})
        assert found["reasons"] == [{"action": "SKIP_SYNC", "code": "AWAITING_EARLIER_EVENT", "meta": {}}]
        assert suppressed(found) == {field: "FIELD_WAITS", "status": "FIELD_WAITS"}

    @pytest.mark.parametrize(
        ("item", "field"), [(OTHER_AGENT, "assignee"), (OTHER_QUEUE, "queue")], ids=["assignee", "queue"]
    )
    @pytest.mark.parametrize("side", [C, W])
    def test_it_fires_once_that_is_decided(self, item: Json, field: str, side: NewerSide) -> None:
        found = decided(self.DONE, item, **{field: side})
        assert "B6" in rules_of(found)
        assert "status" not in suppressed(found)

    def test_not_for_a_field_on_which_no_rule_fires(self) -> None:
        same = w(status="assigned", assignedTo="u1", queue=Q1)
        assert rules_of(decided(self.DONE, same, assignee=WAITS, queue=WAITS)) == {"B6"}

    def test_not_for_ended(self) -> None:
        """B10 and B7 are for an open conversation, so A4 alone would fire."""
        wrap_up = w(status="wrap-up", assignedTo="u1", queue=Q1)
        found = decided(self.DONE, wrap_up, ended=WAITS)
        assert rules_of(found) == {"B6"}
        assert suppressed(found) == {"ended": "FIELD_WAITS"}

    def test_the_other_field_is_written_meanwhile(self) -> None:
        item = w(status="assigned", assignedTo="u2", queue=Q2)
        found = decided(self.DONE, item, assignee=WAITS)
        assert found["updatedWorkItem"] == {"queue": {"id": "q1"}}
        assert suppressed(found) == {
            "assignee": "FIELD_WAITS",
            "queue": "CONVERSATION_IS_NEWER",
            "status": "FIELD_WAITS",
        }

    def test_b9_does_not_wait(self) -> None:
        deleted = c(deleted=True, assignedUsers=["u1"], queue=Q1)
        assert rules_of(decided(deleted, self.OTHER_AGENT, assignee=WAITS, queue=WAITS)) == {"B9"}

    def test_b9_of_a_conversation_that_was_done_before_does_not_wait_either(self) -> None:
        deleted = {**self.DONE, "deleted": True}
        assert rules_of(decided(deleted, self.OTHER_AGENT, assignee=WAITS, queue=WAITS)) == {"B9"}

    def test_a1_does_not_wait(self) -> None:
        completed = w(status="completed", assignedTo="u2", queue=Q2)
        found = decided(c(assignedUsers=["u1"], queue=Q1), completed, status=W, assignee=WAITS, queue=WAITS)
        assert rules_of(found) == {"A1"}


class TestAnEndNeedsAnAgent:
    """B7 fires where the work-item has an assignee after this update, and waits while the assignee waits."""

    ENDED: Final = c(ended=True, assignedUsers=["u1"], queue=Q1)
    QUEUED: Final = w(status="queued", queue=Q1)
    ASSIGNED: Final = w(status="assigned", assignedTo="u1", queue=Q1)

    def test_it_waits_for_an_assignment(self) -> None:
        found = decided(self.ENDED, self.QUEUED, assignee=WAITS)
        assert found["reasons"] == [{"action": "SKIP_SYNC", "code": "AWAITING_EARLIER_EVENT", "meta": {}}]
        assert suppressed(found) == {"assignee": "FIELD_WAITS", "ended": "FIELD_WAITS"}

    def test_it_waits_for_an_un_assignment(self) -> None:
        found = decided({**self.ENDED, "assignedUsers": []}, self.ASSIGNED, assignee=WAITS)
        assert suppressed(found) == {"assignee": "FIELD_WAITS", "ended": "FIELD_WAITS"}

    def test_it_waits_for_another_agent(self) -> None:
        found = decided({**self.ENDED, "assignedUsers": ["u2"]}, self.ASSIGNED, assignee=WAITS)
        assert suppressed(found) == {"assignee": "FIELD_WAITS", "ended": "FIELD_WAITS"}

    def test_with_the_conversations_agent(self) -> None:
        found = decided(self.ENDED, self.QUEUED)
        assert found["updatedWorkItem"] == {"assignedTo": "u1", "status": "wrap-up"}

    def test_with_the_work_items_agent(self) -> None:
        found = decided({**self.ENDED, "assignedUsers": []}, self.ASSIGNED, assignee=W)
        assert rules_of(found) == {"A2", "B7"}
        assert found["updatedWorkItem"] == {"status": "wrap-up"}

    def test_not_where_the_conversation_takes_the_agent_away(self) -> None:
        found = decided({**self.ENDED, "assignedUsers": []}, self.ASSIGNED)
        assert rules_of(found) == {"B3"}

    def test_not_where_the_work_item_has_nobody(self) -> None:
        """A chat that ended while it waited stays in its queue."""
        found = decided(self.ENDED, self.QUEUED, assignee=W)
        assert rules_of(found) == {"A3"}
        assert "ended" not in suppressed(found)

    def test_not_where_neither_has_an_agent_whatever_is_unobserved(self) -> None:
        found = decided({**self.ENDED, "assignedUsers": []}, self.QUEUED, assignee=WAITS)
        assert (rules_of(found), suppressed(found)) == (set(), {})

    def test_not_for_an_assignee_on_which_both_agree(self) -> None:
        assert rules_of(decided(self.ENDED, self.ASSIGNED, assignee=WAITS)) == {"B7"}

    def test_not_where_the_work_item_is_newer(self) -> None:
        found = decided(self.ENDED, self.QUEUED, assignee=WAITS, ended=W)
        assert suppressed(found)["ended"] == "WORK_ITEM_IS_NEWER"
