"""The gates an event passes before any rule is asked, in their order; the first that holds ends it.

| code | when |
|---|---|
| `UNSUPPORTED_EVENT` | not an event this worker handles |
| `IS_SYNC` | the event's write was itself a sync |
| `NO_CONVERSATION` | the conversation is not in the store |
| `NO_ACTIVE_WORK_ITEM` | no active work-item, and none whose completion is still to be taken in |
| `STALE_REV` | the stored document has a newer `rev` than the event |
| `IN_SYNC` | no rule has anything to write |

`AWAITING_EARLIER_EVENT` belongs to the causal policy. Source: sync-rules.md, *Gates*.
"""

from enum import StrEnum
from typing import Literal

from commands.reason import Reason
from commands.work_item import WorkItem
from sync.conversation import Conversation, ConversationStatus

Trigger = Literal["conversation", "work-item"]
"""Whose event asks."""


class Skip(StrEnum):
    """Why nothing was written (action `SKIP_SYNC`)."""

    UNSUPPORTED_EVENT = "UNSUPPORTED_EVENT"
    IS_SYNC = "IS_SYNC"
    NO_CONVERSATION = "NO_CONVERSATION"
    NO_ACTIVE_WORK_ITEM = "NO_ACTIVE_WORK_ITEM"
    STALE_REV = "STALE_REV"
    IN_SYNC = "IN_SYNC"

    def reason(self) -> Reason:
        """The skip as it stands in the audit."""
        return Reason(action="SKIP_SYNC", code=self.value)


def first_closed(
    *,
    supported: bool,
    is_sync: bool,
    trigger: Trigger,
    rev: int | None,
    conversation: Conversation | None,
    item: WorkItem | None,
) -> Skip | None:
    """The first gate that keeps the event from the rules, or None. `rev` None: a question without an event."""
    if not supported:
        return Skip.UNSUPPORTED_EVENT
    if is_sync:
        return Skip.IS_SYNC
    if conversation is None:
        return Skip.NO_CONVERSATION
    if item is None or not _is_pair(trigger, conversation, item):
        return Skip.NO_ACTIVE_WORK_ITEM
    stored = conversation.rev if trigger == "conversation" else item.rev
    if rev is not None and stored > rev:
        return Skip.STALE_REV
    return None


def _is_pair(trigger: Trigger, conversation: Conversation, item: WorkItem) -> bool:
    # A completion is taken in by A1, and legacy asks table A on the work-item's own event only.
    untaken = conversation.status is not ConversationStatus.DONE and not conversation.deleted
    return item.active or (trigger == "work-item" and untaken)
