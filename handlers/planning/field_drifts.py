"""The fields on which a drifted pair differs, with the side that wins. Pure."""

from typing import Final

from commands.reason import ReasonCode
from commands.work_item import WorkItem
from handlers.drift import FieldDrift
from sync.conversation import FIELDS, Conversation, Field
from sync.decision import PairDecision
from sync.evidence import NewerSide, evidence_of
from sync.gates import Policy
from sync.rules_forward import assignee_after_forward, work_item_writes
from sync.rules_reverse import conversation_writes
from sync.state.agreement import shared_values, work_item_values
from sync.state.sync_state import SyncState

_WINNERS: Final = {
    NewerSide.CONVERSATION: ReasonCode.CONVERSATION_IS_NEWER,
    NewerSide.WORK_ITEM: ReasonCode.WORK_ITEM_IS_NEWER,
    NewerSide.UNDECIDED: ReasonCode.FIELD_WAITS,
}


def field_drifts(
    state: SyncState, conversation: Conversation, item: WorkItem, decided: PairDecision
) -> tuple[FieldDrift, ...]:
    """The fields on which a rule of either table fires, with the side that wins."""
    evidence = evidence_of(state, conversation, item)
    assignee = assignee_after_forward(conversation, item)
    asked: set[Field] = {
        write.field
        for write in (
            *work_item_writes(conversation, item, Policy.CAUSAL, assignee=assignee),
            *conversation_writes(conversation, item, Policy.CAUSAL),
        )
    }
    reopens = any(reason.code is ReasonCode.NEWER_WORK_ITEM_ACTIVE for reason in decided.decision.reasons)
    values, item_values = shared_values(conversation), work_item_values(item)
    return tuple(
        FieldDrift(
            field=name,
            conversation=values[name],
            work_item=item_values[name],
            winner=_WINNERS[NewerSide.WORK_ITEM if reopens and name == "status" else evidence.newer_side(name)],
            changed_rev=evidence.basis.changed.get(name, 0),
            known_rev=evidence.basis.known.get(name, 0),
        )
        for name in FIELDS
        if name in asked
    )
