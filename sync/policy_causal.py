"""Policy `causal`: both rule tables on one pair, each field only where its side is newer (docs/rules.md, *Policy
`causal`*). Pure.

Table B goes first, through the commands. Table A then compares the work-item as the commands leave it: a queue that is
synced forward can make an unassigned ivr work-item queued, and only then A3 fires. Rule A7 is an exception: table B
compares the conversation as A7 leaves it. `in_order` makes two more, so that a batch ends as its events do one by one:

- B2 and B3 compare the conversation as A4 leaves it. So un-assigned and ended end alike in either order.
- Where B6 completes the work-item, table A compares assignee and queue of the work-item as the other rules leave it. So
  the closed conversation names the agent who accepted it.

Some rules of table B wait although their own field does not:

- B6, while assignee or queue waits: a completion is the last word on a work-item, so it would be completed without its
  agent.
- B7, while the assignee waits: it depends on the assignee.
- B2 and B3, while A4 waits, if `in_order`.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from commands.context import CommandContext
from commands.engines.rollout import DEFAULT_ROLLOUT, EngineRollout
from commands.execute import Applied, Refused
from commands.reason import ReasonCode
from commands.work_item import Status
from sync.conversation import FIELDS, Conversation, ConversationStatus, Field
from sync.decision import (
    CommandResult,
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
from sync.rules_forward import assignee_after_forward, work_item_writes
from sync.rules_reverse import conversation_writes, reopening_write
from sync.state.agreement import all_agree

_LAST_WORDS: Final = frozenset[Field](("assignee", "queue"))
"""The fields with which a work-item is completed. B6 waits while one of them does."""
_SUPPRESSED_AS: Final = {
    NewerSide.CONVERSATION: ReasonCode.CONVERSATION_IS_NEWER,
    NewerSide.WORK_ITEM: ReasonCode.WORK_ITEM_IS_NEWER,
    NewerSide.UNDECIDED: ReasonCode.FIELD_WAITS,
}


def decide_causal(
    evidence: Evidence,
    *,
    context: CommandContext,
    now: datetime,
    queue_now: datetime,
    rollout: EngineRollout = DEFAULT_ROLLOUT,
    in_order: bool = True,
) -> PairDecision:
    """Decide a pair whose gates are open. `queue_now`: the time by SQS's clock, from which a field waits.

    `in_order`: a batch ends as its events do one by one (this file's head). False: the tables by their letter.
    """
    conversation, item = evidence.conversation, evidence.item
    if all_agree(conversation, item) and not conversation.deleted:
        # Most events end here: both sides agree on every field, so it does not matter which side is newer.
        decision = skip_decision(ReasonCode.IN_SYNC)
        return decided_pair(
            decision, None, state=evidence.state, conversation=conversation, item=item, now=now, queue_now=queue_now
        )
    asked = _asked_writes(evidence, in_order=in_order)
    b_writes = _writes_of(NewerSide.CONVERSATION, asked.b_fired, asked.written)

    def run(writes: tuple[Write, ...]) -> CommandResult | None:
        if not writes:
            return None
        fields, rev = merged_fields(writes), conversation.rev
        return run_command(item, fields, conversation_rev=rev, context=context, now=now, rollout=rollout)

    command = run(b_writes)
    before_completion = tuple(write for write in b_writes if write.rule != "B6")
    if in_order and len(before_completion) < len(b_writes):
        a_fired = asked.a_fired(conversation, run(before_completion))
        # B6 has waited for these two fields alone.
        a_fired = tuple(write for write in a_fired if write.field in _LAST_WORDS)
    else:
        a_fired = asked.a_fired(conversation, command)
    a_writes = _writes_of(NewerSide.WORK_ITEM, a_fired, asked.written)
    if not isinstance(command, Applied | Refused):
        b_writes = ()
    fired = frozenset(write.field for write in (*asked.b_asked, *asked.a_asked, *a_writes))
    all_wait = bool(fired) and all(asked.written[name] is NewerSide.UNDECIDED for name in fired)
    decision = _decision(b_writes, a_writes, _suppressed(evidence, asked), all_wait=all_wait)
    return decided_pair(
        decision,
        command,
        state=evidence.state,
        conversation=conversation,
        item=item,
        now=now,
        queue_now=queue_now,
        fired=fired,
        undecided=frozenset([name for name in FIELDS if asked.newer[name] is NewerSide.UNDECIDED]),
        assumed=evidence.assumed,
    )


class _AskedWrites(Struct, frozen=True, kw_only=True):
    """The writes that the tables ask for, and the newer side of each field.

    - `newer`: by the evidence. `written`: the side whose rules may write the field, UNDECIDED also while a rule waits
      for another field.
    - `b_asked`, `a_asked`: for the pair as it was read. `b_fired`: for the conversation as A7 and A4 leave it.
    - `reopening`, `ending`: the writes of A7 and of A4, if they ask for one. A4's is kept where B2 or B3 takes the
      work-item out of wrap-up.
    """

    newer: Mapping[Field, NewerSide]
    written: Mapping[Field, NewerSide]
    b_asked: tuple[Write, ...]
    b_fired: tuple[Write, ...]
    a_asked: tuple[Write, ...]
    reopening: tuple[Write, ...]
    ending: tuple[Write, ...]

    def a_fired(self, conversation: Conversation, command: CommandResult | None) -> tuple[Write, ...]:
        """The writes of table A for the work-item as the command leaves it."""
        if not isinstance(command, Applied):
            return self.a_asked
        after = command.after
        ending = self.ending if after.active and after.status is not Status.WRAP_UP else ()
        return (*self.reopening, *ending, *conversation_writes(conversation, after, Policy.CAUSAL))


def _asked_writes(evidence: Evidence, *, in_order: bool) -> _AskedWrites:
    conversation, item = evidence.conversation, evidence.item
    newer = {name: evidence.newer_side(name) for name in FIELDS}
    reopening_side = evidence.reopening()
    reopening = () if reopening_side is NewerSide.CONVERSATION else (reopening_write(),)
    if reopening:
        newer["status"] = reopening_side
    assignee = item.assigned_to
    if newer["assignee"] is NewerSide.CONVERSATION:
        assignee = assignee_after_forward(conversation, item)
    elif newer["assignee"] is NewerSide.UNDECIDED:
        assignee = item.assigned_to or assignee_after_forward(conversation, item)
    b_asked = work_item_writes(conversation, item, Policy.CAUSAL, assignee=assignee)
    a_of_pair = conversation_writes(conversation, item, Policy.CAUSAL)
    a_asked = (*reopening, *a_of_pair)
    ending = tuple(write for write in a_of_pair if in_order and write.field == "ended")
    left = conversation
    if reopening_side is NewerSide.WORK_ITEM:
        left = replace(left, status=ConversationStatus.OPEN)
    if ending and newer["ended"] is NewerSide.WORK_ITEM:
        left = replace(left, ended=True)
    b_fired = b_asked if left is conversation else work_item_writes(left, item, Policy.CAUSAL, assignee=assignee)
    asked = {write.field for write in (*b_asked, *a_asked)}
    waits = {name for name in asked if newer[name] is NewerSide.UNDECIDED}
    written = dict(newer)
    unassigned = assignee is None and item.assigned_to is not None
    if ending and newer["ended"] is NewerSide.UNDECIDED and newer["assignee"] is NewerSide.CONVERSATION and unassigned:
        # B2 and B3 must know whether the conversation has ended.
        written["assignee"] = NewerSide.UNDECIDED
        waits.add("assignee")
    if newer["ended"] is NewerSide.CONVERSATION and conversation.ended and "assignee" in waits:
        written["ended"] = NewerSide.UNDECIDED
    if newer["status"] is NewerSide.CONVERSATION and waits & _LAST_WORDS:
        written["status"] = NewerSide.UNDECIDED
    return _AskedWrites(
        newer=newer,
        written=written,
        b_asked=b_asked,
        b_fired=b_fired,
        a_asked=a_asked,
        reopening=reopening,
        ending=ending,
    )


def _writes_of(side: NewerSide, fired: Iterable[Write], newer: Mapping[Field, NewerSide]) -> tuple[Write, ...]:
    """The writes whose field is newer on `side`."""
    return tuple(write for write in fired if newer[write.field] is side)


def _suppressed(evidence: Evidence, asked: _AskedWrites) -> tuple[SuppressedField, ...]:
    """What closed rules of either table asked for. One entry per field, even if two rules fired for the field."""
    newer = asked.written
    fields = {write.field for write in asked.b_asked if newer[write.field] is not NewerSide.CONVERSATION}
    fields |= {write.field for write in asked.a_asked if newer[write.field] is not NewerSide.WORK_ITEM}
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
