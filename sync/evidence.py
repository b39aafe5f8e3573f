"""Evidence: which side wrote a shared field last, and which conversation revision that write knew. Pure.

Policy `causal` lets a rule write a field only if the evidence says that the rule's side is newer (docs/rules.md, *Who
is newer*, *Waiting, and the gap poll*, *First sight*).
"""

from enum import Enum
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from commands.work_item import WorkItem
from sync.conversation import FIELDS, Conversation, Field
from sync.gates import Side
from sync.revision_runs import covers
from sync.state import SyncState, for_pair, shared_values


class NewerSide(Enum):
    """The side whose value of a field is kept. `UNDECIDED`: an unobserved revision may decide, so the field waits."""

    CONVERSATION = "conversation"
    WORK_ITEM = "work-item"
    UNDECIDED = "undecided"


class TriggerEvents(Struct, frozen=True, kw_only=True):
    """The events of one side in a batch that cause a decision. `side` is that side; `rev` is the newest event's
    revision.

    `declared_fields`: the fields for which the events themselves show which side is newer. For conversation events
    these are the changed fields; for work-item events, the changed fields of events that name a known conversation
    revision.
    """

    side: Side
    rev: int
    declared_fields: frozenset[Field] = frozenset()


class OldDocuments(Struct, frozen=True, kw_only=True):
    """For each document: True if its last write is so old that none of its events can still be in flight."""

    conversation: bool = False
    work_item: bool = False


class Evidence(Struct, frozen=True, kw_only=True):
    """A pair as read, with everything that is known of its writes.

    `state`: the sync state to store. `basis`: `state` plus assumptions for this decision; never stored.
    """

    state: SyncState
    basis: SyncState
    conversation: Conversation
    item: WorkItem
    old: OldDocuments

    def newer_side(self, name: Field) -> NewerSide:
        """The side whose value of the field is kept.

        For `paused`, and for `status` of a deleted conversation, always CONVERSATION.
        """
        if name == "paused" or (name == "status" and self.conversation.deleted):
            return NewerSide.CONVERSATION
        basis, known_rev = self.basis, self.basis.known.get(name, 0)
        unobserved_from = basis.known_at.get(name, 0) + 1
        if not self.old.work_item and not covers(basis.work_item_observed, unobserved_from, self.item.rev):
            # An unobserved write of the work-item may have known a later conversation revision.
            return NewerSide.UNDECIDED
        if basis.changed.get(name, 0) > known_rev:
            return NewerSide.CONVERSATION
        if self.old.conversation or covers(basis.conversation_observed, known_rev + 1, self.conversation.rev):
            return NewerSide.WORK_ITEM
        return NewerSide.UNDECIDED


def evidence_of(
    state: SyncState, conversation: Conversation, item: WorkItem, *, old: OldDocuments, trigger: TriggerEvents | None
) -> Evidence:
    """The evidence for one decision. `state` must already have observed all events of the batch.

    `trigger` None: the gap poll triggers the decision, or a sync's event that can only end a field's waiting.
    """
    state = for_pair(state, item)
    if old.conversation:
        state = replace(state, changed={**state.changed, **_unannounced_changes(state, conversation)})
    basis = state
    if state.work_item != item.id:
        # The state describes a later work-item and knows nothing of this one. `reconciled` keeps the first-sight rule
        # from applying: this work-item is not new.
        basis = replace(basis, work_item_observed=(), known={}, known_at={}, reconciled=True)
    if old.conversation:
        basis = replace(basis, changed={**basis.changed, **_never_viewed(basis, conversation)})
    if trigger is not None and not basis.reconciled and _other_is_old(trigger.side, old):
        basis = _at_first_sight(basis, conversation, trigger)
    return Evidence(state=state, basis=basis, conversation=conversation, item=item, old=old)


def _unannounced_changes(state: SyncState, conversation: Conversation) -> dict[Field, int]:
    """The fields whose stored value differs from the last viewed value, each with the stored revision: they changed
    without an event."""
    values = shared_values(conversation)
    return {name: conversation.rev for name, viewed in state.view.items() if viewed.value != values[name]}


def _never_viewed(state: SyncState, conversation: Conversation) -> dict[Field, int]:
    """The fields never viewed whose history has a gap: at least one conversation revision after the work-item's known
    revision was not observed. Each counts as changed at the stored revision, because the conversation is the source of
    truth."""
    return {
        name: conversation.rev
        for name in FIELDS
        if name not in state.view
        and not covers(state.conversation_observed, state.known.get(name, 0) + 1, conversation.rev)
    }


def _other_is_old(side: Side, old: OldDocuments) -> bool:
    return old.work_item if side == "conversation" else old.conversation


def _at_first_sight(state: SyncState, conversation: Conversation, trigger: TriggerEvents) -> SyncState:
    """The state in which every undeclared field was last written by the trigger's side, as policy `legacy` assumes."""
    undeclared = [name for name in FIELDS if name not in trigger.declared_fields]
    match trigger.side:
        case "conversation":
            return replace(state, changed={**state.changed, **dict.fromkeys(undeclared, conversation.rev)})
        case "work-item":
            return replace(
                state,
                known={**state.known, **dict.fromkeys(undeclared, conversation.rev)},
                known_at={**state.known_at, **dict.fromkeys(undeclared, trigger.rev)},
            )
        case _:
            assert_never(trigger.side)
