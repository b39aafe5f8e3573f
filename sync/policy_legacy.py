"""A pair and what happened to it in, a decision out. Pure: nothing is written here, no clock is asked.

Policy `legacy`: the event's own direction only, on the pair as it is stored now (sync-rules.md, *Policy legacy*).
Policy `causal` has a file of its own (causal.py).
"""

from commands.reason import ReasonCode
from commands.work_item import WorkItem
from sync.conversation import Conversation
from sync.decision import Decision, skipped
from sync.gates import Side, first_closed
from sync.rule import Policy, merged
from sync.rules_forward import work_item_writes
from sync.rules_reverse import conversation_writes


def decide_legacy(
    *,
    trigger: Side,
    conversation: Conversation | None,
    item: WorkItem | None,
    rev: int | None = None,
    is_sync: bool = False,
    supported: bool = True,
) -> Decision:
    """Policy `legacy`: gates, then table B on a conversation's event, table A on a work-item's."""
    closed = first_closed(
        supported=supported,
        is_sync=is_sync,
        trigger=trigger,
        rev=rev,
        conversation=conversation,
        item=item,
        policy=Policy.LEGACY,
    )
    if closed is not None or conversation is None or item is None:
        return skipped(closed or ReasonCode.NO_ACTIVE_WORK_ITEM)
    forward = trigger == "conversation"
    rules = work_item_writes if forward else conversation_writes
    writes = rules(conversation, item, Policy.LEGACY)
    if not writes:
        return skipped(ReasonCode.IN_SYNC)
    fields = merged(writes)
    return Decision(
        direction="forward" if forward else "reverse",
        conversation_fields=None if forward else fields,
        work_item_fields=fields if forward else None,
        reasons=tuple(write.reason(Policy.LEGACY) for write in writes),
    )
