"""The documents of a batch: which ones a store must read, and how pairs are assembled from them.

Both stores use this file, so they differ only in how they read.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct, field
from msgspec.structs import replace

from commands.context import CommandContext, RoutingQueue
from commands.session import Session
from commands.work_item import STATUS_ALIASES, Status
from handlers.documents.stored_forms import UnreadableDocument, unreadable
from handlers.ports import Document, LoadRequest, Pair, PairWaits, WaitSighting
from handlers.routing.waiting_times import best_sightings, is_recorded, wait_of_document
from sync.state.sync_state import SyncState
from worker.store.documents import queue_of, session_of
from worker.store.state_document import recorded_wait_of, state_of, work_item_id_of


class BatchDocuments(Struct, frozen=True, kw_only=True):
    """The documents of a batch, each kind by `_id`: sync states, conversations and work-items.

    The work-items are the active ones of the conversations, the requested ones, and those that the states name.

    A store reads the states before the other documents. If a document is newer than its state, the commit meets the
    state's newer version and conflicts. If a state were newer than its documents, the rules would judge the documents
    by revisions that they do not hold yet.
    """

    states: Mapping[str, Document]
    conversations: Mapping[str, Document]
    work_items: Mapping[str, Document]
    latest: Mapping[str, Document] = field(default_factory=dict)
    """By conversation id: the latest work-item of a conversation that may get a new one."""
    unreadable: Mapping[str, str] = field(default_factory=dict)
    """By conversation id: why a document that belongs to the pair cannot be read."""
    waits: Mapping[str, PairWaits] = field(default_factory=dict)
    """By conversation id: the waits in queues, where the request asks for them."""


def work_item_ids_to_read(requests: Iterable[LoadRequest], states: Mapping[str, Document]) -> list[str]:
    """The work-items that the requests name and those that the states name; a completed one is no longer active."""
    requested = set[str]().union(*(request.work_item_ids for request in requests))
    named = map(work_item_id_of, states.values())
    return sorted(requested.union(key for key in named if key is not None))


def wait_sightings(requests: Iterable[LoadRequest], documents: BatchDocuments) -> dict[str, tuple[WaitSighting, ...]]:
    """By conversation id: the waits that events and stored work-items show, and that the state does not name as
    recorded. A conversation whose request asks for no waits is left out."""
    asking = [request for request in requests if request.waits is not None]
    if not asking:
        return {}
    active = _active_work_items(documents)
    sightings: dict[str, tuple[WaitSighting, ...]] = {}
    for request in asking:
        state = documents.states.get(request.conversation_id)
        recorded = None if state is None else recorded_wait_of(state)
        shown = map(wait_of_document, _pair_work_items(request, documents, active))
        found = (*(request.waits or ()), *(wait for wait in shown if wait is not None))
        sightings[request.conversation_id] = best_sightings(wait for wait in found if not is_recorded(wait, recorded))
    return sightings


def wait_ids(sightings: Mapping[str, Sequence[WaitSighting]]) -> list[str]:
    """The ids of the records to read for these waits."""
    return sorted({wait.id for waits in sightings.values() for wait in waits})


def with_waits(
    documents: BatchDocuments, sightings: Mapping[str, tuple[WaitSighting, ...]], recorded: Mapping[str, Document]
) -> BatchDocuments:
    """The documents with the waits of each pair. `recorded`: the records that are stored, by id."""
    if not sightings:
        return documents
    waits = {
        conversation_id: PairWaits(
            sightings=waits, recorded={wait.id: recorded[wait.id] for wait in waits if wait.id in recorded}
        )
        for conversation_id, waits in sightings.items()
    }
    return replace(documents, waits=waits)


def creating_conversations(requests: Iterable[LoadRequest], documents: BatchDocuments) -> list[str]:
    """The conversations that may get a new work-item: open ones without an active one. Their latest work-item is
    wanted, too."""
    asking = [request for request in requests if request.may_create]
    if not asking:
        return []
    active, stored = _active_work_items(documents), documents.conversations
    without = (request for request in asking if request.conversation_id not in active)
    return [each.conversation_id for each in without if each.opens or _is_open(stored.get(each.conversation_id))]


def _is_open(conversation: Document | None) -> bool:
    match conversation:
        case {"attributes": {"status": "open"}}:
            return True
        case _:
            return False


class ContextKeys(Struct, frozen=True, kw_only=True):
    """The ids of the queues, and of the users whose sessions a batch's commands may need."""

    queues: Sequence[str]
    users: Sequence[str]


