"""Each gate by its code: the smallest case that it closes, the nearest one that it lets through; and their order.

Policy `legacy`; the gates of `causal` are in causal/test_gates.py.
"""

from typing import Any

import pytest

from commands.reason import Reason, ReasonAction
from sync.decision import Decision, skip_decision
from sync.gates import SKIP_CODES, Side, SkipCode
from sync.policy_legacy import legacy_decision
from tests.sync.pairs import Json, answer, c, conversation_of, question, w, work_item_of

TO_WRITE: dict[Side, tuple[Json, Json]] = {
    "conversation": (c(assignedUsers=["u1"]), w()),
    "work-item": (c(), w(assignedTo="u1")),
}
"""A pair on which the trigger's own table has something to write: C at revision 3, W at revision 5."""

BOTH = pytest.mark.parametrize("trigger", ["conversation", "work-item"])


def code(asked: Json) -> str | None:
    """The closed gate; None where the event passed and a rule wrote."""
    found = answer(asked)
    if found["outcome"] == "applied":
        return None
    assert found["direction"] is None
    assert found["updatedConversation"] is None
    assert found["updatedWorkItem"] is None
    [reason] = found["reasons"]
    assert reason["action"] == "SKIP_SYNC"
    assert reason["meta"] == {}
    return str(reason["code"])


@BOTH
class TestEveryGate:
    def test_unsupported_event(self, trigger: Side) -> None:
        assert code(question(trigger, *TO_WRITE[trigger], {"supported": False})) == "UNSUPPORTED_EVENT"
        assert code(question(trigger, *TO_WRITE[trigger], {"supported": True})) is None

    def test_is_sync(self, trigger: Side) -> None:
        assert code(question(trigger, *TO_WRITE[trigger], {"isSync": True})) == "IS_SYNC"
        assert code(question(trigger, *TO_WRITE[trigger], {"isSync": False})) is None

    def test_no_conversation(self, trigger: Side) -> None:
        conversation, item = TO_WRITE[trigger]
        assert code(question(trigger, None, item)) == "NO_CONVERSATION"
        assert code(question(trigger, conversation, item)) is None

    def test_no_active_work_item(self, trigger: Side) -> None:
        conversation, item = TO_WRITE[trigger]
        assert code(question(trigger, conversation, None)) == "NO_ACTIVE_WORK_ITEM"
        assert code(question(trigger, conversation, item)) is None

    def test_stale_rev(self, trigger: Side) -> None:
        stored = 3 if trigger == "conversation" else 5
        assert code(question(trigger, *TO_WRITE[trigger], {"rev": stored - 1})) == "STALE_REV"
        assert code(question(trigger, *TO_WRITE[trigger], {"rev": stored})) is None
        assert code(question(trigger, *TO_WRITE[trigger], {"rev": stored + 1})) is None

    def test_stale_rev_asks_for_the_events_own_document_only(self, trigger: Side) -> None:
        other_is_far_ahead: dict[Side, tuple[dict[str, Any], dict[str, Any]]] = {
            "conversation": (TO_WRITE[trigger][0], {**TO_WRITE[trigger][1], "rev": 90}),
            "work-item": ({**TO_WRITE[trigger][0], "rev": 90}, TO_WRITE[trigger][1]),
        }
        assert code(question(trigger, *other_is_far_ahead[trigger], {"rev": 5})) is None

    def test_in_sync(self, trigger: Side) -> None:
        assert code(question(trigger, c(), w())) == "IN_SYNC"

    def test_the_first_closed_gate_names_the_reason(self, trigger: Side) -> None:
        all_closed = {"supported": False, "isSync": True, "rev": 1}
        assert code(question(trigger, None, None, all_closed)) == "UNSUPPORTED_EVENT"
        assert code(question(trigger, None, None, {**all_closed, "supported": True})) == "IS_SYNC"
        assert code(question(trigger, None, None, {"rev": 1})) == "NO_CONVERSATION"
        assert code(question(trigger, c(), None, {"rev": 1})) == "NO_ACTIVE_WORK_ITEM"
        assert code(question(trigger, c(), w(), {"rev": 1})) == "STALE_REV"
        assert code(question(trigger, c(), w(), {"rev": 9})) == "IN_SYNC"


class TestACompletionStillToBeTakenIn:
    """`NO_ACTIVE_WORK_ITEM`: no active work-item, and none whose completion is still to be taken in (A1)."""

    def test_its_own_event_takes_it_in(self) -> None:
        assert code(question("work-item", c(), w(status="completed"))) is None

    def test_not_when_the_conversation_is_done(self) -> None:
        assert code(question("work-item", c(status="done"), w(status="completed"))) == "NO_ACTIVE_WORK_ITEM"

    def test_not_when_the_conversation_is_deleted(self) -> None:
        assert code(question("work-item", c(deleted=True), w(status="completed"))) == "NO_ACTIVE_WORK_ITEM"

    def test_not_on_a_conversations_event_which_never_asks_table_a(self) -> None:
        assert code(question("conversation", c(), w(status="completed"))) == "NO_ACTIVE_WORK_ITEM"

    def test_a_stale_completion_is_stale(self) -> None:
        assert code(question("work-item", c(), w(status="completed"), {"rev": 4})) == "STALE_REV"


@pytest.mark.parametrize("skip", SKIP_CODES, ids=lambda skip: skip.value)
def test_a_skip_is_a_decision_with_its_code_as_the_one_reason(skip: SkipCode) -> None:
    assert skip_decision(skip) == Decision(
        direction=None,
        conversation_fields=None,
        work_item_fields=None,
        reasons=(Reason(action=ReasonAction.SKIP_SYNC, code=skip),),
    )


def test_a_question_without_an_event_is_neither_stale_nor_a_sync() -> None:
    conversation, item = TO_WRITE["conversation"]
    decision = legacy_decision(side="conversation", conversation=conversation_of(conversation), item=work_item_of(item))
    assert decision.applies
    assert decision.work_item_fields == {"assignedTo": "u1"}
