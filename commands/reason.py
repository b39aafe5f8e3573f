"""Reasons: why a field was written, why nothing was written, or why a message is tried again. Refusals of an update.

| action | code | when |
|---|---|---|
| `SYNC_CONVERSATION` | `WORK_ITEM_COMPLETED` | A1 closes the conversation |
| `SYNC_CONVERSATION` | `WORK_ITEM_ASSIGNED` | A2 assigns the work-item's agent |
| `SYNC_CONVERSATION` | `WORK_ITEM_QUEUED_UNASSIGNED` | A3 un-assigns the conversation |
| `SYNC_CONVERSATION` | `WORK_ITEM_WRAP_UP` | A4 ends the conversation |
| `SYNC_CONVERSATION` | `WORK_ITEM_QUEUE_CHANGED` | A5 sets the queue |
| `SYNC_CONVERSATION` | `WORK_ITEM_QUEUE_REMOVED` | A6 clears the queue |
| `SYNC_CONVERSATION` | `NEWER_WORK_ITEM_ACTIVE` | A7 re-opens the conversation for a newer work-item |
| `SYNC_WORK_ITEM` | `CONVERSATION_ASSIGNED` | B1 assigns the conversation's first user |
| `SYNC_WORK_ITEM` | `CONVERSATION_UNASSIGNED` | B2 or B3 un-assigns the work-item |
| `SYNC_WORK_ITEM` | `CONVERSATION_SNOOZED` | B4 pauses the work-item |
| `SYNC_WORK_ITEM` | `CONVERSATION_UNSNOOZED` | B5 ends the pause |
| `SYNC_WORK_ITEM` | `CONVERSATION_DONE` | B6 completes the work-item |
| `SYNC_WORK_ITEM` | `CONVERSATION_ENDED` | B7 sends the work-item to wrap-up |
| `SYNC_WORK_ITEM` | `CONVERSATION_QUEUE_CHANGED` | B8 sets the queue |
| `SYNC_WORK_ITEM` | `CONVERSATION_QUEUE_REMOVED` | B8 clears the queue |
| `SYNC_WORK_ITEM` | `CONVERSATION_DELETED` | B9 completes the work-item |
| `SYNC_WORK_ITEM` | `CONVERSATION_RESUMED` | B10 brings the work-item back from wrap-up |
| `SKIP_SYNC` | `UNSUPPORTED_EVENT` | the worker does not handle the event |
| `SKIP_SYNC` | `IS_SYNC` | the event's write was itself a sync |
| `SKIP_SYNC` | `NO_CONVERSATION` | the conversation is not in the store |
| `SKIP_SYNC` | `NO_ACTIVE_WORK_ITEM` | the conversation has no work-item to sync with |
| `SKIP_SYNC` | `STALE_REV` | the store holds a newer revision than the event |
| `SKIP_SYNC` | `AWAITING_EARLIER_EVENT` | every field that differs waits for an earlier event |
| `SKIP_SYNC` | `IN_SYNC` | no rule has anything to write |
| `SUPPRESS_FIELD` | `CONVERSATION_IS_NEWER` | table A asked for a field that the conversation wrote later |
| `SUPPRESS_FIELD` | `WORK_ITEM_IS_NEWER` | table B asked for a field that the work-item wrote later |
| `SUPPRESS_FIELD` | `FIELD_WAITS` | an event that decides who is newer has not arrived |
| `UPDATE_COMMAND` | `WORK_ITEM_UPDATE_CMD` | a command changed the work-item |
| `CREATE_WORK_ITEM` | `CONVERSATION_ROUTABLE` | the conversation is open, not ended, and had no active work-item |
| `UNASSIGN_CONVERSATION` | `USER_UNAVAILABLE` | of a re-opened conversation no user has an active session |
| `QUEUE_WORK_ITEM` | `QUEUE_RULES_HIT` | the criteria of a queue rule hold for the conversation |
| `QUEUE_WORK_ITEM` | `QUEUE_DEFAULT` | no queue rule holds: the org's default queue |
| `FAULT` | `UNEXPECTED` | the worker's code raised an error |
| `FAULT` | `CONFLICT` | other writers changed the conversation faster than it could be decided |
| `FAULT` | `PLAN_REJECTED` | the store cannot hold the result |
| `FAULT` | `STORED_DOCUMENT_UNREADABLE` | a stored document has a field of a wrong type |
| `FAULT` | `AWAITING_PREDECESSOR` | the conversation's previous work-item is still active |

Codes are stable: log searches use them. An update that the commands refuse has the action `UPDATE_COMMAND` and its
`RefusalCode` as code.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct, field


class ReasonAction(StrEnum):
    """The kind of a reason."""

    SYNC_CONVERSATION = "SYNC_CONVERSATION"
    SYNC_WORK_ITEM = "SYNC_WORK_ITEM"
    SKIP_SYNC = "SKIP_SYNC"
    SUPPRESS_FIELD = "SUPPRESS_FIELD"
    UPDATE_COMMAND = "UPDATE_COMMAND"
    CREATE_WORK_ITEM = "CREATE_WORK_ITEM"
    UNASSIGN_CONVERSATION = "UNASSIGN_CONVERSATION"
    QUEUE_WORK_ITEM = "QUEUE_WORK_ITEM"
    FAULT = "FAULT"


class ReasonCode(StrEnum):
    """Every code that the worker writes; the table above says when."""

    WORK_ITEM_COMPLETED = "WORK_ITEM_COMPLETED"
    WORK_ITEM_ASSIGNED = "WORK_ITEM_ASSIGNED"
    WORK_ITEM_QUEUED_UNASSIGNED = "WORK_ITEM_QUEUED_UNASSIGNED"
    WORK_ITEM_WRAP_UP = "WORK_ITEM_WRAP_UP"
    WORK_ITEM_QUEUE_CHANGED = "WORK_ITEM_QUEUE_CHANGED"
    WORK_ITEM_QUEUE_REMOVED = "WORK_ITEM_QUEUE_REMOVED"
    NEWER_WORK_ITEM_ACTIVE = "NEWER_WORK_ITEM_ACTIVE"
    CONVERSATION_ASSIGNED = "CONVERSATION_ASSIGNED"
    CONVERSATION_UNASSIGNED = "CONVERSATION_UNASSIGNED"
    CONVERSATION_SNOOZED = "CONVERSATION_SNOOZED"
    CONVERSATION_UNSNOOZED = "CONVERSATION_UNSNOOZED"
    CONVERSATION_DONE = "CONVERSATION_DONE"
    CONVERSATION_ENDED = "CONVERSATION_ENDED"
    CONVERSATION_QUEUE_CHANGED = "CONVERSATION_QUEUE_CHANGED"
    CONVERSATION_QUEUE_REMOVED = "CONVERSATION_QUEUE_REMOVED"
    CONVERSATION_DELETED = "CONVERSATION_DELETED"
    CONVERSATION_RESUMED = "CONVERSATION_RESUMED"
    UNSUPPORTED_EVENT = "UNSUPPORTED_EVENT"
    IS_SYNC = "IS_SYNC"
    NO_CONVERSATION = "NO_CONVERSATION"
    NO_ACTIVE_WORK_ITEM = "NO_ACTIVE_WORK_ITEM"
    STALE_REV = "STALE_REV"
    AWAITING_EARLIER_EVENT = "AWAITING_EARLIER_EVENT"
    IN_SYNC = "IN_SYNC"
    CONVERSATION_IS_NEWER = "CONVERSATION_IS_NEWER"
    WORK_ITEM_IS_NEWER = "WORK_ITEM_IS_NEWER"
    FIELD_WAITS = "FIELD_WAITS"
    WORK_ITEM_UPDATE_CMD = "WORK_ITEM_UPDATE_CMD"
    CONVERSATION_ROUTABLE = "CONVERSATION_ROUTABLE"
    USER_UNAVAILABLE = "USER_UNAVAILABLE"
    QUEUE_RULES_HIT = "QUEUE_RULES_HIT"
    QUEUE_DEFAULT = "QUEUE_DEFAULT"
    UNEXPECTED = "UNEXPECTED"
    CONFLICT = "CONFLICT"
    PLAN_REJECTED = "PLAN_REJECTED"
    STORED_DOCUMENT_UNREADABLE = "STORED_DOCUMENT_UNREADABLE"
    AWAITING_PREDECESSOR = "AWAITING_PREDECESSOR"


class RefusalCode(StrEnum):
    """Every code with which the commands refuse an update.

    | code | when |
    |---|---|
    | `INVALID_UPDATE` | the update is empty, or has an unknown field or a wrong value; `message` names every fault |
    | `UNSUPPORTED_COMBINATION` | `routed` or `accepted` stands beside a field that it cannot go with |
    | `TOO_MANY_FIELDS` | the update has more fields than `MAX_FIELDS` allows its origin |
    | `REVISION_CONFLICT` | `rev` is not the work-item's revision |
    | `WORK_ITEM_COMPLETED` | the work-item is completed |
    | `UNKNOWN_QUEUE` | no queue has the key that the update names |
    | `NO_QUEUE` | legacy funnel: `assignedTo: null`, and neither the work-item nor its `lastRevision` names a queue |
    | `NOT_QUEUED` | `routed.to`, and the work-item is neither queued nor routed |
    | `NOT_ROUTED` | `routed.rejectedBy` or `routed.timedOut`, and the work-item is not routed |
    | `NOT_ROUTED_TO_USER` | `routed.rejectedBy` or `routed.timedOut` names a user to whom it was not offered |
    | `SESSION_LOCKED` | `routed.to`, and another work-item is pending on the session |
    """

    INVALID_UPDATE = "INVALID_UPDATE"
    UNSUPPORTED_COMBINATION = "UNSUPPORTED_COMBINATION"
    TOO_MANY_FIELDS = "TOO_MANY_FIELDS"
    REVISION_CONFLICT = "REVISION_CONFLICT"
    WORK_ITEM_COMPLETED = "WORK_ITEM_COMPLETED"
    UNKNOWN_QUEUE = "UNKNOWN_QUEUE"
    NO_QUEUE = "NO_QUEUE"
    NOT_QUEUED = "NOT_QUEUED"
    NOT_ROUTED = "NOT_ROUTED"
    NOT_ROUTED_TO_USER = "NOT_ROUTED_TO_USER"
    SESSION_LOCKED = "SESSION_LOCKED"


class Reason(Struct, frozen=True, kw_only=True):
    """`{action, code, meta}`, as in an event's `routingReasons` and in the audit line (docs/events.md)."""

    action: ReasonAction
    code: ReasonCode | RefusalCode
    meta: Mapping[str, Any] = field(default_factory=dict)

    def as_wire(self) -> dict[str, Any]:
        """The JSON shape of the event and of the audit line."""
        return {"action": self.action, "code": self.code, "meta": dict(self.meta)}


class Refusal(Struct, frozen=True, kw_only=True):
    """An update that the commands do not execute. `message` names the field, the status and the remedy.

    `faults`: the parts of the message, where the update has more than one fault. A refusal is a value, not an
    exception: the caller decides what becomes of the update.
    """

    code: RefusalCode
    message: str
    faults: tuple[str, ...] = ()
