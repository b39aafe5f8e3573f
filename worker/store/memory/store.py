"""The store, the outbox and the sync states by age in memory, for tests, simulations and replay.

A commit executes the same steps as in MongoDB (store/transaction/steps.py), in order and under the same conditions. It
undoes all of them if one condition does not hold. Two ends of a transaction need a server and never happen here: an
unknown result, and a write conflict with a transaction that is still open.

Documents are shared with the caller. The store never changes one in place, and the caller must not either.
"""

import heapq
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, assert_never

from msgspec.structs import replace

from commands.context import CommandContext, RoutingQueue
from commands.instant import format_instant, parse_instant
from commands.session import Session
from handlers.ports import Announcement, CommitResult, Document, LoadRequest, Pair, Plan, PlanRejected
from sync.state.sync_state import SyncState
from worker.ports.outbox import OutboxBacklog
from worker.ports.sync_states import WaitingBacklog
from worker.store.documents import Collection, OutboxEntryStatus, announcement_from_document
from worker.store.memory.journal import Journal
from worker.store.pair_assembly import (
    BatchDocuments,
    context_keys,
    creating_conversations,
    pairs_of,
    wait_ids,
    wait_sightings,
    with_waits,
    work_item_ids_to_read,
)
from worker.store.state_document import state_document, state_of
from worker.store.transaction.bson_limits import rejection_reason
from worker.store.transaction.changed_paths import with_paths
from worker.store.transaction.result import TransactionEnd, TransactionResult
from worker.store.transaction.session_changes import SessionChange, changed_session, is_pending_place_taken
from worker.store.transaction.steps import (
    DocumentChange,
    DocumentChanges,
    DocumentInserts,
    SessionChanges,
    TransactionStep,
    check_plan,
    transaction_steps,
)

_COMMITTED: Final = TransactionResult(end=TransactionEnd.COMMITTED)
_LOST: Final = TransactionResult(end=TransactionEnd.LOST)


