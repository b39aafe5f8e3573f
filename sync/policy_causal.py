"""Policy `causal`: both rule tables on one pair, each field only where its side is newer (docs/rules.md, *Policy
`causal`*). Pure.

Table B goes first, through the commands. Table A then compares the work-item as the commands leave it: a queue that is
synced forward can make an unassigned ivr work-item queued, and only then A3 fires.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from commands.context import CommandContext
from commands.execute import Applied, Refused
from commands.reason import ReasonCode
from commands.rollout import DEFAULT_ROLLOUT, EngineRollout
from sync.conversation import FIELDS, Field
from sync.decision import (
    Decision,
    Direction,
    PairDecision,
    SuppressedField,
    Write,
    decided_pair,
    merged_fields,
    run_command,
    skip_decision,
)
from sync.evidence import Evidence, NewerSide
from sync.gates import Policy, SkipCode
from sync.rules_forward import work_item_writes
from sync.rules_reverse import conversation_writes
from sync.state import all_agree

_SUPPRESSED_AS: Final = {
    NewerSide.CONVERSATION: ReasonCode.CONVERSATION_IS_NEWER,
    NewerSide.WORK_ITEM: ReasonCode.WORK_ITEM_IS_NEWER,
    NewerSide.UNDECIDED: ReasonCode.FIELD_WAITS,
}


def decide_causal(
    evidence: Evidence, *, context: CommandContext, now: datetime, rollout: EngineRollout = DEFAULT_ROLLOUT
) -> PairDecision:
    """Decide a pair whose gates are open."""
    conversation, item = evidence.conversation, evidence.item
    b_fired = work_item_writes(conversation, item, Policy.CAUSAL)
    a_fired = conversation_writes(conversation, item, Policy.CAUSAL)
    if not b_fired and not a_fired and all_agree(conversation, item):
        # Most events end here: both sides agree on every field, so it does not matter which side is newer.
        return _decided(evidence, skip_decision(ReasonCode.IN_SYNC), now=now)
    newer = {name: evidence.newer_side(name) for name in FIELDS}
    undecided = frozenset([name for name in FIELDS if newer[name] is NewerSide.UNDECIDED])
    if not b_fired and not a_fired:
        return _decided(evidence, skip_decision(ReasonCode.IN_SYNC), now=now, undecided=undecided)
    b_writes = _writes_of(NewerSide.CONVERSATION, b_fired, newer)
    command = None
    if b_writes:
        command = run_command(
            item,
            merged_fields(b_writes),
            conversation_rev=conversation.rev,
            context=context,
            now=now,
            rollout=rollout,
        )
    after = command.after if isinstance(command, Applied) else item
    a_fired_after = a_fired if after is item else conversation_writes(conversation, after, Policy.CAUSAL)
    a_writes = _writes_of(NewerSide.WORK_ITEM, a_fired_after, newer)
    if not isinstance(command, Applied | Refused):
        b_writes = ()
    held_back = [
        *(write for write in b_fired if newer[write.field] is not NewerSide.CONVERSATION),
        *(write for write in a_fired if newer[write.field] is not NewerSide.WORK_ITEM),
    ]
    fired = frozenset(write.field for write in (*b_fired, *a_fired, *a_writes))
    suppressed = _suppressed(evidence, held_back, newer)
    decision = _decision(b_writes, a_writes, suppressed, all_wait=bool(fired) and fired <= undecided)
    return decided_pair(
        decision,
        command,
        state=evidence.state,
        conversation=conversation,
        item=item,
        now=now,
        fired=fired,
        undecided=undecided,
    )


def _decided(
    evidence: Evidence, decision: Decision, *, now: datetime, undecided: frozenset[Field] = frozenset()
) -> PairDecision:
    """A decision for which no rule fired."""
    return decided_pair(
        decision,
        None,
        state=evidence.state,
        conversation=evidence.conversation,
        item=evidence.item,
        now=now,
        undecided=undecided,
    )


def _writes_of(side: NewerSide, fired: Iterable[Write], newer: Mapping[Field, NewerSide]) -> tuple[Write, ...]:
    """The writes whose field is newer on `side`."""
    return tuple(write for write in fired if newer[write.field] is side)


def _suppressed(
    evidence: Evidence, held_back: Iterable[Write], newer: Mapping[Field, NewerSide]
) -> tuple[SuppressedField, ...]:
    """One entry per field, even if two rules fired for the field."""
    fields = {write.field for write in held_back}
    return tuple(
        SuppressedField(
            field=name,
            code=_SUPPRESSED_AS[newer[name]],
            conversation_rev=evidence.basis.changed.get(name, 0),
            known_rev=evidence.basis.known.get(name, 0),
        )
        for name in FIELDS
        if name in fields
    )


def _decision(
    b_writes: tuple[Write, ...],
    a_writes: tuple[Write, ...],
    suppressed: tuple[SuppressedField, ...],
    *,
    all_wait: bool,
) -> Decision:
    if not b_writes and not a_writes:
        code: SkipCode = ReasonCode.AWAITING_EARLIER_EVENT if all_wait else ReasonCode.IN_SYNC
        return skip_decision(code, suppressed=suppressed)
    direction: Direction = "both" if b_writes and a_writes else "forward" if b_writes else "reverse"
    return Decision(
        direction=direction,
        conversation_fields=merged_fields(a_writes) if a_writes else None,
        work_item_fields=merged_fields(b_writes) if b_writes else None,
        reasons=tuple(write.reason(Policy.CAUSAL) for write in (*b_writes, *a_writes)),
        suppressed=suppressed,
    )