def context_keys(requests: Iterable[LoadRequest], documents: BatchDocuments) -> ContextKeys:
    """The queues and users that requests and documents name. A pair whose events and documents agree needs none,
    unless its work-item is in wrap-up and may resume."""
    active = _active_work_items(documents)
    queues: set[str] = set()
    users: set[str] = set()
    for request in requests:
        conversation = documents.conversations.get(request.conversation_id)
        items = _pair_work_items(request, documents, active)
        creates = request.may_create and request.conversation_id not in active
        if not creates and _agree(request, conversation, items):
            continue
        queues.update(request.queues, *map(_queue_ids, items))
        # An agent whose session has ended resumes on another one (rule B10).
        users.update(request.users, *(_link_target(item, "assignedTo") for item in items if _in_wrap_up(item)))
        if request.places:
            users.update(*(_link_target(item, name) for item in items for name in ("assignedTo", "routedTo")))
        if conversation is not None:
            queues.update(_queue_ids(conversation))
            users.update(_assigned_users(conversation))
    return ContextKeys(queues=sorted(queues), users=sorted(users))


def _agree(request: LoadRequest, conversation: Document | None, items: Iterable[Document]) -> bool:
    """Whether the events and the stored documents name the same user and the same queue, as most of them do."""
    if not request.same_users_and_queues or conversation is None:
        return False
    if _assigned_users(conversation) != request.users or _queue_ids(conversation) != request.queues:
        return False
    return all(
        _queue_ids(item) == request.queues and _is_assigned_to(item, request.users) and not _in_wrap_up(item)
        for item in items
    )


def _is_assigned_to(item: Document, users: frozenset[str]) -> bool:
    assigned = _link_target(item, "assignedTo")
    return bool(assigned & users) if users else not assigned


def _in_wrap_up(item: Document) -> bool:
    match item.get("attributes"):
        case {"status": str(status)}:
            return STATUS_ALIASES.get(status) is Status.WRAP_UP
        case _:
            return False


def context_of(queues: Iterable[Document], sessions: Iterable[Document]) -> CommandContext:
    """The command context from the documents of queues and sessions. One that cannot be read fails only the commands
    that need it."""
    read_queues: dict[str, RoutingQueue] = {}
    read_sessions: dict[str, Session] = {}
    unreadable_queues: dict[str, str] = {}
    unreadable_sessions: dict[str, str] = {}
    for document in queues:
        try:
            read_queues[document["_id"]] = queue_of(document)
        except UnreadableDocument as fault:
            unreadable_queues[document["_id"]] = str(fault)
    for document in sessions:
        try:
            session = session_of(document)
            read_sessions[session.id] = session
        except UnreadableDocument as fault:
            unreadable_sessions.update(dict.fromkeys(_texts_in(document.get("user")), str(fault)))
    return CommandContext(
        queues=read_queues,
        sessions=read_sessions,
        unreadable_queues=unreadable_queues,
        unreadable_sessions=unreadable_sessions,
    )


def keyed(documents: Iterable[Document]) -> dict[str, Document]:
    """The documents by `_id`, without those whose `_id` is no text (`active_item_faults`)."""
    return {document["_id"]: document for document in documents if isinstance(document["_id"], str)}


def active_item_faults(work_items: Iterable[Document]) -> dict[str, str]:
    """By conversation id: why an active work-item that the query found for the conversation cannot be read.

    MongoDB finds a text and a truth value in a list, too, so an item may be found for several conversations.
    """
    faults: dict[str, str] = {}
    for item in work_items:
        of, active = item.get("conversationId"), item.get("active")
        if isinstance(of, str) and isinstance(item["_id"], str) and not isinstance(active, list):
            continue
        conversation_ids = _texts_in(of)
        is_found = active is True or (isinstance(active, list) and any(each is True for each in active))
        if is_found and conversation_ids:
            faults.update(dict.fromkeys(conversation_ids, str(_active_item_fault(item))))
    return faults


