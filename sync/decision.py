"""Decisions: the write of a rule, the fields to write on either side, and a pair's sync state after the write."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, Literal

from msgspec import Struct
from msgspec.structs import replace

from commands.context import CommandContext
from commands.engines.rollout import EngineRollout
from commands.execute import Applied, Refused, Unchanged, execute
from commands.reason import Reason, ReasonAction, ReasonCode, Refusal
from commands.update import parse_update
from commands.work_item import WorkItem
from sync.conversation import Conversation, Field, with_fields
from sync.gates import SKIP_CODES, Policy, Side, SkipCode
from sync.state.reconciliation import Reconciled, after_reconcile, next_rev
from sync.state.sync_state import SyncState

Direction = Literal["forward", "reverse", "both"]
"""forward: conversation → work-item; reverse: work-item → conversation."""

CommandResult = Applied | Unchanged | Refused
"""The result of the commands for table B's update."""


class Write(Struct, frozen=True, kw_only=True):
    """The write of a rule that fired. `fields` go into the conversation's write or into the work-item's update."""

    rule: str
    field: Field
    fields: Mapping[str, Any]
    action: Literal[ReasonAction.SYNC_CONVERSATION, ReasonAction.SYNC_WORK_ITEM]
    code: ReasonCode

    def reason(self, policy: Policy) -> Reason:
        """The reason as the published event and the audit line have it."""
        return Reason(action=self.action, code=self.code, meta={"rule": self.rule, "policy": policy.value})


def merged_fields(writes: Iterable[Write]) -> dict[str, Any]:
    """The fields of all writes; if two writes set the same key, the value of the later one is kept."""
    fields: dict[str, Any] = {}
    for write in writes:
        fields.update(write.fields)
    return fields


class SuppressedField(Struct, frozen=True, kw_only=True):
    """A field for which a rule fired and which policy `causal` did not write; `legacy` suppresses none.

    `conversation_rev`: the conversation revision that last changed the field. `known_rev`: the conversation revision
    that the work-item's last write of the field knew.
    """

    field: Field
    code: ReasonCode
    conversation_rev: int
    known_rev: int

    def as_wire(self) -> dict[str, Any]:
        """The JSON shape of the audit line."""
        return {
            "field": self.field,
            "code": self.code,
            "conversationRev": self.conversation_rev,
            "knownRev": self.known_rev,
        }


class Decision(Struct, frozen=True, kw_only=True):
    """The fields to write on either side, None for nothing, and the reasons."""

    direction: Direction | None
    conversation_fields: Mapping[str, Any] | None
    work_item_fields: Mapping[str, Any] | None
    reasons: tuple[Reason, ...]
    suppressed: tuple[SuppressedField, ...] = ()

    @property
    def applies(self) -> bool:
        """True where the decision writes to a side."""
        return self.conversation_fields is not None or self.work_item_fields is not None

    def as_wire(self) -> dict[str, Any]:
        """The JSON shape that `decide` prints."""
        return {
            "outcome": "applied" if self.applies else "skipped",
            "direction": self.direction,
            "updatedConversation": self.conversation_fields,
            "updatedWorkItem": self.work_item_fields,
            "reasons": [reason.as_wire() for reason in self.reasons],
            "suppressed": [field.as_wire() for field in self.suppressed],
        }


class PairDecision(Struct, frozen=True, kw_only=True):
    """The result of deciding one pair; nothing is written yet.

    `command`: the commands' result for `decision.work_item_fields`, None if no update was sent to them. `state`:
    the sync state once the decision is applied.
    """

    decision: Decision
    command: CommandResult | None = None
    state: SyncState

    @property
    def audited(self) -> Decision:
        """The decision as the audit line has it: a refusal of the commands is its last reason."""
        if not isinstance(self.command, Refused):
            return self.decision
        refusal = self.command.refusal
        reason = Reason(action=ReasonAction.UPDATE_COMMAND, code=refusal.code, meta={"message": refusal.message})
        return replace(self.decision, reasons=(*self.decision.reasons, reason))


def skip_decision(code: SkipCode, *, suppressed: tuple[SuppressedField, ...] = ()) -> Decision:
    """The decision to write nothing."""
    plain = _SKIP_DECISIONS[code]
    return replace(plain, suppressed=suppressed) if suppressed else plain


def run_command(
    item: WorkItem,
    fields: Mapping[str, Any],
    *,
    conversation_rev: int,
    context: CommandContext,
    now: datetime,
    rollout: EngineRollout,
) -> CommandResult:
    """The commands' result for table B's update. `conversation_rev`: the revision that the rules compared."""
    update = parse_update(fields, from_sync=True)
    assert not isinstance(update, Refusal), f"table B writes only fields that the commands know: {update}"
    return execute(item, update, context=context, now=now, resource_rev=conversation_rev, rollout=rollout)


def decided_pair(
    decision: Decision,
    command: CommandResult | None,
    *,
    state: SyncState,
    conversation: Conversation,
    item: WorkItem,
    now: datetime,
    queue_now: datetime,
    fired: frozenset[Field] = frozenset(),
    undecided: frozenset[Field] = frozenset(),
    assumed: frozenset[Field] = frozenset(),
) -> PairDecision:
    """The decision with the sync state after it. The pair and its state are those before the decision; the fields as in
    `sync.state.Reconciled`. `queue_now`: the time by SQS's clock."""
    wrote: dict[Side, int] = {}
    if isinstance(command, Applied):
        wrote["work-item"] = item.rev + 1
        if state.work_item == item.id:
            rev = next_rev(item.rev, state.work_item_observed, state.work_item_floor)
            command = replace(command, after=replace(command.after, rev=rev))
        item = command.after
    fields = decision.conversation_fields
    if fields is not None:
        wrote["conversation"] = conversation.rev + 1
        rev = next_rev(conversation.rev, state.conversation_observed, state.conversation_floor)
        conversation = with_fields(conversation, fields, rev=rev, now=now)
    reconciled = Reconciled(
        wrote=wrote,
        fired=fired,
        undecided=undecided,
        assumed=assumed,
        resumed="work-item" in wrote and bool((decision.work_item_fields or {}).get("resume")),
        completion=fields is not None and fields.get("status") == "done",
    )
    after = after_reconcile(state, conversation, item, reconciled, queue_now=queue_now)
    return PairDecision(decision=decision, command=command, state=after)


# Made once each: most events end with one of these.
_SKIP_DECISIONS: Final = {
    code: Decision(
        direction=None,
        conversation_fields=None,
        work_item_fields=None,
        reasons=(Reason(action=ReasonAction.SKIP_SYNC, code=code),),
    )
    for code in SKIP_CODES
}
