"""The records of one pair while it is planned: each document as loaded and as it will be, with the sync state.

The reading methods return the nouns that the rules compare. `pair_draft.py` writes.
"""

from msgspec.structs import replace

from commands.context import CommandContext
from commands.work_item import WorkItem
from handlers.documents.document import is_active, rev_of
from handlers.documents.document_mapping import conversation_of, work_item_of
from handlers.documents.stored_forms import UnreadableDocument
from handlers.events.event import Event
from handlers.options import PlanningContext
from handlers.planning.drafts.draft_document import DraftDocument
from handlers.ports import Document, Pair
from sync.conversation import Conversation, ConversationStatus
from sync.state.reconciliation import reset_if_restored
from sync.state.sync_state import SyncState


class PairRecords:
    """One conversation's records: its document, its loaded work-items, its sync state."""

    def __init__(self, conversation_id: str, pair: Pair) -> None:
        """Raises UnreadableDocument."""
        if pair.unreadable is not None:
            raise UnreadableDocument(pair.unreadable)
        self.conversation_id = conversation_id
        self.context: CommandContext = pair.context
        self._loaded_state = pair.state
        self._conversation = DraftDocument(read=conversation_of, loaded=pair.conversation, current=pair.conversation)
        self._work_items = {
            document["_id"]: DraftDocument(read=work_item_of, loaded=document, current=document)
            for document in pair.work_items
        }
        self._latest = self._work_items.get(pair.latest_work_item or "")
        # The latest work-item, if no event of it can ever have been sent to this deployment.
        self._not_ours: str | None = None
        self.state: SyncState = self._unless_restored(pair.state)

    def conversation(self) -> Conversation | None:
        """The draft's current conversation. After a deletion it has `deleted` True, also if no document is stored."""
        conversation, deleted_rev = self._conversation.noun(), self.state.deleted_rev
        if conversation is None:
            if deleted_rev is None:
                return None
            return Conversation(id=self.conversation_id, rev=deleted_rev, status=ConversationStatus.OPEN, deleted=True)
        if deleted_rev is not None and deleted_rev >= conversation.rev:
            return replace(conversation, deleted=True)
        return conversation

    def work_item(self, event: Event) -> WorkItem | None:
        """The work-item that policy `legacy` compares.

        For a conversation's event it is the active work-item. For a work-item's event it is that work-item, completed
        or not; None if another work-item is active or the state names a later one.
        """
        if event.side == "conversation":
            active = self._active()
            return None if active is None else active.noun()
        slot = self._work_items.get(event.document_id)
        item = None if slot is None or self._is_superseded(event) else slot.noun()
        return None if item is None or item.number < self.state.work_item_number else item

    def stored_work_item(self, work_item_id: str) -> WorkItem | None:
        """The work-item with this id, completed or not, whether or not it is the pair's."""
        slot = self._work_items.get(work_item_id)
        return None if slot is None else slot.noun()

    def work_item_document(self, work_item_id: str) -> Document:
        """The draft's current document of a work-item that was read."""
        document = self._work_items[work_item_id].current
        assert document is not None, "a document is asked for only after it was read"
        return document

    def pair_item(self) -> WorkItem | None:
        """The pair's work-item: the active one, else a later one than the state names, else the one that it names."""
        slot = self._active() or self._later_than_named() or self._work_items.get(self.state.work_item or "")
        return None if slot is None else slot.noun()

    def drop_latest_unless_in_flight(self, planning: PlanningContext) -> None:
        """Take the conversation's latest work-item, which is completed, for the pair's only if an event of it may be in
        flight: then the state may still learn of its completion."""
        item = None if self._latest is None else self._latest.noun()
        if item is not None and not planning.options.may_be_in_flight(item.updated_at, planning.now):
            self._latest, self._not_ours = None, item.id

    def has_active_work_item(self) -> bool:
        """Whether the conversation has an active work-item."""
        return self._active() is not None

    def next_work_item_number(self) -> int:
        """One more than the highest `workItemNumber` of the conversation's work-items."""
        items = (slot.noun() for slot in self._work_items.values())
        return max([self.state.work_item_number, *(item.number for item in items if item is not None)]) + 1

    @property
    def conversation_document(self) -> Document | None:
        """The draft's current document of the conversation."""
        return self._conversation.current

    @property
    def org(self) -> object:
        """The `org` of the conversation's document, else of a work-item's; unchecked."""
        documents = [self._conversation.current, *(slot.current for slot in self._work_items.values())]
        return next((document.get("org") for document in documents if document is not None), None)

    def _unless_restored(self, state: SyncState) -> SyncState:
        slot = self._work_items.get(state.work_item or "")
        return reset_if_restored(
            state,
            conversation_rev=_rev(self._conversation.loaded),
            work_item_rev=_rev(None if slot is None else slot.loaded),
        )

    def _active(self) -> DraftDocument[WorkItem] | None:
        for slot in self._work_items.values():
            if slot.current is not None and is_active(slot.current):
                return slot
        return None

    def _later_than_named(self) -> DraftDocument[WorkItem] | None:
        """The conversation's latest work-item, if the state names none or an earlier one."""
        item = None if self._latest is None else self._latest.noun()
        if item is None or (self.state.work_item is not None and item.number <= self.state.work_item_number):
            return None
        return self._latest

    def _document(self, event: Event) -> Document | None:
        """The draft's document of the record that the event is of."""
        if event.side == "conversation":
            return self._conversation.current
        slot = self._work_items.get(event.document_id)
        return None if slot is None else slot.current

    def _is_superseded(self, event: Event) -> bool:
        """True for an event of a work-item beside which another one is active."""
        active = self._active()
        return active is not None and active.current is not None and active.current["_id"] != event.document_id


def _rev(document: Document | None) -> int | None:
    return None if document is None else rev_of(document)