class MemoryStore:
    """The ports `Store` (handlers/ports.py), `Outbox` and `SyncStatesByAge` (worker/ports/); it can be seeded."""

    def __init__(self) -> None:
        """Empty."""
        self._documents: dict[Collection, dict[str, Document]] = {collection: {} for collection in Collection}
        self._active: dict[Any, str] = {}
        self._queues: dict[str, RoutingQueue] = {}
        self._sessions: dict[str, Session] = {}
        self._journal = Journal()

    @classmethod
    def seeded(cls, pairs: Mapping[str, Pair]) -> "MemoryStore":
        """A store that holds these pairs, by conversation id, and nothing else: what `load` returns, stored again.

        Raises `ValueError` for two active work-items of one conversation.
        """
        store = cls()
        for conversation_id, pair in pairs.items():
            if pair.conversation is not None:
                store.put_conversation(pair.conversation)
            for document in pair.work_items:
                store.put_work_item(document)
            store.put_state(conversation_id, pair.state)
            store._queues.update(pair.context.queues)
            store._sessions.update(pair.context.sessions)
        return store

    def copy(self) -> "MemoryStore":
        """Another store with the same content; later writes to one do not show in the other."""
        other = MemoryStore()
        other._documents = {collection: dict(documents) for collection, documents in self._documents.items()}
        other._active = dict(self._active)
        other._queues = dict(self._queues)
        other._sessions = dict(self._sessions)
        return other

    # Store

    async def load(self, requests: Sequence[LoadRequest]) -> Mapping[str, Pair]:
        """The pairs by conversation id, one for every request."""
        ids = [request.conversation_id for request in requests]
        active = [self._active[key] for key in ids if key in self._active]
        states = self._found(Collection.SYNC_STATES, ids)
        reading = BatchDocuments(
            states=states,
            conversations=self._found(Collection.CONVERSATIONS, ids),
            work_items=self._found(Collection.WORK_ITEMS, (*active, *work_item_ids_to_read(requests, states))),
        )
        sightings = wait_sightings(requests, reading)
        reading = with_waits(reading, sightings, self._found(Collection.WAITS, wait_ids(sightings)))
        reading = replace(reading, latest=self._latest(creating_conversations(requests, reading)))
        named = context_keys(requests, reading)
        context = CommandContext(
            queues={key: self._queues[key] for key in named.queues if key in self._queues},
            sessions={key: each for key, each in self._sessions.items() if each.active and each.user in named.users},
        )
        return pairs_of(requests, reading, context)

    async def commit(self, plans: Sequence[Plan]) -> Sequence[CommitResult | PlanRejected]:
        """The result of each plan, in order. Raises `ValueError` for a plan that writes documents and no state."""
        for plan in plans:
            check_plan(plan)
        full = [plan for plan in plans if not plan.empty]
        if self._attempt(full) is _COMMITTED:
            return [CommitResult.COMMITTED] * len(plans)
        return [self._result(plan) for plan in plans]

    # Outbox

    async def waiting_entries(
        self, older_than: datetime, limit: int, *, skip: int = 0, or_after: datetime | None = None
    ) -> Sequence[Announcement]:
        """At most `limit` entries created before `older_than` or after `or_after`, oldest first."""
        entries = (
            entry
            for entry in self._waiting()
            if entry.created_at < older_than or (or_after is not None and entry.created_at > or_after)
        )
        return heapq.nsmallest(skip + limit, entries, key=lambda entry: entry.created_at)[skip:]

    async def remove_entries(self, ids: Iterable[str]) -> None:
        """Remove the entries; an id that is not stored is ignored."""
        for entry_id in ids:
            self._documents[Collection.OUTBOX].pop(entry_id, None)

    async def set_aside(self, entry_id: str, reason: str) -> None:
        """Keep the entry with the reason, so that it waits no more; an id that is not stored is ignored."""
        entries = self._documents[Collection.OUTBOX]
        if entry_id in entries:
            entries[entry_id] = {**entries[entry_id], "status": OutboxEntryStatus.SET_ASIDE.value, "reason": reason}

    async def backlog(self) -> OutboxBacklog:
        """The counts of waiting and set-aside entries, and when the oldest waiting one was created."""
        waiting = self._waiting()
        return OutboxBacklog(
            count=len(waiting),
            oldest=min((entry.created_at for entry in waiting), default=None),
            set_aside=len(self._documents[Collection.OUTBOX]) - len(waiting),
        )

    # Sync states by age

    async def waiting_since_before(self, instant: datetime, limit: int) -> Sequence[str]:
        """The conversation ids of at most `limit` pairs that have waited since before `instant`, oldest first."""
        return [state["_id"] for state in self._stamped("waitingSince", instant, limit)]

    async def waiting_backlog(self) -> WaitingBacklog:
        """How many pairs wait, and since when the oldest has waited."""
        since = [text for state in self._states.values() if (text := state["waitingSince"]) is not None]
        return WaitingBacklog(count=len(since), oldest=parse_instant(min(since)) if since else None)

    async def remove_finished(self, before: datetime, limit: int) -> int:
        """Remove the states of at most `limit` pairs that finished before `before`; returns how many."""
        over = self._stamped("finishedAt", before, limit)
        for state in over:
            del self._states[state["_id"]]
        return len(over)

    # Seeding and inspection, for tests, simulations and replay

    def put_conversation(self, document: Document) -> None:
        """Store the conversation, whether or not it is stored already."""
        self._documents[Collection.CONVERSATIONS][document["_id"]] = document

    def remove_conversation(self, conversation_id: str) -> None:
        """Remove the conversation, as its owner does with a hard deletion."""
        del self._documents[Collection.CONVERSATIONS][conversation_id]

    def remove_work_item(self, work_item_id: str) -> None:
        """Remove the work-item, as a person does in the shell."""
        table = self._documents[Collection.WORK_ITEMS]
        document = table.pop(work_item_id)
        if document.get("active") is True:
            del self._active[document.get("conversationId")]

    def put_work_item(self, document: Document) -> None:
        """Store the work-item. Raises `ValueError` for a second active work-item of its conversation."""
        if not self._write_document(Collection.WORK_ITEMS, document):
            self._journal.roll_back()
            raise ValueError(f"conversation {document.get('conversationId')} has another active work-item")
        self._journal.keep()

    def put_state(self, conversation_id: str, state: SyncState) -> None:
        """Store the sync state with the version that it has; version 0 is the state that no store holds."""
        if state.version:
            self._states[conversation_id] = state_document(conversation_id, state)
        else:
            self._states.pop(conversation_id, None)

    def put_state_document(self, document: Document) -> None:
        """Store the document of a sync state, whether or not one is stored already."""
        self._states[document["_id"]] = document

    def put_queue(self, queue: RoutingQueue) -> None:
        """Store the queue, whether or not it is stored already."""
        self._queues[queue.id] = queue

    def put_session(self, session: Session) -> None:
        """Store the session, whether or not it is stored already."""
        self._sessions[session.id] = session

    def conversation(self, conversation_id: str) -> Document | None:
        """The stored document, not to be changed in place, or None."""
        return self._documents[Collection.CONVERSATIONS].get(conversation_id)

    def work_item(self, work_item_id: str) -> Document | None:
        """The stored document, not to be changed in place, or None."""
        return self._documents[Collection.WORK_ITEMS].get(work_item_id)

    def state(self, conversation_id: str) -> SyncState:
        """The stored sync state, or the empty one."""
        return state_of(self._states.get(conversation_id))

    def session(self, session_id: str) -> Session | None:
        """The stored session, or None."""
        return self._sessions.get(session_id)

    def sessions(self) -> Sequence[Session]:
        """The stored sessions."""
        return tuple(self._sessions.values())

    def documents(self, collection: Collection) -> Sequence[Document]:
        """A collection's documents in the order of their first write. It holds neither queues nor sessions."""
        return tuple(self._documents[collection].values())

    # Steps

    def _result(self, plan: Plan) -> CommitResult | PlanRejected:
        if plan.empty:
            return CommitResult.COMMITTED
        result = self._attempt([plan])
        match result.end:
            case TransactionEnd.COMMITTED:
                return CommitResult.COMMITTED
            case TransactionEnd.REJECTED:
                return PlanRejected(conversation_id=plan.conversation_id, reason=result.reason)
            case TransactionEnd.LOST | TransactionEnd.DISTURBED | TransactionEnd.UNKNOWN:
                return CommitResult.CONFLICT
            case _:
                assert_never(result.end)

    def _attempt(self, plans: Sequence[Plan]) -> TransactionResult:
        """Execute all of `plans`, or nothing."""
        for step in transaction_steps(plans, commit_id=""):
            result = self._execute(step)
            if result is not _COMMITTED:
                self._journal.roll_back()
                return result
        self._journal.keep()
        return _COMMITTED

    def _execute(self, step: TransactionStep) -> TransactionResult:
        match step:
            case DocumentInserts():
                return _all(self._insert(step.collection, document) for document in step.documents)
            case DocumentChanges():
                return _all(self._change(step.collection, change) for change in step.changes)
            case SessionChanges():
                return _all(map(self._change_session, step.changes))
            case _:
                assert_never(step)

    def _insert(self, collection: Collection, document: Document) -> TransactionResult:
        if (reason := rejection_reason(document)) is not None:
            return TransactionResult(end=TransactionEnd.REJECTED, reason=reason)
        if document["_id"] in self._documents[collection]:
            return _LOST
        return _COMMITTED if self._write_document(collection, document) else _LOST

    def _change(self, collection: Collection, change: DocumentChange) -> TransactionResult:
        stored = self._documents[collection].get(change.id)
        after = stored if stored is None else with_paths(stored, change.paths)
        if (reason := rejection_reason(change.paths.set if after is None else after)) is not None:
            return TransactionResult(end=TransactionEnd.REJECTED, reason=reason)
        condition_field, expected = change.condition_field, change.expected
        if stored is None or after is None or stored.get(condition_field) != expected:
            return _LOST
        return _COMMITTED if self._write_document(collection, after) else _LOST

    def _change_session(self, change: SessionChange) -> TransactionResult:
        session = self._sessions.get(change.session)
        if session is not None and is_pending_place_taken(session, change):
            return _LOST
        if session is not None:
            self._journal.write(self._sessions, change.session, changed_session(session, change))
        return _COMMITTED

    def _write_document(self, collection: Collection, document: Document) -> bool:
        """Returns False, and writes nothing, where a second work-item of the conversation would become active."""
        key = document["_id"]
        if collection is Collection.WORK_ITEMS and not self._claim(self._documents[collection].get(key), document):
            return False
        self._journal.write(self._documents[collection], key, document)
        return True

    def _claim(self, before: Document | None, after: Document) -> bool:
        """Moves the work-item in the index of active ones; False where another work-item is the active one."""
        if before is not None and before.get("active") is True:
            self._journal.write(self._active, before.get("conversationId"), None)
        if after.get("active") is not True:
            return True
        if after.get("conversationId") in self._active:
            return False
        self._journal.write(self._active, after.get("conversationId"), after["_id"])
        return True

    def _latest(self, conversation_ids: Sequence[str]) -> dict[str, Document]:
        """The work-item with the highest number of each conversation."""
        latest: dict[str, Document] = {}
        for key in conversation_ids:
            items = [item for item in self._work_items if item.get("conversationId") == key]
            if items:
                latest[key] = max(items, key=lambda item: item.get("workItemNumber") or 0)
        return latest

    def _found(self, collection: Collection, ids: Iterable[str]) -> dict[str, Document]:
        stored = self._documents[collection]
        return {key: stored[key] for key in ids if key in stored}

    @property
    def _work_items(self) -> Iterable[Document]:
        return self._documents[Collection.WORK_ITEMS].values()

    @property
    def _states(self) -> dict[str, Document]:
        return self._documents[Collection.SYNC_STATES]

    def _stamped(self, name: str, before: datetime, limit: int) -> list[Document]:
        """At most `limit` states whose time `name` is before `before`, oldest first; times as text sort like times."""
        end = format_instant(before)
        found = (state for state in self._states.values() if state[name] is not None and state[name] < end)
        return heapq.nsmallest(limit, found, key=lambda state: str(state[name]))

    def _waiting(self) -> list[Announcement]:
        entries = self._documents[Collection.OUTBOX].values()
        return [
            announcement_from_document(entry) for entry in entries if entry["status"] == OutboxEntryStatus.WAITING.value
        ]


def _all(results: Iterable[TransactionResult]) -> TransactionResult:
    """The first result that is not COMMITTED. Later changes are not executed."""
    return next((result for result in results if result is not _COMMITTED), _COMMITTED)
