"""Pairs in the JSON shape of `decide`, and the policies' decisions on them in that shape."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from commands.context import CommandContext
from commands.work_item import Status, WorkItem
from sync.conversation import Conversation, ConversationStatus, Field
from sync.decision import Decision
from sync.evidence import NewerSide, evidence_of
from sync.gates import Side
from sync.policy_causal import decide_causal
from sync.policy_legacy import legacy_decision
from sync.state.sync_state import DoneBy, SyncState, ViewedValue

Json = dict[str, Any]

NOW: Final = datetime(2024, 5, 6, tzinfo=UTC)


def c(**data: Any) -> Json:
    """An open conversation, unassigned, without a queue."""
    base = {"id": "c", "rev": 3, "status": "open", "assignedUsers": [], "queue": None, "ended": False, "deleted": False}
    return {**base, **data}


def w(**data: Any) -> Json:
    """A work-item in ivr, never queued, unassigned, without a queue."""
    return {"id": "w", "rev": 5, "status": "ivr", "assignedTo": None, "queue": None, "paused": False, **data}


def conversation_of(data: Json | None) -> Conversation | None:
    if data is None:
        return None
    return Conversation(
        id=data["id"],
        rev=data["rev"],
        status=ConversationStatus(data["status"]),
        assigned_users=tuple(data["assignedUsers"]),
        queue=data["queue"]["id"] if data["queue"] else None,
        ended=data["ended"],
        deleted=data["deleted"],
    )


def work_item_of(data: Json | None) -> WorkItem | None:
    if data is None:
        return None
    return WorkItem(
        id=data["id"],
        rev=data["rev"],
        status=Status(data["status"]),
        assigned_to=data["assignedTo"],
        queue=data["queue"]["id"] if data["queue"] else None,
        paused=data["paused"],
        number=data.get("workItemNumber", 0),
        queued_count=data.get("queuedCount", 0),
        resource_rev=data.get("resourceRev", 0),
    )


def question(trigger: Side, conversation: Json | None, item: Json | None, event: Json | None = None) -> Json:
    return {
        "kind": "sync",
        "policy": "legacy",
        "trigger": trigger,
        "conversation": conversation,
        "workItem": item,
        "state": None,
        "event": event,
    }


def answer(asked: Json) -> Json:
    """The decision of `legacy_decision`."""
    event = asked["event"] or {}
    return as_json(
        legacy_decision(
            side=asked["trigger"],
            conversation=conversation_of(asked["conversation"]),
            item=work_item_of(asked["workItem"]),
            rev=event.get("rev"),
            is_sync=event.get("isSync", False),
            supported=event.get("supported", True),
        )
    )


def as_json(decision: Decision) -> Json:
    conversation, item = decision.conversation_fields, decision.work_item_fields
    return {
        "outcome": "applied" if decision.applies else "skipped",
        "direction": decision.direction,
        "updatedConversation": None if conversation is None else dict(conversation),
        "updatedWorkItem": None if item is None else dict(item),
        "reasons": [reason.as_wire() for reason in decision.reasons],
        "suppressed": [field.as_wire() for field in decision.suppressed],
    }


def causal_answer(conversation: Json, item: Json, state: Json, *, in_order: bool = False) -> Json:
    """The decision of `decide_causal` with a state in the JSON shape of `decide`."""
    one, other = conversation_of(conversation), work_item_of(item)
    assert one is not None
    assert other is not None
    evidence = evidence_of(state_of(state, one, other), one, other)
    decided = decide_causal(evidence, context=CommandContext(), now=NOW, queue_now=NOW, in_order=in_order)
    return as_json(decided.decision)


def decided_where(conversation: Json, item: Json, newer: Mapping[Field, NewerSide], *, in_order: bool = False) -> Json:
    """The decision of `decide_causal` where each field is newer on the given side."""
    return causal_answer(conversation, item, state_in_which(newer), in_order=in_order)


def state_of(state: Json, conversation: Conversation, item: WorkItem) -> SyncState:
    """The sync state of a pair; every revision is observed where the JSON has no `observed`."""
    everything = {"conversation": [[1, conversation.rev]], "workItem": [[1, item.rev]]}
    observed = {**everything, **state.get("observed", {})}
    done_by = state.get("doneBy")
    return SyncState(
        conversation_observed=tuple((low, high) for low, high in observed["conversation"]),
        work_item=item.id,
        work_item_number=item.number,
        work_item_observed=tuple((low, high) for low, high in observed["workItem"]),
        # An event that changes a field brings its value.
        view={name: ViewedValue(value=None, rev=rev) for name, rev in state.get("changed", {}).items() if rev},
        changed=state.get("changed", {}),
        known=state.get("known", {}),
        known_at=state.get("knownAt", {}),
        touched=state.get("touched", {}),
        done_by=None if done_by is None else DoneBy(**done_by),
    )


def state_in_which(newer: Mapping[Field, NewerSide]) -> Json:
    """A state of `c()` and `w()` that makes each field newer on the given side.

    Revision 4 of the work-item is not observed, so a field whose last observed write came before it waits.
    """
    return {
        "changed": {name: CHANGED[side] for name, side in newer.items()},
        "known": {name: KNOWN[side] for name, side in newer.items()},
        "knownAt": {name: 3 if side is NewerSide.UNDECIDED else 4 for name, side in newer.items()},
        "observed": {"conversation": [[1, 3]], "workItem": [[1, 3], [5, 5]]},
    }


CHANGED: Final = {NewerSide.CONVERSATION: 3, NewerSide.WORK_ITEM: 2, NewerSide.UNDECIDED: 3}
KNOWN: Final = {NewerSide.CONVERSATION: 2, NewerSide.WORK_ITEM: 2, NewerSide.UNDECIDED: 1}
"""The conversation revision that last changed a field, and the one that the work-item's write knew."""


def in_any_order(data: Json) -> Json:
    """The answer with its reasons sorted: docs/rules.md gives them no order."""
    return {**data, "reasons": sorted(data["reasons"], key=repr)}


def rules_of(data: Json) -> set[str]:
    return {reason["meta"]["rule"] for reason in data["reasons"] if "rule" in reason["meta"]}
