"""What is read for a batch: which documents the ones at hand name, and how the pairs are put together of them.

Pure, and the same for every store, so that the stores can differ only in how they read.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from msgspec import Struct

from commands.context import CommandContext
from handlers.ports import Document, LoadRequest, Pair
from worker.store.documents import queue_of, session_of
from worker.store.state_document import state_of


class BatchDocuments(Struct, frozen=True, kw_only=True):
    """By `_id`: state documents, conversations, and work-items, the active ones of the conversations, the wanted and
    those that the states name.

    States are read first: documents that are newer than their state meet its version when they are written, while a
    state newer than its documents would have them judged by what they do not hold yet.
    """

    states: Mapping[str, Document]
    conversations: Mapping[str, Document]
    work_items: Mapping[str, Document]


def named_work_items(requests: Iterable[LoadRequest], states: Mapping[str, Document]) -> list[str]:
    """The work-items that the wants name, and those that the states do: the pair's, where it is completed."""
    wanted = set[str]().union(*(request.work_item_ids for request in requests))
    named = (document["workItem"]["id"] for document in states.values())
    return sorted(wanted.union(key for key in named if isinstance(key, str)))


class NamedContext(Struct, frozen=True, kw_only=True):
    """The queues and the users whose sessions a batch's commands can meet."""

    queues: Sequence[str]
    users: Sequence[str]


def named_context(requests: Iterable[LoadRequest], reading: BatchDocuments) -> NamedContext:
    """What the wants and the stored documents name, of those pairs that do not agree on all of it already."""
    active = _active(reading)
    queues: set[str] = set()
    users: set[str] = set()
    for request in requests:
        conversation = reading.conversations.get(request.conversation_id)
        items = _items(request, reading, active)
        if _agreed(request, conversation, items):
            continue
        queues.update(request.queues, *map(_queue, items))
        users.update(request.users)
        if conversation is not None:
            queues.update(_queue(conversation))
            users.update(_assigned_users(conversation))
    return NamedContext(queues=sorted(queues), users=sorted(users))


def _agreed(request: LoadRequest, conversation: Document | None, items: Iterable[Document]) -> bool:
    """True where the events and the stored documents name the same user and queue: most events change neither."""
    if not request.unanimous or conversation is None:
        return False
    if _assigned_users(conversation) != request.users or _queue(conversation) != request.queues:
        return False
    return all(_queue(item) == request.queues and _is_with(item, request.users) for item in items)


def _is_with(item: Document, users: frozenset[str]) -> bool:
    assigned = _linked(item, "assignedTo")
    return bool(assigned & users) if users else not assigned


def context_of(queues: Iterable[Mapping[str, Any]], sessions: Iterable[Mapping[str, Any]]) -> CommandContext:
    """The surroundings that the documents of queues and sessions make."""
    return CommandContext(
        queues={document["_id"]: queue_of(document) for document in queues},
        sessions={session.id: session for session in map(session_of, sessions) if session is not None},
    )


def pairs_of(requests: Sequence[LoadRequest], reading: BatchDocuments, context: CommandContext) -> dict[str, Pair]:
    """A pair for every want: its active work-item, the wanted ones and the one its state names, in the order of their
    ids."""
    active = _active(reading)
    return {request.conversation_id: _pair(request, reading, active, context) for request in requests}


def _pair(request: LoadRequest, reading: BatchDocuments, active: Mapping[str, str], context: CommandContext) -> Pair:
    return Pair(
        conversation=reading.conversations.get(request.conversation_id),
        work_items=_items(request, reading, active),
        state=state_of(reading.states.get(request.conversation_id)),
        context=context,
    )


def _active(reading: BatchDocuments) -> dict[str, str]:
    """The active work-items by conversation."""
    return {
        conversation: key
        for key, item in reading.work_items.items()
        if item.get("active") is True and isinstance(conversation := item.get("conversationId"), str)
    }


def _items(request: LoadRequest, reading: BatchDocuments, active: Mapping[str, str]) -> tuple[Document, ...]:
    key, found = request.conversation_id, reading.work_items
    state = reading.states.get(key)
    named = None if state is None else state["workItem"]["id"]
    ids = {active.get(key), named if isinstance(named, str) else None, *request.work_item_ids} - {None}
    return tuple(found[item] for item in sorted(filter(None, ids)) if item in found)


def _queue(document: Document) -> set[str]:
    return _linked(document, "queue")


def _linked(document: Document, name: str) -> set[str]:
    """The id that a relationship names; whoever wrote the document, by what is no id nothing is looked up."""
    target: Any = document
    for step in ("relationships", name, "data", "id"):
        # What a driver or a parser makes is a dict; to ask for any mapping takes five times as long.
        target = target.get(step) if isinstance(target, dict) else None
    return {target} if isinstance(target, str) else set()


def _assigned_users(conversation: Document) -> set[str]:
    match conversation.get("attributes"):
        case {"assignedUsers": [*users]}:
            return {user for user in users if isinstance(user, str)}
        case _:
            return set()
