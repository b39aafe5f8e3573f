"""`decide` under policy `causal` (docs/decide.md): both directions, and the newer side as the state has it."""

from typing import Any, Final

import pytest

from handlers.dry_run.question import BadQuestion
from tests.handlers.dry_run.questions import SYNC, C, W, ask, fault
from tests.handlers.wire_events import Json

CAUSAL: Final[Json] = {**SYNC, "policy": "causal"}
"""The conversation has u-1 and no queue. The work-item is queued in q-1 and unassigned."""

B1: Final[Json] = {
    "action": "SYNC_WORK_ITEM", "code": "CONVERSATION_ASSIGNED", "meta": {"rule": "B1", "policy": "causal"}
}  # fmt: skip
A5: Final[Json] = {
    "action": "SYNC_CONVERSATION", "code": "WORK_ITEM_QUEUE_CHANGED", "meta": {"rule": "A5", "policy": "causal"}
}  # fmt: skip


def suppressed(field: str, code: str, changed: int, known: int) -> Json:
    return {"field": field, "code": code, "conversationRev": changed, "knownRev": known}


def test_at_first_sight_a_conversations_trigger_runs_forward() -> None:
    told = ask(CAUSAL)
    assert (told["outcome"], told["direction"], told["updatedConversation"]) == ("applied", "forward", None)
    assert told["updatedWorkItem"] == {"assignedTo": "u-1", "queue": None}
    assert [reason["meta"]["rule"] for reason in told["reasons"]] == ["B1", "B8"]
    assert told["suppressed"] == [
        suppressed("assignee", "CONVERSATION_IS_NEWER", 3, 0),
        suppressed("queue", "CONVERSATION_IS_NEWER", 3, 0),
    ]


def test_at_first_sight_a_work_items_trigger_runs_in_reverse() -> None:
    told = ask({**CAUSAL, "trigger": "work-item"})
    assert (told["outcome"], told["direction"], told["updatedWorkItem"]) == ("applied", "reverse", None)
    assert told["updatedConversation"] == {"assignedUsers": [], "queue": {"id": "q-1"}}
    assert {each["code"] for each in told["suppressed"]} == {"WORK_ITEM_IS_NEWER"}


def test_at_first_sight_paused_is_always_the_conversations() -> None:
    told = ask({**CAUSAL, "trigger": "work-item", "conversation": {**C, "status": "snoozed"}})
    assert (told["direction"], told["updatedWorkItem"]) == ("both", {"paused": True})


@pytest.mark.parametrize("trigger", ["conversation", "work-item"])
def test_with_a_state_both_directions_are_run_whatever_the_trigger(trigger: str) -> None:
    state = {"changed": {"assignee": 3, "queue": 1}, "known": {"assignee": 2, "queue": 1}}
    assert ask({**CAUSAL, "trigger": trigger, "state": state}) == {
        "outcome": "applied",
        "direction": "both",
        "updatedConversation": {"queue": {"id": "q-1"}},
        "updatedWorkItem": {"assignedTo": "u-1"},
        "reasons": [B1, A5],
        "suppressed": [
            suppressed("assignee", "CONVERSATION_IS_NEWER", 3, 2),
            suppressed("queue", "WORK_ITEM_IS_NEWER", 1, 1),
        ],
    }


@pytest.mark.parametrize("state", [{}, {"changed": {}}, {"known": {}}, {"changed": {"queue": 0}}], ids=str)
def test_keys_missing_in_the_state_are_0_and_then_the_work_item_is_newer(state: Json) -> None:
    told = ask({**CAUSAL, "state": state})
    assert (told["direction"], told["updatedWorkItem"]) == ("reverse", None)
    assert {(each["conversationRev"], each["knownRev"]) for each in told["suppressed"]} == {(0, 0)}


