"""Who wrote a shared field last, knowing what: the question that policy `causal` asks before any rule may write.

Pure: of the pair as it was read, of what was observed, and of how old the two documents are (sync-rules.md, *Policy
causal*, steps 2 and 3, *Old news*, *First sight*).
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
    """Whose value of a field stands. `UNDECIDED`: an event that decides it is on its way, so the field waits."""

    CONVERSATION = "conversation"
    WORK_ITEM = "work-item"
    UNDECIDED = "waits"


class Trigger(Struct, frozen=True, kw_only=True):
    """The event that asks, or several of one batch: the newest one's side and revision, and what all of them said.

    `spoken`: the fields that a conversation's events changed, or of which a work-item's events say what they knew.
    """

    side: Side
    rev: int
    spoken: frozenset[Field] = frozenset()


class DocumentAges(Struct, frozen=True, kw_only=True):
    """Whether a document is old news: not written for so long that no event of it can be left in flight."""

    conversation: bool = False
    work_item: bool = False


class Evidence(Struct, frozen=True, kw_only=True):
    """All that is known of a pair when it is reconciled.

    `state` is what stays known, whatever is decided; `seen` is what this one decision goes by.
    """

    state: SyncState
    seen: SyncState
    conversation: Conversation
    item: WorkItem
    ages: DocumentAges

    def newer(self, name: Field) -> NewerSide:
        """Who has the field. The conversation always has `paused`, and a deletion."""
        if name == "paused" or (name == "status" and self.conversation.deleted):
            return NewerSide.CONVERSATION
        seen, known = self.seen, self.seen.known.get(name, 0)
        unseen_from = seen.known_at.get(name, 0) + 1
        if not self.ages.work_item and not covers(seen.work_item_observed, unseen_from, self.item.rev):
            # A write of the work-item that nobody has seen may have known more.
            return NewerSide.UNDECIDED
        if seen.changed.get(name, 0) > known:
            return NewerSide.CONVERSATION
        if self.ages.conversation or covers(seen.conversation_observed, known + 1, self.conversation.rev):
            return NewerSide.WORK_ITEM
        return NewerSide.UNDECIDED


def evidence(
    state: SyncState, conversation: Conversation, item: WorkItem, *, ages: DocumentAges, asking: Trigger | None
) -> Evidence:
    """What is known now; `asking` None: no event asks, a poll does."""
    state = for_pair(state, item)
    if ages.conversation:
        state = replace(state, changed={**state.changed, **_changed_unseen(state, conversation)})
    seen = state
    if state.work_item != item.id:
        # The state is of a later work-item: of this one nothing is known.
        seen = replace(seen, work_item_observed=(), known={}, known_at={}, reconciled=True)
    if ages.conversation:
        seen = replace(seen, changed={**seen.changed, **_never_viewed(seen, conversation)})
    if asking is not None and not seen.reconciled and _other_is_old(asking.side, ages):
        seen = _at_first_sight(seen, conversation, asking)
    return Evidence(state=state, seen=seen, conversation=conversation, item=item, ages=ages)


def _changed_unseen(state: SyncState, conversation: Conversation) -> dict[Field, int]:
    """A value that nobody announced counts as changed at the stored revision."""
    values = shared_values(conversation)
    return {name: conversation.rev for name, viewed in state.view.items() if viewed.value != values[name]}


def _never_viewed(state: SyncState, conversation: Conversation) -> dict[Field, int]:
    """A value of which nothing is known counts as changed too, where a revision that the work-item did not know was
    not observed: the conversation is the source of truth."""
    return {
        name: conversation.rev
        for name in FIELDS
        if name not in state.view
        and not covers(state.conversation_observed, state.known.get(name, 0) + 1, conversation.rev)
    }


def _other_is_old(side: Side, ages: DocumentAges) -> bool:
    return ages.work_item if side == "conversation" else ages.conversation


def _at_first_sight(state: SyncState, conversation: Conversation, asking: Trigger) -> SyncState:
    """Where the event says nothing, its own way, as in legacy. None of it is kept."""
    silent = [name for name in FIELDS if name not in asking.spoken]
    match asking.side:
        case "conversation":
            return replace(state, changed={**state.changed, **dict.fromkeys(silent, conversation.rev)})
        case "work-item":
            return replace(
                state,
                known={**state.known, **dict.fromkeys(silent, conversation.rev)},
                known_at={**state.known_at, **dict.fromkeys(silent, asking.rev)},
            )
        case _:
            assert_never(asking.side)
