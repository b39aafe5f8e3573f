"""Table B: the rules that write a conversation's fields to its active work-item (forward sync). Pure.

| id | field | when C | and W | write to W |
|---|---|---|---|---|
| B1 | assignee | has assigned users | `assignedTo` is not one of them | `assignedTo: assignedUsers[0]` |
| B2 | assignee | has none, and no queue | has `assignedTo`, and no queue | `assignedTo: null, queue: null` ¹ |
| B3 | assignee | has none; C or W has a queue | has `assignedTo` | `assignedTo: null` ¹ |
| B4 | paused | snoozed | not paused | `paused: true` |
| B5 | paused | open | paused | `paused: false` |
| B6 | status | done | not completed | `status: completed` |
| B7 | ended | `ended`, and open | not wrap-up (causal: and has an assignee after this update) | `status: wrap-up` |
| B8 | queue | queue differs from W's | queued or assigned (causal: any active status) | `queue: C's queue, or null` |
| B9 | status | deleted | active | `status: completed`, and nothing else |
| B10 (causal) | ended | open, not ended | wrap-up | `resume: true` |

¹ causal: from the wrap-up of an ended conversation also `resume: true`, because a wrap-up without an assignee would
never route and never end.

All fields go into one update, which the commands execute together. Source: docs/rules.md, *Table B*.
"""

from collections.abc import Mapping
from typing import Any

from commands.reason import ReasonAction, ReasonCode
from commands.work_item import Status, WorkItem
from sync.conversation import Conversation, ConversationStatus, Field
from sync.decision import Write
from sync.gates import Policy


def assignee_after_forward(conversation: Conversation, item: WorkItem) -> str | None:
    """The work-item's assignee after rules B1 to B3 have written it."""
    users = conversation.assigned_users
    if item.assigned_to in users:
        return item.assigned_to
    return users[0] if users else None


def work_item_writes(
    conversation: Conversation, item: WorkItem, policy: Policy, *, assignee: str | None
) -> tuple[Write, ...]:
    """The writes of the rules B1–B10 that fire, at most one per field; none for a completed work-item.

    `assignee`: the work-item's assignee after the update, on which B7 of policy `causal` depends.
    """
    if not item.active:
        return ()
    if conversation.deleted:
        return (_write("B9", "status", {"status": "completed"}, ReasonCode.CONVERSATION_DELETED),)
    fired = (
        _assignee(conversation, item, policy),
        _queue(conversation, item, policy),
        _paused(conversation, item),
        _ended(conversation, item, policy, assignee),
        _status(conversation),
    )
    return tuple(filter(None, fired))


def _assignee(conversation: Conversation, item: WorkItem, policy: Policy) -> Write | None:
    users = conversation.assigned_users
    if users:
        if item.assigned_to in users:
            return None
        return _write("B1", "assignee", {"assignedTo": users[0]}, ReasonCode.CONVERSATION_ASSIGNED)
    if item.assigned_to is None:
        return None
    resumes = policy is Policy.CAUSAL and conversation.ended and item.status is Status.WRAP_UP
    resume = {"resume": True} if resumes else {}
    if conversation.queue is None and item.queue is None:
        # Both fields: the legacy funnel can un-assign a work-item without a queue only by de-queueing it.
        fields = {"assignedTo": None, "queue": None, **resume}
        return _write("B2", "assignee", fields, ReasonCode.CONVERSATION_UNASSIGNED)
    return _write("B3", "assignee", {"assignedTo": None, **resume}, ReasonCode.CONVERSATION_UNASSIGNED)


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


def _ended(conversation: Conversation, item: WorkItem, policy: Policy, assignee: str | None) -> Write | None:
    if conversation.status is not ConversationStatus.OPEN:
        return None
    may_wrap_up = policy is Policy.LEGACY or assignee is not None
    if conversation.ended and item.status is not Status.WRAP_UP and may_wrap_up:
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
