"""The gates: the conditions that keep an event from the rules, in their order. The first closed gate ends the event.

| code | when |
|---|---|
| `UNSUPPORTED_EVENT` | not an event this worker handles |
| `IS_SYNC` | the event's write was itself a sync (causal: and no field waits for it) |
| `NO_CONVERSATION` | the conversation is not in the store |
| `NO_ACTIVE_WORK_ITEM` | no active work-item, and no completed work-item whose completion the conversation lacks |
| `STALE_REV` | the stored document has a newer `rev` than the event (causal: and this revision was observed before) |
| `AWAITING_EARLIER_EVENT` | causal: every field that differs waits |
| `IN_SYNC` | no rule has anything to write |

Source: docs/rules.md, *Gates*. Pure.
"""

from enum import StrEnum
from typing import Final, Literal, get_args

from commands.reason import ReasonCode
from commands.work_item import WorkItem
from sync.conversation import Conversation, ConversationStatus


class Policy(StrEnum):
    """`causal`: the sync state says which side of a field is newer. `legacy`: the event's own side wins."""

    CAUSAL = "causal"
    LEGACY = "legacy"


Side = Literal["conversation", "work-item"]
"""The record that an event, a document or a write belongs to."""


SkipCode = Literal[
    ReasonCode.UNSUPPORTED_EVENT,
    ReasonCode.IS_SYNC,
    ReasonCode.NO_CONVERSATION,
    ReasonCode.NO_ACTIVE_WORK_ITEM,
    ReasonCode.STALE_REV,
    ReasonCode.AWAITING_EARLIER_EVENT,
    ReasonCode.IN_SYNC,
]
"""The reason for writing nothing (action `SKIP_SYNC`), in the order of the gates."""

SKIP_CODES: Final[tuple[SkipCode, ...]] = get_args(SkipCode)


def first_closed_gate(
    *,
    supported: bool,
    is_sync: bool,
    side: Side,
    rev: int | None,
    conversation: Conversation | None,
    item: WorkItem | None,
    policy: Policy,
    has_waiting_field: bool = False,
    is_new_revision: bool = False,
) -> SkipCode | None:
    """The code of the first closed gate for an event of `side`; None where all gates are open.

    `rev` None: a question without an event. The last two parameters are for policy `causal` alone:

    - `has_waiting_field`: a field of the pair waits, so a sync's event may pass.
    - `is_new_revision`: the revision was not observed before, so `STALE_REV` does not apply.
    """
    passive = is_sync or not supported
    if passive and not has_waiting_field:
        return ReasonCode.IS_SYNC if supported else ReasonCode.UNSUPPORTED_EVENT
    if conversation is None:
        return ReasonCode.NO_CONVERSATION
    if item is None or not _is_pair(side, conversation, item, policy):
        return ReasonCode.NO_ACTIVE_WORK_ITEM
    stored = conversation.rev if side == "conversation" else item.rev
    if rev is not None and stored > rev and not (is_new_revision or (passive and has_waiting_field)):
        return ReasonCode.STALE_REV
    return None


def _is_pair(side: Side, conversation: Conversation, item: WorkItem, policy: Policy) -> bool:
    open_conversation = conversation.status is not ConversationStatus.DONE and not conversation.deleted
    # A1 writes a completion to the conversation. Policy `legacy` uses table A for the work-item's own event only.
    uses_table_a = policy is Policy.CAUSAL or side == "work-item"
    return item.active or (uses_table_a and open_conversation)