def _active_item_fault(item: Document) -> UnreadableDocument:
    if not isinstance(item.get("conversationId"), str):
        return unreadable(item, ("conversationId",), "a text")
    if item.get("active") is not True:
        return unreadable(item, ("active",), "true or false")
    return unreadable(item, ("_id",), "a text")


def _texts_in(value: object) -> list[str]:
    """The texts for which MongoDB finds the value: itself, or those in a list."""
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]


def with_foreign_ids(
    documents: BatchDocuments,
    requests: Iterable[LoadRequest],
    conversations: Mapping[str, Document],
    work_items: Mapping[str, Document],
) -> BatchDocuments:
    """The documents with a fault for each pair of which a document stands under another id than the text that events
    name. `conversations` and `work_items` have those, by that text."""
    if not conversations and not work_items:
        return documents
    faults = dict(documents.unreadable)
    for request in requests:
        found = [conversations.get(request.conversation_id), *map(work_items.get, sorted(request.work_item_ids))]
        for document in found:
            if document is not None:
                faults[request.conversation_id] = str(unreadable(document, ("_id",), "a text"))
    return replace(documents, unreadable=faults)


def pairs_of(requests: Sequence[LoadRequest], documents: BatchDocuments, context: CommandContext) -> dict[str, Pair]:
    """The pairs by conversation id, one for every request; work-items are in the order of their ids."""
    active = _active_work_items(documents)
    return {request.conversation_id: _assembled_pair(request, documents, active, context) for request in requests}


def _assembled_pair(
    request: LoadRequest, documents: BatchDocuments, active: Mapping[str, str], context: CommandContext
) -> Pair:
    conversation_id = request.conversation_id
    fault_text = documents.unreadable.get(conversation_id)
    try:
        state = state_of(documents.states.get(conversation_id))
    except UnreadableDocument as fault:
        state, fault_text = SyncState(), str(fault)
    work_items = _pair_work_items(request, documents, active)
    latest = documents.latest.get(conversation_id)
    if latest is not None and all(item["_id"] != latest["_id"] for item in work_items):
        work_items = (*work_items, latest)
    return Pair(
        conversation=documents.conversations.get(conversation_id),
        work_items=work_items,
        state=state,
        context=context,
        waits=documents.waits.get(conversation_id),
        latest_work_item=None if latest is None else latest["_id"],
        unreadable=fault_text,
    )


def _active_work_items(documents: BatchDocuments) -> dict[str, str]:
    """The ids of the active work-items by conversation id."""
    return {
        conversation: key
        for key, item in documents.work_items.items()
        if item.get("active") is True and isinstance(conversation := item.get("conversationId"), str)
    }


def _pair_work_items(
    request: LoadRequest, documents: BatchDocuments, active: Mapping[str, str]
) -> tuple[Document, ...]:
    key, found = request.conversation_id, documents.work_items
    state = documents.states.get(key)
    named = None if state is None else work_item_id_of(state)
    ids = {active.get(key), named, *request.work_item_ids} - {None}
    return tuple(found[item] for item in sorted(filter(None, ids)) if item in found)


def _queue_ids(document: Document) -> set[str]:
    return _link_target(document, "queue")


def _link_target(document: Document, name: str) -> set[str]:
    """The id that a relationship names, as a set of one; empty if there is none or it is not text.

    Other services write documents too, so every level is checked.
    """
    target: Any = document
    for step in ("relationships", name, "data", "id"):
        # Drivers and parsers make dicts, and `isinstance` with `Mapping` takes five times as long.
        target = target.get(step) if isinstance(target, dict) else None
    return {target} if isinstance(target, str) else set()


def _assigned_users(conversation: Document) -> set[str]:
    match conversation.get("attributes"):
        case {"assignedUsers": [*users]}:
            return {user for user in users if isinstance(user, str)}
        case _:
            return set()
