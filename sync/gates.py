"""The gates an event passes before any rule is asked, in their order; the first that holds ends it.

| code | when |
|---|---|
| `UNSUPPORTED_EVENT` | not an event this worker handles |
| `IS_SYNC` | the event's write was itself a sync (causal: and no field waits for it) |
| `NO_CONVERSATION` | the conversation is not in the store |
| `NO_ACTIVE_WORK_ITEM` | no active work-item, and none whose completion is still to be taken in |
| `STALE_REV` | the stored document has a newer `rev` than the event (causal: and the event is no news) |
| `AWAITING_EARLIER_EVENT` | causal: every field that differs waits |
| `IN_SYNC` | no rule has anything to write |

Source: sync-rules.md, *Gates*.
"""

from enum import StrEnum
from typing import Literal

from commands.reason import Reason
from commands.work_item import WorkItem
from sync.conversation import Conversation, ConversationStatus
from sync.rule import Policy

Side = Literal["conversation", "work-item"]
"""Whose event asks."""


class Skip(StrEnum):
    """Why nothing was written (action `SKIP_SYNC`)."""

    UNSUPPORTED_EVENT = "UNSUPPORTED_EVENT"
    IS_SYNC = "IS_SYNC"
    NO_CONVERSATION = "NO_CONVERSATION"
    NO_ACTIVE_WORK_ITEM = "NO_ACTIVE_WORK_ITEM"
    STALE_REV = "STALE_REV"
    AWAITING_EARLIER_EVENT = "AWAITING_EARLIER_EVENT"
    IN_SYNC = "IN_SYNC"

    def reason(self) -> Reason:
        """The skip as it stands in the audit."""
        return Reason(action="SKIP_SYNC", code=self.value)


def first_closed(
    *,
    supported: bool,
    is_sync: bool,
    trigger: Side,
    rev: int | None,
    conversation: Conversation | None,
    item: WorkItem | None,
    policy: Policy,
    releases: bool = False,
    news: bool = False,
) -> Skip | None:
    """The first gate that keeps the event from the rules, or None. `rev` None: a question without an event.

    Causal alone: `releases`, a field waits that even a sync's event may decide; `news`, the event tells something that
    a stale one seldom does.
    """
    passive = is_sync or not supported
    if passive and not releases:
        return Skip.IS_SYNC if supported else Skip.UNSUPPORTED_EVENT
    if conversation is None:
        return Skip.NO_CONVERSATION
    if item is None or not _is_pair(trigger, conversation, item, policy):
        return Skip.NO_ACTIVE_WORK_ITEM
    stored = conversation.rev if trigger == "conversation" else item.rev
    if rev is not None and stored > rev and not (news or (passive and releases)):
        return Skip.STALE_REV
    return None


def _is_pair(trigger: Side, conversation: Conversation, item: WorkItem, policy: Policy) -> bool:
    untaken = conversation.status is not ConversationStatus.DONE and not conversation.deleted
    # A completion is taken in by A1, and legacy asks table A on the work-item's own event only.
    asks_table_a = policy is Policy.CAUSAL or trigger == "work-item"
    return item.active or (asks_table_a and untaken)