@pytest.mark.parametrize("trigger", ["conversation", "work-item"])
@pytest.mark.parametrize(
    ("told", "code"),
    [
        ({"conversation": None}, "NO_CONVERSATION"),
        ({"workItem": None}, "NO_ACTIVE_WORK_ITEM"),
        ({"workItem": {**W, "status": "completed"}, "conversation": {**C, "status": "done"}}, "NO_ACTIVE_WORK_ITEM"),
        ({"workItem": {**W, "assignedTo": "u-1", "status": "assigned", "queue": None}}, "IN_SYNC"),
    ],
    ids=["no-conversation", "no-work-item", "completed-and-done", "in-sync"],
)
def test_skipped(trigger: str, told: dict[str, Any], code: str) -> None:
    answered = ask({**CAUSAL, "trigger": trigger, **told})
    assert (answered["outcome"], answered["direction"], answered["suppressed"]) == ("skipped", None, [])
    assert answered["reasons"] == [{"action": "SKIP_SYNC", "code": code, "meta": {}}]


def test_a_completion_is_taken_in_where_the_work_item_is_newer_on_either_trigger() -> None:
    completed = {**CAUSAL, "workItem": {**W, "status": "completed"}}
    for trigger in ("conversation", "work-item"):
        told = ask({**completed, "trigger": trigger, "state": {"known": {"status": 3}}})
        assert told["updatedConversation"] == {"status": "done"}
        told = ask({**completed, "trigger": trigger, "state": {"changed": {"status": 3}}})
        assert (told["outcome"], [each["code"] for each in told["suppressed"]]) == (
            "skipped",
            ["CONVERSATION_IS_NEWER"],
        )


@pytest.mark.parametrize(
    ("state", "says"),
    [
        ({"changed": {"colour": 1}}, "state.changed.colour"),
        ({"changed": {"queue": -1}}, "state.changed.queue"),
        ({"known": {"queue": "3"}}, "state.known.queue"),
        ({"view": {}}, "state.view"),
        ({"touched": {"queue": "3"}}, "state.touched.queue"),
        ({"doneBy": {"number": 1}}, "state.doneBy.rev"),
        ({"doneBy": {"number": -1, "rev": 1}}, "state.doneBy.number"),
        ({"observed": {"conversation": [[3, 1]]}}, "state.observed.conversation.0: "),
        ({"observed": {"conversation": [[3]]}}, "state.observed.conversation.0"),
        ([], "state"),
    ],
    ids=str,
)
def test_a_state_that_cannot_be_read_names_its_fault(state: object, says: str) -> None:
    assert says in fault({**CAUSAL, "state": state})
    with pytest.raises(BadQuestion):
        ask({**CAUSAL, "state": state})


