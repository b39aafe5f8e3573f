"""Policy `causal`: both calculators on one pair, each only where its side is newer (sync-rules.md, steps 2 and 3).

Table B goes first, through the commands; table A is then asked about the work-item as it will be: a queue synced
forward can make an unassigned ivr work-item queued, and only then A3 applies. Pure.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from commands.context import CommandContext
from commands.execute import Applied, Refused, Unchanged, execute
from commands.reason import ReasonCode
from commands.refusal import Refusal
from commands.rollout import COMPOSED, EngineRollout
from commands.update import parse_update
from sync.conversation import FIELDS, Field
from sync.decision import Decision, Suppressed, skipped
from sync.evidence import Evidence, NewerSide
from sync.gates import SkipCode
from sync.rule import Direction, Policy, Write, merged
from sync.rules_forward import work_item_writes
from sync.rules_reverse import conversation_writes
from sync.state import all_agree

_SUPPRESSED_AS: Final = {
    NewerSide.CONVERSATION: ReasonCode.CONVERSATION_IS_NEWER,
    NewerSide.WORK_ITEM: ReasonCode.WORK_ITEM_IS_NEWER,
    NewerSide.UNDECIDED: ReasonCode.FIELD_WAITS,
}


class CausalDecision(Struct, frozen=True, kw_only=True):
    """A decision, and what it leaves behind.

    `forward`: what the commands made of table B's update, None where it asked nothing. `asked`: the fields on which a
    rule fired. `undecided`: those of which nobody could say who is newer; not told where all fields agree.
    """

    decision: Decision
    forward: Applied | Unchanged | Refused | None
    asked: frozenset[Field]
    undecided: frozenset[Field]


_NOTHING_ASKED: Final = CausalDecision(
    decision=skipped(ReasonCode.IN_SYNC), forward=None, asked=frozenset(), undecided=frozenset()
)


def decide_causal(
    seen: Evidence, *, context: CommandContext, now: datetime, rollout: EngineRollout = COMPOSED
) -> CausalDecision:
    """Ask both tables. The gates were passed before."""
    conversation, item = seen.conversation, seen.item
    b_asks = work_item_writes(conversation, item, Policy.CAUSAL)
    a_asks = conversation_writes(conversation, item, Policy.CAUSAL)
    if not b_asks and not a_asks and all_agree(conversation, item):
        # So it is with most events: who is newer, and of which fields nobody knows, changes nothing.
        return _NOTHING_ASKED
    newer = {name: seen.newer(name) for name in FIELDS}
    undecided = frozenset([name for name in FIELDS if newer[name] is NewerSide.UNDECIDED])
    if not b_asks and not a_asks:
        return replace(_NOTHING_ASKED, undecided=undecided)
    b_writes = _open(b_asks, newer, NewerSide.CONVERSATION)
    forward = _carried_out(seen, b_writes, context=context, now=now, rollout=rollout)
    after = forward.after if isinstance(forward, Applied) else item
    a_asks_then = a_asks if after is item else conversation_writes(conversation, after, Policy.CAUSAL)
    a_writes = _open(a_asks_then, newer, NewerSide.WORK_ITEM)
    if not isinstance(forward, Applied | Refused):
        b_writes = ()
    closed = [
        *(write for write in b_asks if newer[write.field] is not NewerSide.CONVERSATION),
        *(write for write in a_asks if newer[write.field] is not NewerSide.WORK_ITEM),
    ]
    asked = frozenset(write.field for write in (*b_asks, *a_asks, *a_writes))
    suppressed = _suppressed(seen, closed, newer)
    return CausalDecision(
        decision=_decision(b_writes, a_writes, suppressed, all_wait=bool(asked) and asked <= undecided),
        forward=forward,
        asked=asked,
        undecided=undecided,
    )


def _open(writes: Iterable[Write], newer: dict[Field, NewerSide], side: NewerSide) -> tuple[Write, ...]:
    return tuple(write for write in writes if newer[write.field] is side)


def _carried_out(
    seen: Evidence, writes: tuple[Write, ...], *, context: CommandContext, now: datetime, rollout: EngineRollout
) -> Applied | Unchanged | Refused | None:
    if not writes:
        return None
    update = parse_update(merged(writes), from_sync=True)
    assert not isinstance(update, Refusal), f"rules B ask only for what the commands read: {update}"
    return execute(seen.item, update, context=context, now=now, resource_rev=seen.conversation.rev, rollout=rollout)


def _suppressed(found: Evidence, closed: Iterable[Write], newer: dict[Field, NewerSide]) -> tuple[Suppressed, ...]:
    """One a field, however many rules asked for it."""
    fields = {write.field for write in closed}
    return tuple(
        Suppressed(
            field=name,
            code=_SUPPRESSED_AS[newer[name]],
            conversation_rev=found.seen.changed.get(name, 0),
            known_rev=found.seen.known.get(name, 0),
        )
        for name in FIELDS
        if name in fields
    )


def _decision(
    b_writes: tuple[Write, ...], a_writes: tuple[Write, ...], suppressed: tuple[Suppressed, ...], *, all_wait: bool
) -> Decision:
    if not b_writes and not a_writes:
        skip: SkipCode = ReasonCode.AWAITING_EARLIER_EVENT if all_wait else ReasonCode.IN_SYNC
        return skipped(skip, suppressed=suppressed)
    direction: Direction = "both" if b_writes and a_writes else "forward" if b_writes else "reverse"
    return Decision(
        direction=direction,
        conversation_fields=merged(a_writes) if a_writes else None,
        work_item_fields=merged(b_writes) if b_writes else None,
        reasons=tuple(write.reason(Policy.CAUSAL) for write in (*b_writes, *a_writes)),
        suppressed=suppressed,
    )
