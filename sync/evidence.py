"""Evidence: which side wrote a shared field last, and which conversation revision that write knew. Pure.

Policy `causal` asks it before any rule may write (docs/rules.md, *Who is newer*, *Waiting, and the
gap poll*, *First sight*).
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
    """The side whose value of a field stands. `UNDECIDED`: an unobserved revision may decide it, so the field waits."""

    CONVERSATION = "conversation"
    WORK_ITEM = "work-item"
    UNDECIDED = "waits"


class TriggerEvents(Struct, frozen=True, kw_only=True):
    """The event that asks the rules, or several of one side in one batch: `side` and `rev` are the newest event's.

    `declared_fields`: the fields that the conversation's events changed, or that the work-item's events wrote while
    saying which conversation revision they knew.
    """

    side: Side
    rev: int
    declared_fields: frozenset[Field] = frozenset()


class OldDocuments(Struct, frozen=True, kw_only=True):
    """Whether each document is old news: not written for so long that none of its events is still on its way."""

    conversation: bool = False
    work_item: bool = False


class Evidence(Struct, frozen=True, kw_only=True):
    """A pair as read, with everything that is known of its writes.

    `state` is the sync state that is kept, whatever the decision. `basis` is the state this one decision goes by: it
    holds assumptions that are not kept.
    """

    state: SyncState
    basis: SyncState
    conversation: Conversation
    item: WorkItem
    old: OldDocuments

    def newer_side(self, name: Field) -> NewerSide:
        """The side whose value of the field stands. `paused` and a deletion are always the conversation's."""
        if name == "paused" or (name == "status" and self.conversation.deleted):
            return NewerSide.CONVERSATION
        basis, known = self.basis, self.basis.known.get(name, 0)
        unobserved_from = basis.known_at.get(name, 0) + 1
        if not self.old.work_item and not covers(basis.work_item_observed, unobserved_from, self.item.rev):
            # An unobserved write of the work-item may have known a later conversation revision.
            return NewerSide.UNDECIDED
        if basis.changed.get(name, 0) > known:
            return NewerSide.CONVERSATION
        if self.old.conversation or covers(basis.conversation_observed, known + 1, self.conversation.rev):
            return NewerSide.WORK_ITEM
        return NewerSide.UNDECIDED


def evidence_of(
    state: SyncState, conversation: Conversation, item: WorkItem, *, old: OldDocuments, trigger: TriggerEvents | None
) -> Evidence:
    """The evidence for one decision. `trigger` None: no event asks (the gap poll, or an event that only releases a
    waiting field)."""
    state = for_pair(state, item)
    if old.conversation:
        state = replace(state, changed={**state.changed, **_unannounced_changes(state, conversation)})
    basis = state
    if state.work_item != item.id:
        # The state is of a later work-item: nothing is known of this one.
        basis = replace(basis, work_item_observed=(), known={}, known_at={}, reconciled=True)
    if old.conversation:
        basis = replace(basis, changed={**basis.changed, **_never_viewed(basis, conversation)})
    if trigger is not None and not basis.reconciled and _other_is_old(trigger.side, old):
        basis = _at_first_sight(basis, conversation, trigger)
    return Evidence(state=state, basis=basis, conversation=conversation, item=item, old=old)


def _unannounced_changes(state: SyncState, conversation: Conversation) -> dict[Field, int]:
    """A value that differs from the one viewed last, without an event, counts as changed at the stored revision."""
    values = shared_values(conversation)
    return {name: conversation.rev for name, viewed in state.view.items() if viewed.value != values[name]}


def _never_viewed(state: SyncState, conversation: Conversation) -> dict[Field, int]:
    """A field that was never viewed counts as changed at the stored revision, unless every revision that the
    work-item's write did not know was observed: the conversation is the source of truth."""
    return {
        name: conversation.rev
        for name in FIELDS
        if name not in state.view
        and not covers(state.conversation_observed, state.known.get(name, 0) + 1, conversation.rev)
    }


def _other_is_old(side: Side, old: OldDocuments) -> bool:
    return old.work_item if side == "conversation" else old.conversation


def _at_first_sight(state: SyncState, conversation: Conversation, trigger: TriggerEvents) -> SyncState:
    """The state in which every undeclared field goes the event's own way, as in policy `legacy`."""
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
