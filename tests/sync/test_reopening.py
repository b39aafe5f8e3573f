"""Rule A7: a conversation that only A1 closed is opened again for a later work-item (docs/rules.md, *Table A*).

The smallest pair: A1 took in the completion of work-item 1 at the conversation's revision 3. Work-item 2 is active, and
whoever made it knew revision 2.
"""

from typing import Final

import pytest

from tests.sync.pairs import Json, c, causal_answer, rules_of, w

DONE_BY: Final[Json] = {"number": 1, "rev": 3}
STATE: Final[Json] = {"changed": {"status": 1}, "known": {"status": 2}, "doneBy": DONE_BY}
C: Final = c(status="done")
W: Final = w(workItemNumber=2)


def suppressed(found: Json) -> dict[str, str]:
    return {each["field"]: each["code"] for each in found["suppressed"]}


class TestItFires:
    def test_with_its_write_and_its_reason(self) -> None:
        assert causal_answer(C, W, STATE) == {
            "outcome": "applied",
            "direction": "reverse",
            "updatedConversation": {"status": "open"},
            "updatedWorkItem": None,
            "reasons": [
                {
                    "action": "SYNC_CONVERSATION",
                    "code": "NEWER_WORK_ITEM_ACTIVE",
                    "meta": {"rule": "A7", "policy": "causal"},
                }
            ],
            # What B6 asked for on the pair as it was read.
            "suppressed": [{"field": "status", "code": "WORK_ITEM_IS_NEWER", "conversationRev": 1, "knownRev": 2}],
        }

    @pytest.mark.parametrize("status", ["ivr", "queued", "routed", "assigned", "wrap-up"])
    def test_for_every_active_status(self, status: str) -> None:
        assert "A7" in rules_of(causal_answer(C, w(status=status, workItemNumber=2), STATE))

    def test_where_no_event_told_of_the_status_and_the_maker_knew_an_earlier_resource_rev(self) -> None:
        state = {"doneBy": DONE_BY}
        assert rules_of(causal_answer(C, {**W, "resourceRev": 2}, state)) == {"A7"}
        assert rules_of(causal_answer(C, {**W, "resourceRev": 3}, state)) == {"B6"}

    def test_the_event_of_the_create_outweighs_the_stored_resource_rev(self) -> None:
        assert rules_of(causal_answer(C, {**W, "resourceRev": 3}, STATE)) == {"A7"}

    def test_with_later_revisions_of_the_conversation_that_are_observed(self) -> None:
        assert rules_of(causal_answer(c(status="done", rev=9), W, STATE)) == {"A7"}


@pytest.mark.parametrize(
    ("conversation", "item", "state"),
    [
        (C, W, {**STATE, "doneBy": None}),
        (C, w(workItemNumber=1), STATE),
        (C, w(workItemNumber=0), STATE),
        (C, W, {**STATE, "known": {"status": 3}}),
        (C, W, {**STATE, "changed": {"status": 3}}),
        (c(status="done", rev=4), W, {**STATE, "changed": {"status": 4}}),
        (c(status="done", deleted=True), W, STATE),
        (c(), W, STATE),
        (C, w(workItemNumber=2, status="completed"), STATE),
    ],
    ids=[
        "no-completion-was-taken-in",
        "the-same-work-item",
        "an-earlier-one",
        "its-maker-knew-of-the-completion",
        "an-outside-write-closed-it-at-that-revision",
        "an-outside-write-closed-it-later",
        "deleted",
        "open",
        "completed",
    ],
)
def test_it_does_not_fire_on_the_nearest_pair(conversation: Json, item: Json, state: Json) -> None:
    assert "A7" not in rules_of(causal_answer(conversation, item, state))


def test_b6_completes_the_work_item_where_it_does_not_fire() -> None:
    assert rules_of(causal_answer(C, W, {**STATE, "known": {"status": 3}})) == {"B6"}


class TestItWaits:
    """A conversation revision above `doneBy.rev` is unobserved: it may be an outside write that closed it."""

    LATER: Final = c(status="done", rev=5)

    @pytest.mark.parametrize("observed", [[[1, 3]], [[1, 4]], [[1, 3], [5, 5]]], ids=str)
    def test_and_neither_side_is_written(self, observed: list[list[int]]) -> None:
        found = causal_answer(self.LATER, W, {**STATE, "observed": {"conversation": observed}})
        assert found["reasons"] == [{"action": "SKIP_SYNC", "code": "AWAITING_EARLIER_EVENT", "meta": {}}]
        assert suppressed(found) == {"status": "FIELD_WAITS"}

    @pytest.mark.parametrize("observed", [[[1, 5]], [[3, 5]], [[4, 5]]], ids=str)
    def test_for_no_revision_below(self, observed: list[list[int]]) -> None:
        assert rules_of(causal_answer(self.LATER, W, {**STATE, "observed": {"conversation": observed}})) == {"A7"}

    def test_for_no_revision_of_the_work_item(self) -> None:
        observed = {"workItem": [[1, 1]]}
        assert rules_of(causal_answer(C, W, {**STATE, "observed": observed})) == {"A7"}

    def test_what_does_not_wait_is_written(self) -> None:
        item = w(workItemNumber=2, status="queued", queue={"id": "q1"})
        found = causal_answer(
            c(status="done", rev=5, assignedUsers=["u1"], queue={"id": "q1"}),
            item,
            {**STATE, "changed": {"status": 1, "assignee": 2}, "observed": {"conversation": [[1, 4]]}},
        )
        assert rules_of(found) == {"B1"}
        assert suppressed(found) == {"assignee": "CONVERSATION_IS_NEWER", "status": "FIELD_WAITS"}


class TestBIsAskedAboutTheConversationAsItLeavesIt:
    def test_a_pause_ends(self) -> None:
        found = causal_answer(C, w(workItemNumber=2, paused=True), STATE)
        assert rules_of(found) == {"A7", "B5"}
        assert (found["direction"], found["updatedWorkItem"]) == ("both", {"paused": False})

    def test_an_ended_conversation_sends_an_assigned_item_to_wrap_up(self) -> None:
        item = w(workItemNumber=2, status="assigned", assignedTo="u1")
        found = causal_answer(
            c(status="done", ended=True, assignedUsers=["u1"]), item, {**STATE, "changed": {"status": 1, "ended": 3}}
        )
        assert rules_of(found) == {"A7", "B7"}

    def test_an_item_in_wrap_up_of_a_conversation_that_did_not_end_resumes(self) -> None:
        item = w(workItemNumber=2, status="wrap-up", assignedTo="u1")
        found = causal_answer(
            c(status="done", assignedUsers=["u1"]), item, {**STATE, "changed": {"status": 1, "ended": 3}}
        )
        assert found["updatedWorkItem"] == {"resume": True}

    def test_other_rules_of_a_write_beside_it(self) -> None:
        item = w(workItemNumber=2, status="queued", queue={"id": "q1"})
        found = causal_answer(C, item, STATE)
        assert found["updatedConversation"] == {"status": "open", "queue": {"id": "q1"}}