class TestWaiting:
    """A state with observed revisions. A field may wait for an unobserved one, as it does in the worker."""

    QUESTION: Final[Json] = {
        "kind": "sync",
        "policy": "causal",
        "trigger": "work-item",
        "conversation": {"id": "c", "rev": 6, "status": "open", "assignedUsers": ["u"], "queue": {"id": "q"}},
        "workItem": {"id": "w", "rev": 2, "status": "queued", "queue": {"id": "q"}},
    }

    @pytest.mark.parametrize(
        ("observed", "code"),
        [
            ({"conversation": [[1, 5]], "workItem": [[1, 2]]}, "AWAITING_EARLIER_EVENT"),
            ({"conversation": [[1, 6]], "workItem": [[2, 2]]}, "AWAITING_EARLIER_EVENT"),
            ({"conversation": [[4, 4], [6, 6]], "workItem": [[1, 2]]}, "WORK_ITEM_QUEUED_UNASSIGNED"),
        ],
    )
    def test_for_a_revision_that_was_not_observed(self, observed: dict[str, Any], code: str) -> None:
        state = {"changed": {}, "known": {"assignee": 5}, "observed": observed}
        told = ask({**self.QUESTION, "state": state})
        assert [reason["code"] for reason in told["reasons"]] == [code]

    def test_not_for_a_work_item_revision_that_knew_the_change(self) -> None:
        observed = {"conversation": [[1, 6]], "workItem": [[2, 2]]}
        state = {"known": {"assignee": 5}, "knownAt": {"assignee": 1}, "observed": observed}
        assert ask({**self.QUESTION, "state": state})["outcome"] == "applied"

    def test_runs_may_touch_and_come_in_any_order(self) -> None:
        observed = {"conversation": [[6, 6], [1, 3], [4, 5]], "workItem": [[2, 2], [1, 1]]}
        state = {"changed": {}, "known": {"assignee": 2}, "observed": observed}
        assert ask({**self.QUESTION, "state": state})["updatedConversation"] == {"assignedUsers": []}

    def test_a_completion_waits_for_its_agent(self) -> None:
        """B6 waits while the assignee waits."""
        closed = {**self.QUESTION["conversation"], "status": "done"}
        observed = {"conversation": [[1, 5]], "workItem": [[1, 2]]}
        told = ask({**self.QUESTION, "conversation": closed, "state": {"known": {"assignee": 5}, "observed": observed}})
        assert [reason["code"] for reason in told["reasons"]] == ["AWAITING_EARLIER_EVENT"]
        assert told["suppressed"] == [
            suppressed("assignee", "FIELD_WAITS", 0, 5),
            suppressed("status", "FIELD_WAITS", 0, 0),
        ]

    @pytest.mark.parametrize("state", [{}, {"changed": {"assignee": 5}, "known": {"assignee": 4}}])
    def test_what_a_write_touched_without_saying_what_it_knew_changes_no_answer(self, state: Json) -> None:
        told = ask({**self.QUESTION, "state": state})
        assert ask({**self.QUESTION, "state": {**state, "touched": {"assignee": 2}}}) == told


class TestALaterWorkItem:
    """Rule A7 asks the state for `doneBy`, and the work-item for its number and `resourceRev`."""

    QUESTION: Final[Json] = {
        "kind": "sync",
        "policy": "causal",
        "trigger": "work-item",
        "conversation": {"id": "c", "rev": 6, "status": "done"},
        "workItem": {"id": "w2", "rev": 1, "status": "ivr", "workItemNumber": 2},
        "state": {"doneBy": {"number": 1, "rev": 6}, "known": {"status": 5}},
    }
    REOPENED: Final[Json] = {"status": "open"}

    def test_opens_the_conversation_again(self) -> None:
        told = ask(self.QUESTION)
        assert (told["direction"], told["updatedConversation"]) == ("reverse", self.REOPENED)
        assert [reason["code"] for reason in told["reasons"]] == ["NEWER_WORK_ITEM_ACTIVE"]
        assert told["suppressed"] == [suppressed("status", "WORK_ITEM_IS_NEWER", 0, 5)]

    @pytest.mark.parametrize(
        ("number", "known", "resource_rev", "rule"),
        [
            (2, {"status": 5}, 9, "A7"),
            (2, {"status": 6}, 1, "B6"),
            (1, {"status": 5}, 1, "B6"),
            (2, {}, 5, "A7"),
            (2, {}, 6, "B6"),
        ],
    )
    def test_only_where_its_maker_did_not_know_of_the_completion(
        self, number: int, known: Json, resource_rev: int, rule: str
    ) -> None:
        item = {**self.QUESTION["workItem"], "workItemNumber": number, "resourceRev": resource_rev}
        state = {"doneBy": {"number": 1, "rev": 6}, "known": known}
        told = ask({**self.QUESTION, "workItem": item, "state": state})
        assert [reason["meta"]["rule"] for reason in told["reasons"]] == [rule]


@pytest.mark.parametrize(("count", "rules"), [(None, []), (0, []), (1, ["A6"])], ids=str)
def test_an_ivr_item_that_was_never_queued_takes_no_queue_away(count: int | None, rules: list[str]) -> None:
    item = {**W, "status": "ivr", "queue": None, "assignedTo": "u-1", "queuedCount": count}
    told = ask({**CAUSAL, "conversation": {**C, "queue": {"id": "q-1"}}, "workItem": item, "state": {}})
    assert [reason["meta"]["rule"] for reason in told["reasons"] if reason["meta"]] == rules
