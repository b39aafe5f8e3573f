"""The audit record's keys and shapes (docs/events.md, *The audit line*)."""

from typing import Final

from msgspec.structs import replace

from commands.execute import CommandRecord
from commands.reason import Reason, ReasonAction, ReasonCode
from commands.rollout import Engine
from sync.audit import AUDIT_MESSAGE, AuditOutcome, AuditRecord
from sync.decision import SuppressedField
from sync.gates import Policy

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
        "reasons": [],
        "suppressed": [],
        "event": {},
        "dd": {},
    }


def test_a_command_that_dropped_nothing_has_no_such_key() -> None:
    found = replace(FULL, command=replace(COMMAND, dropped=())).as_wire()["command"]
    assert set(found) == {"engine", "name", "actions", "fields"}
