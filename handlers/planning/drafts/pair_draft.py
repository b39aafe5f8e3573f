"""The draft of one conversation's pair: it observes events, applies decisions, and becomes the plan.

The draft holds the pair's records (`pair_records.py`) and the announcements. A decision is made elsewhere, as a value.
Only `PairDraft.apply` writes a decision's documents, state and announcements into the draft.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from commands.execute import Applied
from commands.instant import parse_instant
from commands.reason import ReasonAction
from commands.session import SessionMove, move_between
from commands.work_item import Status, WorkItem
from handlers.documents.document import deletion_mark, document_from_snapshot, rev_of
from handlers.documents.document_mapping import (
    conversation_of,
    updated_conversation_document,
    updated_work_item_document,
    work_item_of,
)
from handlers.events.event import Event
from handlers.options import PlanningContext
from handlers.planning.announcements import AnnouncementCause, new_announcement
from handlers.planning.drafts.draft_document import DraftDocument
from handlers.planning.drafts.pair_records import PairRecords
from handlers.ports import Announcement, Document, DocumentWrite, Pair, Plan, WaitSighting
from handlers.routing.waiting_times import wait_of_document, wait_writes
from sync.conversation import FIELDS, Field
from sync.decision import PairDecision
from sync.gates import Side
from sync.state.agreement import shared_values, work_item_values
from sync.state.observation import changes_since_view, gave_up_gap, observe
from sync.state.reconciliation import after_waiting, next_rev, with_stored_revisions
from sync.state.sync_state import SyncState, Waiting, for_pair, with_changes


class PairDraft(PairRecords):
    """One conversation's pair while its events are planned."""

    def __init__(self, conversation_id: str, pair: Pair) -> None:
        """Raises UnreadableDocument."""
        super().__init__(conversation_id, pair)
        self._revisions: list[Document] = []
        self._waits = pair.waits
        self._own_waits: list[WaitSighting] = []
        self._announcements: list[Announcement] = []
        self.gaps_given_up = 0
        """How many gaps of unobserved revisions count as observed because a document has too many of them."""
        self._continued = self.state.waiting

    # Observing events

    def observe(self, event: Event, *, store_snapshot: bool) -> None:
        """Take the event's revision and its shared fields into the state. `store_snapshot`: the event's snapshot is
        stored if the document is missing or has an older revision."""
        # The comparison needs the document before the snapshot replaces it.
        compared = {} if event.changed_fields is not None else self._compared_fields(event)
        if store_snapshot:
            self._take_in(event)
        active = self._active()
        item = None if active is None else active.noun()
        if item is not None:
            # The active work-item is the pair's also if its number equals the state's. The state must name it before
            # an event of it is observed.
            self.state = for_pair(self.state, item)
        before = self.state
        changed = frozenset([name for name, differs in compared.items() if differs])
        observation = event.observation(changed, all_changes_known=len(compared) == len(FIELDS))
        self.state = observe(before, observation)
        if gave_up_gap(before, self.state):
            self.gaps_given_up += 1

    def _compared_fields(self, event: Event) -> Mapping[Field, bool]:
        """For an update without `changes`: for each field that a comparison can tell, whether the write changed it.

        The event's snapshot is compared with the stored document one revision older or, of a conversation, with the
        views of the state.
        """
        stored = self._document(event)
        if stored is not None and rev_of(stored) == event.rev - 1:
            old, new = _shared_values(event.side, stored), _shared_values(event.side, _snapshot(event))
            return {name: old[name] != new[name] for name in FIELDS}
        return changes_since_view(self.state, event.values, event.rev)

    def awaits_predecessor(self, event: Event) -> bool:
        """True if the event is of a new active work-item while the conversation's previous one is still active."""
        active = self._active()
        if event.side != "work-item" or active is None or not self._is_superseded(event):
            return False
        item = active.noun()
        assert item is not None, "the active slot holds a document"
        number = item.number
        # If the event has no number, or the stored one's, the numbers show no order. A creation then is of the later
        # work-item, because the other one is already stored.
        later = event.work_item_number > number or (event.creation and event.work_item_number in (0, number))
        return later and self._document(event) is None and bool(_snapshot(event)["active"])

    def _take_in(self, event: Event) -> None:
        stored = self._document(event)
        if event.deletion and stored is not None and self.state.conversation_inserted:
            # Its owner had removed the conversation, or does not write this database: nothing else removes its text.
            mark = deletion_mark(stored, event.rev)
            if mark != stored:
                self._conversation.put(mark)
            return
        if stored is not None and rev_of(stored) >= event.rev:
            return
        snapshot = _snapshot(event)
        if event.side == "conversation":
            # A conversation that was stored once and is gone was deleted: no late event brings it back.
            was_stored = self.state.conversation_rev > 0 or self.state.deleted_rev is not None
            if event.deletion and self._conversation.loaded is None:
                # Nor does the deletion, or an event of the same batch, store what its owner has removed.
                self._conversation.put(None)
            elif stored is not None or not (was_stored or event.deletion):
                self._conversation.put(snapshot)
        elif not (self._is_superseded(event) and snapshot["active"]):
            slot = self._work_items.get(event.document_id)
            if slot is None:
                slot = DraftDocument(read=work_item_of, loaded=None, current=None)
                self._work_items[event.document_id] = slot
            slot.put(snapshot)

    # Applying decisions

    def apply(
        self, decided: PairDecision, item: WorkItem | None, cause: AnnouncementCause, planning: PlanningContext
    ) -> tuple[Announcement, ...]:
        """Write the decision's documents and state; the announcements of its writes, the work-item's first.

        `item` is the work-item that the decision was made about.
        """
        announced: list[Announcement] = []
        reasons = decided.decision.reasons
        if isinstance(decided.command, Applied):
            assert item is not None, "the commands run only on a work-item that was read"
            slot = self._work_items[item.id]
            before, after = slot.current, self._put_work_item(slot, item, decided.command.after)
            assert before is not None, "a work-item is written only after it was read"
            why = (*(each for each in reasons if each.action is ReasonAction.SYNC_WORK_ITEM), decided.command.reason)
            announced.append(
                new_announcement("work-item", before=before, after=after, reasons=why, cause=cause, planning=planning)
            )
        fields = decided.decision.conversation_fields
        if fields is not None:
            before, after = self.write_conversation(fields, now=planning.now)
            why = tuple(each for each in reasons if each.action is ReasonAction.SYNC_CONVERSATION)
            announced.append(
                new_announcement(
                    "conversation", before=before, after=after, reasons=why, cause=cause, planning=planning
                )
            )
        self._announcements += announced
        self.state = decided.state
        return tuple(announced)

    def write_conversation(self, fields: Mapping[str, Any], *, now: datetime) -> tuple[Document, Document]:
        """Write the fields to the conversation's document; returns it as it was and as it is."""
        before = self._conversation.current
        assert before is not None, "a conversation is written only after it was read"
        rev = next_rev(rev_of(before), self.state.conversation_observed, self.state.conversation_floor)
        after = updated_conversation_document(before, fields, now=now, rev=rev)
        self._conversation.put(after)
        return before, after

    def write_work_item(self, before: WorkItem, after: WorkItem) -> tuple[Document, Document]:
        """Write the changed work-item to its document; returns it as it was and as it is."""
        slot = self._work_items[before.id]
        document = slot.current
        assert document is not None, "a work-item is written only after it was read"
        return document, self._put_work_item(slot, before, after)

    def add_work_item(self, item: WorkItem, document: Document) -> None:
        """Add a new work-item with its document."""
        slot = DraftDocument(read=work_item_of, loaded=None, current=None)
        slot.put(document, item)
        self._work_items[item.id] = slot
        if item.last_revision is not None:
            self._revisions.append(self._revision_record(document))

    def announce(self, announcement: Announcement) -> None:
        """Add an outbox entry."""
        self._announcements.append(announcement)

    def wait(self, *, queue_now: datetime) -> None:
        """Let the pair wait without a field that waits: an event that is on its way decides a creation. A wait that was
        loaded goes on."""
        conversation = self.conversation()
        assert conversation is not None, "only a stored conversation gets a work-item"
        begun = Waiting(
            since=queue_now,
            conversation_rev=conversation.rev,
            work_item_rev=self.state.work_item_rev,
            values=shared_values(conversation),
        )
        self.state = replace(self.state, waiting=self._continued or begun)

    def note_no_pair(self) -> None:
        """End the waiting: without a pair no field can wait."""
        if self.state.waiting is not None:
            self.state = replace(self.state, waiting=None)

    def end_waiting(self) -> None:
        """Count the revisions that the pair waits for as observed: the watermark says that they will not come."""
        conversation = self.conversation()
        self._continued = None
        if conversation is not None:
            self.state = after_waiting(self.state, conversation)

    # Becoming the plan

    def plan(self, *, now: datetime) -> Plan:
        """The whole draft as one plan; an empty one where nothing changed."""
        state = with_stored_revisions(self.state, self.conversation(), self.pair_item(), now=now)
        conversation = self._conversation.write()
        if conversation is not None and conversation.before is None:
            state = replace(state, conversation_inserted=True)
        written = [slot for slot in self._work_items.values() if slot.current is not slot.loaded]
        waits, state = self._wait_writes(state)
        changed = conversation is not None or written or waits or state != self._loaded_state
        return Plan(
            conversation_id=self.conversation_id,
            conversation=conversation,
            work_items=tuple(write for slot in written if (write := slot.write()) is not None),
            state=replace(state, version=self._loaded_state.version + 1) if changed else None,
            revisions=tuple(self._revisions),
            waits=waits,
            moves=tuple(move for slot in written if (move := _move(slot)) is not None),
            announcements=tuple(self._announcements),
        )

    def _put_work_item(self, slot: DraftDocument[WorkItem], before: WorkItem, after: WorkItem) -> Document:
        """Write the work-item's document, and the record of its queue pass where the pass changed."""
        assert slot.current is not None, "a work-item is written only after it was read"
        document = updated_work_item_document(slot.current, before, after)
        slot.put(document, after)
        if after.last_revision != before.last_revision:
            self._revisions.append(self._revision_record(document))
            if before.status is Status.QUEUED:
                own = wait_of_document(document, left=before.queue)
                self._own_waits += [] if own is None else [own]
        return document

    def _wait_writes(self, state: SyncState) -> tuple[tuple[DocumentWrite, ...], SyncState]:
        """The records of waits to write, and the state that names one of them."""
        if self._waits is None:
            return (), state
        writes, recorded = wait_writes(self.conversation_id, self._waits, self._own_waits, state.recorded_wait)
        return writes, with_changes(state, recorded_wait=recorded)

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
            # The same time as a date: MongoDB's time-to-live index takes nothing else.
            "createdAt": parse_instant(document["attributes"]["updatedAt"]),
        }


def _shared_values(side: Side, document: Document) -> dict[Field, Any]:
    if side == "conversation":
        return shared_values(conversation_of(document))
    return work_item_values(work_item_of(document))


def _snapshot(event: Event) -> dict[str, Any]:
    return document_from_snapshot(event.data, org=event.org, rev=event.rev, deletion=event.deletion)


def _move(slot: DraftDocument[WorkItem]) -> SessionMove | None:
    """The session move of a written work-item."""
    after = slot.noun()
    assert after is not None, "a written slot holds a document"
    return move_between(slot.loaded_noun(), after)
