"""The audit record as data: one per handled event, with the decision and its reasons (docs/events.md, *The audit
line*).

The log adds the line's envelope (`hostname`, `pid`, `time`, …).
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, Literal

from msgspec import Struct

from commands.engines.rollout import UpdateOrigin
from commands.execute import CommandRecord
from commands.reason import Reason
from commands.work_item import WorkItem
from sync.conversation import Conversation
from sync.decision import Direction, SuppressedField
from sync.gates import Policy

AUDIT_MESSAGE: Final = "CONVERSATION_SYNC_AUDIT"

AuditTrigger = Literal["conversation", "work-item", "gap", "sweep", "api"]
"""The side of the event that triggered a decision; `gap`: the gap poll; `sweep`: the sweep; `api`: a request to
the API."""


class AuditOutcome(StrEnum):
    """The outcome of a handled event. `refused`: the commands refused the update, and nothing was written. `failed`: a
    fault, so the message is tried again."""

    APPLIED = "applied"
    SKIPPED = "skipped"
    REFUSED = "refused"
    FAILED = "failed"


class AuditRecord(Struct, frozen=True, kw_only=True):
    """One event's record. Revisions are as read. `lag_ms` is the time from `publishedAt` to the decision.

    `event` None: no event triggered the decision, but the gap poll, the sweep or a request to the API. `trigger` None:
    the event is of neither side. `written`: the decision's writes, `{side, id, rev, isSync, eventId, changes}` each.
    `shadow`: the decision of policy `causal`, where it differs from the decision
    of `legacy` that was applied. `before`: the values that the written fields had (`values_before`). `client`: the name
    of the API's client that sent the update.
    """

    event: Mapping[str, Any] | None
    outcome: AuditOutcome
    trigger: AuditTrigger | None
    policy: Policy
    reasons: tuple[Reason, ...]
    conversation_id: str | None
    work_item_id: str | None = None
    direction: Direction | None = None
    suppressed: tuple[SuppressedField, ...] = ()
    updated_conversation: Mapping[str, Any] | None = None
    updated_work_item: Mapping[str, Any] | None = None
    before: Mapping[str, Any] | None = None
    written: tuple[Mapping[str, Any], ...] = ()
    command: CommandRecord | None = None
    conversation_rev: int | None = None
    work_item_rev: int | None = None
    lag_ms: int | None = None
    trace: Mapping[str, Any] | None = None
    shadow: Mapping[str, Any] | None = None
    client: str | None = None

    def as_wire(self) -> dict[str, Any]:
        """The JSON shape of the audit line, its keys in the order in which a person reads them."""
        command = self.command
        return {
            "conversationId": self.conversation_id,
            "workItemId": self.work_item_id,
            "outcome": self.outcome.value,
            "direction": self.direction,
            "updatedConversation": None if self.updated_conversation is None else dict(self.updated_conversation),
            "updatedWorkItem": None if self.updated_work_item is None else dict(self.updated_work_item),
            "before": None if self.before is None else dict(self.before),
            "written": [dict(write) for write in self.written],
            "reasons": [reason.as_wire() for reason in self.reasons],
            "suppressed": [field.as_wire() for field in self.suppressed],
            "command": None
            if command is None
            else {
                "engine": command.engine.value,
                "name": command.name,
                "actions": list(command.actions),
                "fields": list(command.fields),
                **({} if command.origin is UpdateOrigin.SYNC else {"origin": command.origin.value}),
                **({"dropped": list(command.dropped)} if command.dropped else {}),
                **({"ignored": list(command.ignored)} if command.ignored else {}),
            },
            "event": None if self.event is None else dict(self.event),
            "trigger": self.trigger,
            **({} if self.client is None else {"client": self.client}),
            "policy": self.policy.value,
            "shadow": None if self.shadow is None else dict(self.shadow),
            "conversationRev": self.conversation_rev,
            "workItemRev": self.work_item_rev,
            "lagMs": self.lag_ms,
            "dd": dict(self.trace) if self.trace is not None else {},
        }


def values_before(
    conversation: Conversation,
    item: WorkItem,
    *,
    conversation_fields: Mapping[str, Any] | None,
    work_item_fields: Mapping[str, Any] | None,
) -> dict[str, Any] | None:
    """The values that the written fields had, `{conversation, workItem}`, under the names and in the form of the write;
    None if nothing is written.

    The fields are those written to each side, None for a side that is not written. `resume` of an update is an order to
    the commands and no field.
    """
    if conversation_fields is None and work_item_fields is None:
        return None
    of_conversation = {
        "status": conversation.status.value,
        "assignedUsers": list(conversation.assigned_users),
        "queue": {"id": conversation.queue},
        "ended": conversation.ended,
    }
    of_item = {
        "status": item.status.value,
        "assignedTo": item.assigned_to,
        "queue": None if item.queue is None else {"id": item.queue},
        "paused": item.paused,
    }
    return {
        "conversation": _values_of(conversation_fields, of_conversation),
        "workItem": _values_of(work_item_fields, of_item),
    }


def _values_of(fields: Mapping[str, Any] | None, values: Mapping[str, Any]) -> dict[str, Any] | None:
    return None if fields is None else {name: values[name] for name in fields if name != "resume"}
