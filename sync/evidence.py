"""Evidence: which side wrote a shared field last, and which conversation revision that write knew. Pure.

Policy `causal` lets a rule write a field only if the evidence says that the rule's side is newer (docs/rules.md, *Who
is newer*, *First sight*). Time is no evidence: an event that has not come says nothing. Only the watermark says that it
will not come any more (`state.after_waiting`).
"""

from enum import Enum
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from commands.work_item import WorkItem
from sync.conversation import FIELDS, Conversation, ConversationStatus, Field
from sync.gates import Side
from sync.state.revision_runs import covers
from sync.state.sync_state import SyncState, for_pair


class NewerSide(Enum):
    """The side whose value of a field is kept. `UNDECIDED`: an unobserved revision may decide, so the field waits."""

    CONVERSATION = "conversation"
    WORK_ITEM = "work-item"
    UNDECIDED = "undecided"


class FirstSight(Struct, frozen=True, kw_only=True):
    """A pair's first sight: the event of `side` at revision `rev` asks, and no event of the other document is in
    flight.

    `fields`: the fields that were in neither `view` nor `known` before the event. `declared_fields`: the fields for
    which the event itself shows which side is newer. For a conversation's event these are the changed fields; for a
    work-item's event, the changed fields if the event names a known conversation revision.
    """

    side: Side
    rev: int
    fields: frozenset[Field]
    declared_fields: frozenset[Field] = frozenset()


class Evidence(Struct, frozen=True, kw_only=True):
    """A pair as read, with everything that is known of its writes.

    `state`: the sync state to store. `basis`: `state` plus assumptions for this decision; never stored. `assumed`: the
    fields for which the first sight assumes that every revision of the document on side `observed_side` was observed.
    """

    state: SyncState
    basis: SyncState
    conversation: Conversation
    item: WorkItem
    assumed: frozenset[Field] = frozenset()
    observed_side: Side | None = None

    def newer_side(self, name: Field) -> NewerSide:
        """The side whose value of the field is kept, without rule A7 (`reopening`).

        For `paused` it is always the conversation, and for `status` over an active work-item, too.
        """
        if name == "paused" or (name == "status" and self._is_closed and self.item.active):
            return NewerSide.CONVERSATION
        basis, known_rev = self.basis, self.basis.known.get(name, 0)
        unobserved_from = basis.known_at.get(name, 0) + 1
        if not self._observed("work-item", name, unobserved_from):
            # An unobserved write of the work-item may have known a later conversation revision.
            return NewerSide.UNDECIDED
        # Without a view no event told of a change: the end of a wait assumed one, and a write that says nothing of what
        # it knew is more than that.
        is_touched = name not in basis.view and basis.touched.get(name, 0) >= unobserved_from
        if basis.changed.get(name, 0) > known_rev and not is_touched:
            return NewerSide.CONVERSATION
        return NewerSide.WORK_ITEM if self._observed("conversation", name, known_rev + 1) else NewerSide.UNDECIDED

    def reopening(self) -> NewerSide:
        """Rule A7: WORK_ITEM if it fires, UNDECIDED if it waits, CONVERSATION if it does not apply.

        It fires if rule A1 alone closed the conversation, and the maker of the later work-item did not know of it.
        """
        state, item, done_by = self.basis, self.item, self.basis.done_by
        if done_by is None or not item.active or self.conversation.deleted or not self._is_closed:
            return NewerSide.CONVERSATION
        # If the work-item's creation was lost, the stored work-item still says what its maker knew.
        known_rev = state.known.get("status", item.resource_rev)
        outside_rev = state.changed.get("status", 0)
        if item.number <= done_by.number or known_rev >= done_by.rev or outside_rev >= done_by.rev:
            return NewerSide.CONVERSATION
        is_decided = self._observed("conversation", "status", done_by.rev + 1)
        return NewerSide.WORK_ITEM if is_decided else NewerSide.UNDECIDED

    def _observed(self, side: Side, name: Field, first: int) -> bool:
        """True if every revision of the document from `first` on counts as observed for the field."""
        if side == self.observed_side and name in self.assumed:
            return True
        match side:
            case "conversation":
                return covers(self.basis.conversation_observed, first, self.conversation.rev)
            case "work-item":
                return covers(self.basis.work_item_observed, first, self.item.rev)
            case _:
                assert_never(side)

    @property
    def _is_closed(self) -> bool:
        return self.conversation.deleted or self.conversation.status is ConversationStatus.DONE


def evidence_of(
    state: SyncState, conversation: Conversation, item: WorkItem, *, first_sight: FirstSight | None = None
) -> Evidence:
    """The evidence for one decision. `state` must already have observed all events of the batch."""
    state = for_pair(state, item)
    if state.work_item != item.id:
        # The state describes a later work-item and knows nothing of this one.
        basis = replace(state, work_item_observed=(), known={}, known_at={}, touched={})
        return Evidence(state=state, basis=basis, conversation=conversation, item=item)
    if first_sight is None or not first_sight.fields:
        return Evidence(state=state, basis=state, conversation=conversation, item=item)
    return Evidence(
        state=state,
        basis=_at_first_sight(state, conversation, first_sight),
        conversation=conversation,
        item=item,
        assumed=first_sight.fields,
        observed_side="work-item" if first_sight.side == "conversation" else "conversation",
    )


def unknown_fields(state: SyncState, work_item: str) -> frozenset[Field]:
    """The fields that are in neither `view` nor `known` of the pair with this work-item."""
    known = state.known if state.work_item == work_item else {}
    return frozenset([name for name in FIELDS if name not in state.view and name not in known])


def _at_first_sight(state: SyncState, conversation: Conversation, sight: FirstSight) -> SyncState:
    """The state in which every undeclared field was last written by the event's side, as policy `legacy` assumes."""
    undeclared = sight.fields - sight.declared_fields
    match sight.side:
        case "conversation":
            return replace(state, changed={**state.changed, **dict.fromkeys(undeclared, conversation.rev)})
        case "work-item":
            return replace(
                state,
                known={**state.known, **dict.fromkeys(undeclared, conversation.rev)},
                known_at={**state.known_at, **dict.fromkeys(undeclared, sight.rev)},
            )
        case _:
            assert_never(sight.side)
