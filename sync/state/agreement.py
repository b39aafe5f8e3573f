"""The shared values of both records, and the fields on which they agree (docs/rules.md, *The sync state*). Pure."""

from typing import Any, Final

from commands.work_item import Status, WorkItem
from sync.conversation import FIELDS, Conversation, ConversationStatus, Field


def all_agree(conversation: Conversation, item: WorkItem) -> bool:
    """True where both records agree on every shared field."""
    return agreed_fields(conversation, item) is _EVERY


def agreed_fields(conversation: Conversation, item: WorkItem) -> frozenset[Field]:
    """The shared fields on which both records agree (docs/rules.md, *The sync state*)."""
    users, user, status = conversation.assigned_users, item.assigned_to, conversation.status
    assignee = user in users if user is not None else not users
    queue = conversation.queue == item.queue
    closed = (status is ConversationStatus.DONE) is (item.status is Status.COMPLETED)
    ended = conversation.ended is (item.status is Status.WRAP_UP)
    paused = (status is ConversationStatus.SNOOZED) is item.paused
    agrees = (assignee, queue, closed, ended, paused)
    if agrees == _ALL_AGREE:
        return _EVERY
    return frozenset([name for name, same in zip(FIELDS, agrees, strict=True) if same])


def shared_values(conversation: Conversation) -> dict[Field, Any]:
    """The conversation's value of every shared field, as `view` keeps them."""
    return {
        "assignee": list(conversation.assigned_users),
        "queue": conversation.queue,
        "status": "deleted" if conversation.deleted else conversation.status is ConversationStatus.DONE,
        "ended": conversation.ended,
        "paused": conversation.status is ConversationStatus.SNOOZED,
    }


def work_item_values(item: WorkItem) -> dict[Field, Any]:
    """The work-item's value of every shared field."""
    return {
        "assignee": item.assigned_to,
        "queue": item.queue,
        "status": not item.active,
        "ended": item.status is Status.WRAP_UP,
        "paused": item.paused,
    }


_EVERY: Final = frozenset(FIELDS)
_ALL_AGREE: Final = (True,) * len(FIELDS)
