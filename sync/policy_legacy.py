"""Policy `legacy`: the event's own direction only, on the pair as it is stored now (docs/rules.md, *Policy
`legacy`*). Pure.

A conversation's event applies table B, a work-item's event applies table A. The sync state is kept but not used, so
that a team can switch policies at any time.
"""

from datetime import datetime

from commands.context import CommandContext
from commands.engines.rollout import DEFAULT_ROLLOUT, EngineRollout
from commands.execute import Refused, Unchanged
from commands.reason import ReasonCode
from commands.work_item import WorkItem
from sync.conversation import Conversation
from sync.decision import Decision, PairDecision, decided_pair, merged_fields, run_command, skip_decision
from sync.gates import Policy, Side, first_closed_gate
from sync.rules_forward import work_item_writes
from sync.rules_reverse import conversation_writes
from sync.state.sync_state import SyncState


def decide_legacy(
    state: SyncState,
    *,
    side: Side,
    conversation: Conversation | None,
    item: WorkItem | None,
    rev: int,
    is_sync: bool,
    supported: bool,
    context: CommandContext,
    now: datetime,
    queue_now: datetime,
    rollout: EngineRollout = DEFAULT_ROLLOUT,
) -> PairDecision:
    """Decide an event of `side` at revision `rev`; `state` has observed the event already. `queue_now`: the time by
    SQS's clock.

    The state stays as it is where a gate is closed or the commands refuse the update.
    """
    decision = legacy_decision(
        side=side, conversation=conversation, item=item, rev=rev, is_sync=is_sync, supported=supported
    )
    if conversation is None or item is None:
        return PairDecision(decision=decision, state=state)
    if not decision.applies and decision.reasons[0].code is not ReasonCode.IN_SYNC:
        return PairDecision(decision=decision, state=state)
    command = None
    if decision.work_item_fields is not None:
        command = run_command(
            item,
            decision.work_item_fields,
            conversation_rev=conversation.rev,
            context=context,
            now=now,
            rollout=rollout,
        )
        if isinstance(command, Refused):
            return PairDecision(decision=decision, command=command, state=state)
        if isinstance(command, Unchanged):
            decision = skip_decision(ReasonCode.IN_SYNC)
    return decided_pair(
        decision, command, state=state, conversation=conversation, item=item, now=now, queue_now=queue_now
    )


def legacy_decision(
    *,
    side: Side,
    conversation: Conversation | None,
    item: WorkItem | None,
    rev: int | None = None,
    is_sync: bool = False,
    supported: bool = True,
) -> Decision:
    """The decision of the gates and the rules, before the commands run. `rev` None: a question without an event."""
    closed = first_closed_gate(
        supported=supported,
        is_sync=is_sync,
        side=side,
        rev=rev,
        conversation=conversation,
        item=item,
        policy=Policy.LEGACY,
    )
    if closed is not None or conversation is None or item is None:
        return skip_decision(closed or ReasonCode.NO_ACTIVE_WORK_ITEM)
    forward = side == "conversation"
    if forward:
        writes = work_item_writes(conversation, item, Policy.LEGACY, assignee=item.assigned_to)
    else:
        writes = conversation_writes(conversation, item, Policy.LEGACY)
    if not writes:
        return skip_decision(ReasonCode.IN_SYNC)
    fields = merged_fields(writes)
    return Decision(
        direction="forward" if forward else "reverse",
        conversation_fields=None if forward else fields,
        work_item_fields=fields if forward else None,
        reasons=tuple(write.reason(Policy.LEGACY) for write in writes),
    )
