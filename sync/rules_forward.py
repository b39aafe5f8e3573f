"""Table B: the rules that write a conversation's fields to its active work-item (forward sync). Pure.

| id | field | when C | and W | write to W |
|---|---|---|---|---|
| B1 | assignee | has assigned users | `assignedTo` is not one of them | `assignedTo: assignedUsers[0]` |
| B2 | assignee | has none, and no queue | has `assignedTo`, and no queue | `assignedTo: null, queue: null` |
| B3 | assignee | has none; C or W has a queue | has `assignedTo` | `assignedTo: null` |
| B4 | paused | snoozed | not paused | `paused: true` |
| B5 | paused | open | paused | `paused: false` |
| B6 | status | done | not completed | `status: completed` |
| B7 | ended | `ended`, and open | not wrap-up | `status: wrap-up` |
| B8 | queue | queue differs from W's | queued or assigned (causal: any active status) | `queue: C's queue, or null` |
| B9 | status | deleted | active | `status: completed`, and nothing else |
| B10 (causal) | ended | open, not ended | wrap-up | `resume: true` |

All fields go into one update, which the commands execute together. Source: docs/rules.md, *Table B*.
"""

from collections.abc import Mapping
from typing import Any

from commands.reason import ReasonAction, ReasonCode
from commands.work_item import Status, WorkItem
from sync.conversation import Conversation, ConversationStatus, Field
from sync.decision import Write
from sync.gates import Policy


def work_item_writes(conversation: Conversation, item: WorkItem, policy: Policy) -> tuple[Write, ...]:
    """The writes of the rules B1–B10 that fire, at most one per field; none for a completed work-item."""
    if not item.active:
        return ()
    if conversation.deleted:
        return (_write("B9", "status", {"status": "completed"}, ReasonCode.CONVERSATION_DELETED),)
    fired = (
        _assignee(conversation, item),
        _queue(conversation, item, policy),
        _paused(conversation, item),
        _ended(conversation, item, policy),
        _status(conversation),
    )
    return tuple(filter(None, fired))


def _assignee(conversation: Conversation, item: WorkItem) -> Write | None:
    users = conversation.assigned_users
    if users:
        if item.assigned_to in users:
            return None
        return _write("B1", "assignee", {"assignedTo": users[0]}, ReasonCode.CONVERSATION_ASSIGNED)
    if item.assigned_to is None:
        return None
    if conversation.queue is None and item.queue is None:
        # Both fields: the legacy funnel can un-assign a work-item without a queue only by de-queueing it.
        return _write("B2", "assignee", {"assignedTo": None, "queue": None}, ReasonCode.CONVERSATION_UNASSIGNED)
    return _write("B3", "assignee", {"assignedTo": None}, ReasonCode.CONVERSATION_UNASSIGNED)


def _queue(conversation: Conversation, item: WorkItem, policy: Policy) -> Write | None:
    in_reach = policy is Policy.CAUSAL or item.status in (Status.QUEUED, Status.ASSIGNED)
    if conversation.queue == item.queue or not in_reach:
        return None
    if conversation.queue is not None:
        return _write("B8", "queue", {"queue": {"id": conversation.queue}}, ReasonCode.CONVERSATION_QUEUE_CHANGED)
    return _write("B8", "queue", {"queue": None}, ReasonCode.CONVERSATION_QUEUE_REMOVED)


def _paused(conversation: Conversation, item: WorkItem) -> Write | None:
    if conversation.status is ConversationStatus.SNOOZED and not item.paused:
        return _write("B4", "paused", {"paused": True}, ReasonCode.CONVERSATION_SNOOZED)
    if conversation.status is ConversationStatus.OPEN and item.paused:
        return _write("B5", "paused", {"paused": False}, ReasonCode.CONVERSATION_UNSNOOZED)
    return None


def _ended(conversation: Conversation, item: WorkItem, policy: Policy) -> Write | None:
    if conversation.status is not ConversationStatus.OPEN:
        return None
    if conversation.ended and item.status is not Status.WRAP_UP:
        return _write("B7", "ended", {"status": "wrap-up"}, ReasonCode.CONVERSATION_ENDED)
    if policy is Policy.CAUSAL and not conversation.ended and item.status is Status.WRAP_UP:
        return _write("B10", "ended", {"resume": True}, ReasonCode.CONVERSATION_RESUMED)
    return None


def _status(conversation: Conversation) -> Write | None:
    if conversation.status is ConversationStatus.DONE:
        return _write("B6", "status", {"status": "completed"}, ReasonCode.CONVERSATION_DONE)
    return None


def _write(rule: str, field: Field, fields: Mapping[str, Any], code: ReasonCode) -> Write:
    return Write(rule=rule, field=field, fields=fields, action=ReasonAction.SYNC_WORK_ITEM, code=code)
