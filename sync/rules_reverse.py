"""Table A: the rules that write a work-item's fields to its conversation (reverse sync). Pure.

| id | field | when W | and C | write to C |
|---|---|---|---|---|
| A1 | status | completed | status is not done | `status: done` |
| A2 | assignee | has `assignedTo` u | has no assigned user (causal: u is not among them) | `assignedUsers: [u]` |
| A3 | assignee | is queued (causal: or routed), has no `assignedTo` | has assigned users | `assignedUsers: []` |
| A4 | ended | wrap-up | `ended` is false | `ended: true` |
| A5 | queue | has queue q | has another queue or none | `queue: {id: q}` |
| A6 | queue | has no queue (causal: and was queued, or is not ivr) | has a queue | `queue: {id: null}` |
| A7 (causal) | status | is active, and newer than the completed one of A1 | is done, by A1 alone | `status: open` |

For a completed W only A1 can fire; for a deleted C no rule fires. No rule sets `ended: false`, none writes `paused`.
A7 depends on the sync state, so `evidence.py` decides whether it fires. An ivr work-item that was never queued takes no
queue away from its conversation: queue rules are about to queue it, and then A5 fires.
Policy `causal` decides the direction of each field first, so its rules may be wider. Source: docs/rules.md, *Table A*.
"""

from collections.abc import Mapping
from typing import Any

from commands.reason import ReasonAction, ReasonCode
from commands.work_item import Status, WorkItem
from sync.conversation import Conversation, ConversationStatus, Field
from sync.decision import Write
from sync.gates import Policy


def conversation_writes(conversation: Conversation, item: WorkItem, policy: Policy) -> tuple[Write, ...]:
    """The writes of the rules A1–A6 that fire, at most one per field. A7: `reopening_write`."""
    if conversation.deleted:
        return ()
    if not item.active:
        fired: tuple[Write | None, ...] = (_a1(conversation),)
    else:
        fired = (_assignee(conversation, item, policy), _a4(conversation, item), _queue(conversation, item, policy))
    return tuple(filter(None, fired))


def reopening_write() -> Write:
    """The write of rule A7."""
    return _write("A7", "status", {"status": "open"}, ReasonCode.NEWER_WORK_ITEM_ACTIVE)


def _a1(conversation: Conversation) -> Write | None:
    if conversation.status is ConversationStatus.DONE:
        return None
    return _write("A1", "status", {"status": "done"}, ReasonCode.WORK_ITEM_COMPLETED)


def _assignee(conversation: Conversation, item: WorkItem, policy: Policy) -> Write | None:
    causal = policy is Policy.CAUSAL
    users = conversation.assigned_users
    if item.assigned_to is not None:
        if not users or (causal and item.assigned_to not in users):
            return _write("A2", "assignee", {"assignedUsers": [item.assigned_to]}, ReasonCode.WORK_ITEM_ASSIGNED)
    # Not while ivr: the queue rules are about to queue the work-item, and then A3 fires.
    elif users and (item.status is Status.QUEUED or (causal and item.status is Status.ROUTED)):
        return _write("A3", "assignee", {"assignedUsers": []}, ReasonCode.WORK_ITEM_QUEUED_UNASSIGNED)
    return None


def _a4(conversation: Conversation, item: WorkItem) -> Write | None:
    if item.status is Status.WRAP_UP and not conversation.ended:
        return _write("A4", "ended", {"ended": True}, ReasonCode.WORK_ITEM_WRAP_UP)
    return None


def _queue(conversation: Conversation, item: WorkItem, policy: Policy) -> Write | None:
    if item.queue == conversation.queue:
        return None
    if item.queue is not None:
        return _write("A5", "queue", {"queue": {"id": item.queue}}, ReasonCode.WORK_ITEM_QUEUE_CHANGED)
    if policy is Policy.CAUSAL and item.status is Status.IVR and not item.queued_count:
        return None
    return _write("A6", "queue", {"queue": {"id": None}}, ReasonCode.WORK_ITEM_QUEUE_REMOVED)


def _write(rule: str, field: Field, fields: Mapping[str, Any], code: ReasonCode) -> Write:
    return Write(rule=rule, field=field, fields=fields, action=ReasonAction.SYNC_CONVERSATION, code=code)
