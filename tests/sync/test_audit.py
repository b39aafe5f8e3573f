"""The audit record's keys and shapes (docs/events.md, *The audit line*)."""

from typing import Any, Final

import pytest
from msgspec.structs import replace

from commands.engines.rollout import Engine
from commands.execute import CommandRecord
from commands.reason import Reason, ReasonAction, ReasonCode
from commands.work_item import Status
from sync.audit import AUDIT_MESSAGE, AuditOutcome, AuditRecord, values_before
from sync.conversation import ConversationStatus
from sync.decision import SuppressedField
from sync.gates import Policy
from tests.sync.observations import a_conversation, a_work_item

COMMAND: Final = CommandRecord(
    engine=Engine.LEGACY,
    name="queueCommandParams",
    actions=("Queue",),
    fields=("queue", "status"),
    composed=False,
    dropped=("status",),
)
FULL: Final = AuditRecord(
    event={"id": "e1", "rev": 3},
    outcome=AuditOutcome.APPLIED,
    trigger="conversation",
    policy=Policy.LEGACY,
    reasons=(
        Reason(action=ReasonAction.SYNC_WORK_ITEM, code=ReasonCode.CONVERSATION_QUEUE_CHANGED, meta={"rule": "B8"}),
    ),
    conversation_id="c1",
    work_item_id="w1",
    direction="both",
    suppressed=(
        SuppressedField(field="assignee", code=ReasonCode.CONVERSATION_IS_NEWER, conversation_rev=6, known_rev=4),
    ),
    updated_conversation={"ended": True, "rev": 3},
    updated_work_item={"queue": {"id": "q1"}, "rev": 7},
    before={"conversation": {"ended": False}, "workItem": {"queue": None}},
    written=({"side": "conversation", "id": "c1", "rev": 4},),
    command=COMMAND,
    conversation_rev=3,
    work_item_rev=7,
    lag_ms=50,
    trace={"trace_id": "1"},
)


def test_a_record_with_every_value() -> None:
    assert AUDIT_MESSAGE == "CONVERSATION_SYNC_AUDIT"
    assert FULL.as_wire() == {
        "conversationId": "c1",
        "workItemId": "w1",
        "outcome": "applied",
        "direction": "both",
        "updatedConversation": {"ended": True, "rev": 3},
        "updatedWorkItem": {"queue": {"id": "q1"}, "rev": 7},
        "before": {"conversation": {"ended": False}, "workItem": {"queue": None}},
        "written": [{"side": "conversation", "id": "c1", "rev": 4}],
        "reasons": [{"action": "SYNC_WORK_ITEM", "code": "CONVERSATION_QUEUE_CHANGED", "meta": {"rule": "B8"}}],
        "suppressed": [
            {"field": "assignee", "code": "CONVERSATION_IS_NEWER", "conversationRev": 6, "knownRev": 4},
        ],
        "command": {
            "engine": "legacy",
            "name": "queueCommandParams",
            "actions": ["Queue"],
            "fields": ["queue", "status"],
            "dropped": ["status"],
        },
        "event": {"id": "e1", "rev": 3},
        "trigger": "conversation",
        "policy": "legacy",
        "shadow": None,
        "conversationRev": 3,
        "workItemRev": 7,
        "lagMs": 50,
        "dd": {"trace_id": "1"},
    }


def test_a_missing_value_is_null_and_no_key_is_left_out() -> None:
    bare = AuditRecord(
        event={}, outcome=AuditOutcome.SKIPPED, trigger="gap", policy=Policy.LEGACY, reasons=(), conversation_id=None
    ).as_wire()
    assert set(bare) == set(FULL.as_wire())
    assert {name: value for name, value in bare.items() if value is not None} == {
        "outcome": "skipped",
        "trigger": "gap",
        "policy": "legacy",
        "written": [],
        "reasons": [],
        "suppressed": [],
        "event": {},
        "dd": {},
    }


class TestValuesBefore:
    C: Final = a_conversation(status=ConversationStatus.SNOOZED, assigned_users=("u1", "u2"), queue="q1", ended=True)
    W: Final = a_work_item(status=Status.WRAP_UP, assigned_to="u1", queue="q2", paused=True)
    OF_C: Final = {"status": "done", "assignedUsers": [], "queue": {"id": None}, "ended": True}
    OF_W: Final = {"status": "completed", "assignedTo": None, "queue": None, "paused": False}

    def test_every_field_of_both_sides_in_the_form_of_the_write(self) -> None:
        assert values_before(self.C, self.W, conversation_fields=self.OF_C, work_item_fields=self.OF_W) == {
            "conversation": {"status": "snoozed", "assignedUsers": ["u1", "u2"], "queue": {"id": "q1"}, "ended": True},
            "workItem": {"status": "wrap-up", "assignedTo": "u1", "queue": {"id": "q2"}, "paused": True},
        }

    def test_no_queue_is_written_as_each_side_writes_it(self) -> None:
        bare = values_before(
            a_conversation(), a_work_item(), conversation_fields={"queue": {"id": "q1"}}, work_item_fields=self.OF_W
        )
        assert bare == {
            "conversation": {"queue": {"id": None}},
            "workItem": {"status": "ivr", "assignedTo": None, "queue": None, "paused": False},
        }

    def test_of_the_written_fields_alone(self) -> None:
        found = values_before(self.C, self.W, conversation_fields={"ended": True}, work_item_fields={"paused": True})
        assert found == {"conversation": {"ended": True}, "workItem": {"paused": True}}

    @pytest.mark.parametrize(
        ("of_conversation", "of_item", "before"),
        [
            ({"ended": True}, None, {"conversation": {"ended": True}, "workItem": None}),
            (None, {"paused": True}, {"conversation": None, "workItem": {"paused": True}}),
            (None, {"resume": True}, {"conversation": None, "workItem": {}}),
            (None, {"assignedTo": None, "resume": True}, {"conversation": None, "workItem": {"assignedTo": "u1"}}),
            (None, None, None),
        ],
        ids=["conversation", "work-item", "resume", "resume-and-a-field", "neither"],
    )
    def test_a_side_that_is_not_written_is_null(
        self, of_conversation: dict[str, Any] | None, of_item: dict[str, Any] | None, before: dict[str, Any] | None
    ) -> None:
        found = values_before(self.C, self.W, conversation_fields=of_conversation, work_item_fields=of_item)
        assert found == before


def test_what_a_command_ignored_is_named() -> None:
    found = replace(FULL, command=replace(COMMAND, ignored=("queue.enteredAt",))).as_wire()["command"]
    assert found["ignored"] == ["queue.enteredAt"]
    assert "ignored" not in FULL.as_wire()["command"]


def test_a_command_that_dropped_nothing_has_no_such_key() -> None:
    found = replace(FULL, command=replace(COMMAND, dropped=())).as_wire()["command"]
    assert set(found) == {"engine", "name", "actions", "fields"}
