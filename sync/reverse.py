"""Rules A: what a work-item has to say to its conversation (reverse sync). Pure.

| id | field | when W | and C | write to C |
|---|---|---|---|---|
| A1 | status | completed | status is not done | `status: done` |
| A2 | assignee | has `assignedTo` u | has no assigned user (causal: u is not among them) | `assignedUsers: [u]` |
| A3 | assignee | is queued (causal: or routed), has no `assignedTo` | has assigned users | `assignedUsers: []` |
| A4 | ended | wrap-up | `ended` is false | `ended: true` |
| A5 | queue | has queue q | has another queue or none | `queue: {id: q}` |
| A6 | queue | has no queue | has a queue | `queue: {id: null}` |

For a completed W only A1 is looked at; a deleted C takes no write. No rule sets `ended: false`, none writes `paused`.
The causal policy decides the direction first, which is why its rules may be wider. Source: sync-rules.md, table A.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from commands.work_item import Status, WorkItem
from sync.conversation import Conversation, ConversationStatus
from sync.field import Field
from sync.rule import Policy, Write


def conversation_writes(conversation: Conversation, item: WorkItem, policy: Policy) -> tuple[Write, ...]:
    """The writes to the conversation that rules A1–A6 ask for, at most one a field."""
    if conversation.deleted:
        return ()
    if not item.active:
        return tuple(_a1(conversation))
    return (*_assignee(conversation, item, policy), *_a4(conversation, item), *_queue(conversation, item))


def _a1(conversation: Conversation) -> Iterator[Write]:
    if conversation.status is not ConversationStatus.DONE:
        yield _write("A1", "status", {"status": "done"}, "WORK_ITEM_COMPLETED")


def _assignee(conversation: Conversation, item: WorkItem, policy: Policy) -> Iterator[Write]:
    causal = policy is Policy.CAUSAL
    users = conversation.assigned_users
    if item.assigned_to is not None:
        if not users or (causal and item.assigned_to not in users):
            yield _write("A2", "assignee", {"assignedUsers": [item.assigned_to]}, "WORK_ITEM_ASSIGNED")
    # Not while ivr: queue rules are about to queue the work-item, and then A3 speaks.
    elif users and (item.status is Status.QUEUED or (causal and item.status is Status.ROUTED)):
        yield _write("A3", "assignee", {"assignedUsers": []}, "WORK_ITEM_QUEUED_UNASSIGNED")


def _a4(conversation: Conversation, item: WorkItem) -> Iterator[Write]:
    if item.status is Status.WRAP_UP and not conversation.ended:
        yield _write("A4", "ended", {"ended": True}, "WORK_ITEM_WRAP_UP")


def _queue(conversation: Conversation, item: WorkItem) -> Iterator[Write]:
    if item.queue == conversation.queue:
        return
    if item.queue is not None:
        yield _write("A5", "queue", {"queue": {"id": item.queue}}, "WORK_ITEM_QUEUE_CHANGED")
    else:
        yield _write("A6", "queue", {"queue": {"id": None}}, "WORK_ITEM_QUEUE_REMOVED")


def _write(rule: str, field: Field, fields: Mapping[str, Any], code: str) -> Write:
    return Write(rule=rule, field=field, fields=fields, action="SYNC_CONVERSATION", code=code)
