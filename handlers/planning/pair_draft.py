"""One conversation's pair while its events are taken in: the documents as loaded, and as they will be."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from commands.context import CommandContext
from commands.execute import Applied
from commands.session import SessionMove, move_between
from commands.work_item import WorkItem
from handlers.documents.document import document_of, is_older, rev_of
from handlers.documents.nouns import conversation_of, with_conversation, with_work_item, work_item_of
from handlers.events.event import Event
from handlers.ports import Announcement, Document, DocumentWrite, Pair, Plan
from sync.conversation import Conversation, ConversationStatus, Field
from sync.gates import Side
from sync.state import SyncState, after_reconcile, for_pair, observe, reset_if_restored, with_stored_revisions


@dataclass(slots=True, kw_only=True)
class _DraftDocument:
    """A document: as loaded, None for not stored, and as it will be."""

    loaded: Document | None
    current: Document | None

    def write(self) -> DocumentWrite | None:
        if self.current is None or self.current is self.loaded:
            return None
        return DocumentWrite(before=self.loaded, after=self.current)


class PairDraft:
    """Collects what one conversation's events change, and becomes its plan."""

    def __init__(self, conversation_id: str, pair: Pair) -> None:
        self.conversation_id = conversation_id
        self.context: CommandContext = pair.context
        self._loaded_state = pair.state
        self._conversation = _DraftDocument(loaded=pair.conversation, current=pair.conversation)
        self._work_items = {
            document["_id"]: _DraftDocument(loaded=document, current=document) for document in pair.work_items
        }
        self._revisions: list[Document] = []
        self._announcements: list[Announcement] = []
        self._conversations: dict[int, tuple[Document, Conversation]] = {}
        self._items: dict[int, tuple[Document, WorkItem]] = {}
        self.state: SyncState = self._unless_restored(pair.state)

    # What the rules see

    def conversation(self) -> Conversation | None:
        """The conversation as it stands; the tombstone's where it was deleted."""
        document, deleted_rev = self._conversation.current, self.state.deleted_rev
        if document is None:
            if deleted_rev is None:
                return None
            return Conversation(id=self.conversation_id, rev=deleted_rev, status=ConversationStatus.OPEN, deleted=True)
        conversation = self._conversation_in(document)
        if deleted_rev is not None and deleted_rev >= conversation.rev:
            return replace(conversation, deleted=True)
        return conversation

    def work_item(self, event: Event) -> WorkItem | None:
        """What legacy asks about: on a conversation's event the active work-item; on a work-item's own event that one,
        completed or not, unless it has been superseded by another."""
        if event.side == "conversation":
            active = self._active()
            return None if active is None else self._item_in(active)
        slot = self._work_items.get(event.document_id)
        if slot is None or slot.current is None or self._superseded(event):
            return None
        item = self._item_in(slot.current)
        return None if item.number < self.state.work_item_number else item

    def pair_item(self) -> WorkItem | None:
        """The pair's work-item: the active one, else the one that the state names."""
        slot = self._work_items.get(self.state.work_item or "")
        document = self._active() or (slot.current if slot is not None else None)
        return None if document is None else self._item_in(document)

    def document(self, event: Event) -> Document | None:
        """The stored document that the event is about."""
        slot = self._conversation if event.side == "conversation" else self._work_items.get(event.document_id)
        return slot.current if slot is not None else None

    # What the events bring

    def observe(self, event: Event) -> None:
        """Take the event's revision, and what it says of the shared fields, into the state."""
        active = self._active()
        if active is not None:
            # It is the pair's now, whichever numbers the two have: what is observed next may be of it.
            self.state = for_pair(self.state, self._item_in(active))
        self.state = observe(self.state, event.observation())

    def awaits_predecessor(self, event: Event) -> bool:
        """True where the event is of a new active work-item and the one before it is not completed here yet."""
        active = self._active()
        if event.side != "work-item" or active is None or not self._superseded(event):
            return False
        number = active.get("workItemNumber") or 0
        # Where numbers do not tell, a create is of a later one: the one before it was there already.
        later = event.work_item_number > number or (event.creation and event.work_item_number in (0, number))
        return later and self.document(event) is None and bool(self._snapshot(event)["active"])

    def take_in(self, event: Event) -> None:
        """Apply the snapshot where the store has no such document or an older one; never otherwise."""
        with_stored_revisions = self.document(event)
        if with_stored_revisions is not None and not is_older(with_stored_revisions, event.rev):
            return
        snapshot = self._snapshot(event)
        if event.side == "conversation":
            buried = self.state.deleted_rev
            if buried is None or event.deletion or event.rev > buried:
                self._conversation.current = snapshot
        elif not (self._superseded(event) and snapshot["active"]):
            slot = self._work_items.setdefault(event.document_id, _DraftDocument(loaded=None, current=None))
            slot.current = snapshot

    # What the decisions write

    def write_conversation(self, fields: Mapping[str, Any], now: datetime) -> tuple[Document, Document]:
        """The conversation's document before and after the write."""
        before = self._conversation.current
        assert before is not None, "a conversation is written only after it was read"
        after = with_conversation(before, fields, now=now)
        self._conversation.current = after
        return before, after

    def write_work_item(self, before: WorkItem, applied: Applied) -> tuple[Document, Document]:
        """The work-item's document before and after the command, and the record of its pass where that changed."""
        slot = self._work_items[before.id]
        document = slot.current
        assert document is not None, "a work-item is written only after it was read"
        slot.current = with_work_item(document, before, applied.after)
        # What would be read out of it is what was just put in.
        self._items[id(slot.current)] = slot.current, applied.after
        if applied.after.last_revision != before.last_revision:
            self._revisions.append(self._revision_record(slot.current))
        return document, slot.current

    def announce(self, announcement: Announcement) -> None:
        """Put an event into the outbox."""
        self._announcements.append(announcement)

    def note_reconciled(
        self,
        item: WorkItem,
        *,
        now: datetime,
        wrote: Collection[Side] = (),
        asked: frozenset[Field] = frozenset(),
        undecided: frozenset[Field] = frozenset(),
    ) -> None:
        """The rules were asked, and left the pair like this, having written these sides."""
        conversation = self.conversation()
        assert conversation is not None, "no rule is asked without a conversation"
        self.state = after_reconcile(
            self.state, conversation, item, now=now, wrote=wrote, asked=asked, undecided=undecided
        )

    def note_no_pair(self) -> None:
        """There is nothing left that could wait."""
        if self.state.waiting_since is not None:
            self.state = replace(self.state, waiting_since=None)

    def note_stored(self, now: datetime) -> None:
        """To be called once, at the end: what the store will hold."""
        self.state = with_stored_revisions(self.state, self.conversation(), self.pair_item(), now=now)

    def plan(self) -> Plan:
        """All of it, as one plan; an empty one where nothing changed."""
        conversation = self._conversation.write()
        slots = self._work_items.values()
        work_items = tuple(write for write in (slot.write() for slot in slots) if write is not None)
        changed = conversation is not None or work_items or self.state != self._loaded_state
        return Plan(
            conversation_id=self.conversation_id,
            conversation=conversation,
            work_items=work_items,
            state=replace(self.state, version=self._loaded_state.version + 1) if changed else None,
            revisions=tuple(self._revisions),
            moves=tuple(self._moves(work_items)),
            announcements=tuple(self._announcements),
        )

    def _unless_restored(self, state: SyncState) -> SyncState:
        conversation = self._conversation.loaded
        slot = self._work_items.get(state.work_item or "")
        item = slot.loaded if slot is not None else None
        return reset_if_restored(
            state,
            conversation_rev=_rev(conversation),
            work_item_rev=_rev(item),
        )

    # Read once each: a document in the draft is replaced, never changed. Kept beside the noun, it keeps its identity.

    def _conversation_in(self, document: Document) -> Conversation:
        known = self._conversations.get(id(document))
        if known is None:
            known = self._conversations[id(document)] = document, conversation_of(document)
        return known[1]

    def _item_in(self, document: Document) -> WorkItem:
        known = self._items.get(id(document))
        if known is None:
            known = self._items[id(document)] = document, work_item_of(document)
        return known[1]

    def _active(self) -> Document | None:
        for slot in self._work_items.values():
            if slot.current is not None and slot.current.get("active"):
                return slot.current
        return None

    def _superseded(self, event: Event) -> bool:
        """True for an event of a work-item beside which another is active."""
        active = self._active()
        return active is not None and active["_id"] != event.document_id

    def _snapshot(self, event: Event) -> dict[str, Any]:
        return document_of(event.data, org=event.org, rev=event.rev, deletion=event.deletion)

    def _moves(self, writes: tuple[DocumentWrite, ...]) -> list[SessionMove]:
        pairs = [(self._item_in(w.before) if w.before else None, self._item_in(w.after)) for w in writes]
        moves = (move_between(before, after) for before, after in pairs)
        return [move for move in moves if move is not None]

    def _revision_record(self, document: Document) -> Document:
        revision = (document["relationships"].get("lastRevision") or {}).get("data") or {}
        return {
            "_id": f"{document['_id']}:{document['rev']}",
            "workItemId": document["_id"],
            "conversationId": self.conversation_id,
            "org": document.get("org"),
            "rev": document["rev"],
            "revisionId": revision.get("id"),
            "lastRevision": document["attributes"]["lastRevision"],
            "updatedAt": document["attributes"]["updatedAt"],
        }


def _rev(document: Document | None) -> int | None:
    return None if document is None else rev_of(document)
