"""The store and the outbox in memory, for tests, simulations and replay: the same conditions, no server, no chance.

Carries out the very steps that go to MongoDB, one after the other, and takes them back if one does not hold. Documents
are shared with the caller and never changed in place, so they cost nothing to keep; the caller must not change them
either. Leaves out what only a server has: being away, and being disturbed.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import bson
from pymongo.errors import DocumentTooLarge

from commands.context import CommandContext, RoutingQueue
from commands.instant import format_instant, parse_instant
from commands.session import Session
from handlers.ports import Announcement, Committed, Document, LoadRequest, Pair, Plan, PlanRejected
from sync.state import SyncState
from worker.mongo.errors import UNENCODABLE, ended
from worker.ports import OutboxBacklog, WaitingBacklog
from worker.store.changed_paths import ChangedPaths
from worker.store.documents import Collection, OutboxEntryStatus, announcement_of
from worker.store.journal import Journal
from worker.store.pair_assembly import BatchDocuments, named_context, named_work_items, pairs_of
from worker.store.session_changes import SessionChange, changed_session
from worker.store.state_document import state_of
from worker.store.transaction_result import DOCUMENT_BYTES_MAX, TransactionEnd, TransactionResult
from worker.store.transaction_steps import DocumentChanges, DocumentInserts, TransactionStep, check_plan, steps_of


class MemoryStore:
    """`handlers.ports.Store`, `worker.outbox.Outbox`, `worker.waiting.WaitingPairs` at once, and a way in and out."""

    def __init__(self) -> None:
        """Empty."""
        self._documents: dict[Collection, dict[str, Document]] = {collection: {} for collection in Collection}
        self._active: dict[Any, str] = {}
        self._queues: dict[str, RoutingQueue] = {}
        self._sessions: dict[str, Session] = {}
        self._journal = Journal()

    def copy(self) -> "MemoryStore":
        """Another store that holds the same and goes its own way; the documents, never changed in place, are shared."""
        other = MemoryStore()
        other._documents = {collection: dict(documents) for collection, documents in self._documents.items()}
        other._active = dict(self._active)
        other._queues = dict(self._queues)
        other._sessions = dict(self._sessions)
        return other

    # Store

    async def load(self, requests: Sequence[LoadRequest]) -> Mapping[str, Pair]:
        """The pairs by conversation id, one for every want."""
        ids = [request.conversation_id for request in requests]
        active = [self._active[key] for key in ids if key in self._active]
        states = self._found(Collection.SYNC_STATES, ids)
        reading = BatchDocuments(
            states=states,
            conversations=self._found(Collection.CONVERSATIONS, ids),
            work_items=self._found(Collection.WORK_ITEMS, (*active, *named_work_items(requests, states))),
        )
        named = named_context(requests, reading)
        context = CommandContext(
            queues={key: self._queues[key] for key in named.queues if key in self._queues},
            sessions={key: each for key, each in self._sessions.items() if each.active and each.user in named.users},
        )
        return pairs_of(requests, reading, context)

    async def commit(self, plans: Sequence[Plan]) -> Sequence[Committed | PlanRejected]:
        """Each plan's fate, in order."""
        for plan in plans:
            check_plan(plan)
        full = [plan for plan in plans if not plan.empty]
        if self._attempt(full).end is TransactionEnd.COMMITTED:
            return [Committed.COMMITTED] * len(plans)
        return [self._fate(plan) for plan in plans]

    # Outbox

    async def waiting(
        self, older_than: datetime, limit: int, *, skip: int = 0, or_after: datetime | None = None
    ) -> Sequence[Announcement]:
        """At most `limit` entries created before `older_than` or after `or_after`, oldest first."""
        entries = (
            entry
            for entry in self._waiting()
            if entry.created_at < older_than or (or_after is not None and entry.created_at > or_after)
        )
        return heapq.nsmallest(skip + limit, entries, key=lambda entry: entry.created_at)[skip:]

    async def sent(self, ids: Iterable[str]) -> None:
        """Remove them; one that is gone already is gone."""
        for entry_id in ids:
            self._documents[Collection.OUTBOX].pop(entry_id, None)

    async def set_aside(self, entry_id: str, reason: str) -> None:
        """Keep it, with the reason, and let it wait no more; nothing happens if it is gone."""
        entries = self._documents[Collection.OUTBOX]
        if entry_id in entries:
            entries[entry_id] = {**entries[entry_id], "status": OutboxEntryStatus.SET_ASIDE.value, "reason": reason}

    async def backlog(self) -> OutboxBacklog:
        """What is left now."""
        waiting = self._waiting()
        return OutboxBacklog(
            count=len(waiting),
            oldest=min((entry.created_at for entry in waiting), default=None),
            set_aside=len(self._documents[Collection.OUTBOX]) - len(waiting),
        )

    # Waiting pairs

    async def waiting_longer(self, than: datetime, limit: int) -> Sequence[str]:
        """The conversations of at most `limit` pairs that wait since before `than`, oldest first."""
        return [state["_id"] for state in self._stamped("waitingSince", than, limit)]

    async def waiting_backlog(self) -> WaitingBacklog:
        """All that wait now."""
        since = [text for state in self._states.values() if (text := state["waitingSince"]) is not None]
        return WaitingBacklog(count=len(since), oldest=parse_instant(min(since)) if since else None)

    async def forget(self, before: datetime, limit: int) -> int:
        """Remove the states of at most `limit` pairs that finished before `before`; how many went."""
        over = self._stamped("finishedAt", before, limit)
        for state in over:
            del self._states[state["_id"]]
        return len(over)

    # For tests, simulations and replay: what is there from the start, and what came of it

    def put_conversation(self, document: Document) -> None:
        """Store it, whatever was there."""
        self._documents[Collection.CONVERSATIONS][document["_id"]] = document

    def put_work_item(self, document: Document) -> None:
        """Store it, whatever was there; `ValueError` for a second active one of its conversation."""
        if not self._write_document(Collection.WORK_ITEMS, document):
            self._journal.take_back()
            raise ValueError(f"conversation {document.get('conversationId')} has another active work-item")
        self._journal.keep()

    def put_queue(self, queue: RoutingQueue) -> None:
        """Store it, whatever was there."""
        self._queues[queue.id] = queue

    def put_session(self, session: Session) -> None:
        """Store it, whatever was there."""
        self._sessions[session.id] = session

    def conversation(self, conversation_id: str) -> Document | None:
        """As stored; None: not stored. Not to be changed."""
        return self._documents[Collection.CONVERSATIONS].get(conversation_id)

    def work_item(self, work_item_id: str) -> Document | None:
        """As stored; None: not stored. Not to be changed."""
        return self._documents[Collection.WORK_ITEMS].get(work_item_id)

    def state(self, conversation_id: str) -> SyncState:
        """As stored; the empty one where there is none."""
        return state_of(self._states.get(conversation_id))

    def session(self, session_id: str) -> Session | None:
        """As stored; None: not stored."""
        return self._sessions.get(session_id)

    def documents(self, collection: Collection) -> Sequence[Document]:
        """All of one collection, in the order they were first written; none for queues and sessions, kept otherwise."""
        return tuple(self._documents[collection].values())

    # Steps

    def _fate(self, plan: Plan) -> Committed | PlanRejected:
        if plan.empty:
            return Committed.COMMITTED
        result = self._attempt([plan])
        match result.end:
            case TransactionEnd.COMMITTED:
                return Committed.COMMITTED
            case TransactionEnd.REJECTED:
                return PlanRejected(conversation_id=plan.conversation_id, reason=result.reason)
            case _:
                return Committed.CONFLICT

    def _attempt(self, plans: Sequence[Plan]) -> TransactionResult:
        """All of `plans`, or nothing of them."""
        result = TransactionResult(end=TransactionEnd.COMMITTED)
        try:
            if not all(self._carry_out(step) for step in steps_of(plans, commit_id="")):
                result = TransactionResult(end=TransactionEnd.LOST)
        except UNENCODABLE as fault:
            result = ended(fault)
        if result.end is TransactionEnd.COMMITTED:
            self._journal.keep()
        else:
            self._journal.take_back()
        return result

    def _carry_out(self, step: TransactionStep) -> bool:
        if isinstance(step, DocumentInserts):
            return all(self._insert(step.collection, document) for document in step.documents)
        if isinstance(step, DocumentChanges):
            return all(
                self._change(step.collection, each.id, each.guard, each.stands, each.paths) for each in step.changes
            )
        for change in step.changes:
            self._change_session(change)
        return True

    def _insert(self, collection: Collection, document: Document) -> bool:
        _check_encodable(document)
        if document["_id"] in self._documents[collection]:
            return False
        return self._write_document(collection, document)

    def _change(self, collection: Collection, key: str, guard: str, stands: int | None, paths: ChangedPaths) -> bool:
        stored = self._documents[collection].get(key)
        after = stored if stored is None else _applied(stored, paths)
        _check_encodable(paths.set if after is None else after)
        if stored is None or after is None or stored.get(guard) != stands:
            return False
        return self._write_document(collection, after)

    def _change_session(self, change: SessionChange) -> None:
        session = self._sessions.get(change.session)
        if session is not None:
            self._journal.write(self._sessions, change.session, changed_session(session, change))

    def _write_document(self, collection: Collection, document: Document) -> bool:
        """False where a second work-item of its conversation would become active."""
        key = document["_id"]
        if collection is Collection.WORK_ITEMS and not self._claim(self._documents[collection].get(key), document):
            return False
        self._journal.write(self._documents[collection], key, document)
        return True

    def _claim(self, before: Document | None, after: Document) -> bool:
        if before is not None and before.get("active") is True:
            self._journal.write(self._active, before.get("conversationId"), None)
        if after.get("active") is not True:
            return True
        if after.get("conversationId") in self._active:
            return False
        self._journal.write(self._active, after.get("conversationId"), after["_id"])
        return True

    def _found(self, collection: Collection, ids: Iterable[str]) -> dict[str, Document]:
        stored = self._documents[collection]
        return {key: stored[key] for key in ids if key in stored}

    @property
    def _states(self) -> dict[str, Document]:
        return self._documents[Collection.SYNC_STATES]

    def _stamped(self, name: str, before: datetime, limit: int) -> list[Document]:
        """At most `limit` states with that stamp from before then, oldest first; as text the stamps compare alike."""
        end = format_instant(before)
        found = (state for state in self._states.values() if state[name] is not None and state[name] < end)
        return heapq.nsmallest(limit, found, key=lambda state: str(state[name]))

    def _waiting(self) -> list[Announcement]:
        entries = self._documents[Collection.OUTBOX].values()
        return [announcement_of(entry) for entry in entries if entry["status"] == OutboxEntryStatus.WAITING.value]


def _applied(document: Document, paths: ChangedPaths) -> Document:
    """The document with the paths set and unset, one level below the top at most, as `changed_paths` makes them."""
    after = dict(document)
    for path, value in paths.set.items():
        level, _, name = path.partition(".")
        after[level] = {**after.get(level, {}), name: value} if name else value
    for path in paths.unset:
        level, _, name = path.partition(".")
        if not name:
            after.pop(level, None)
        elif level in after:
            after[level] = {each: value for each, value in after[level].items() if each != name}
    return after


def _check_encodable(document: Mapping[str, Any]) -> None:
    """Raises what pymongo raises for a document that the server cannot hold."""
    size = len(bson.encode(document))
    if size > DOCUMENT_BYTES_MAX:
        raise DocumentTooLarge(f"{size} bytes")
