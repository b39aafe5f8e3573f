"""What is read for a batch: which documents the ones at hand name, and how the pairs are put together of them.

Pure, and the same for every store, so that the stores can differ only in how they read.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from commands.surroundings import Surroundings
from handlers.ports import Document, Pair, Want
from handlers.state_document import state_of
from worker.surroundings_document import queue_of, session_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """By `_id`: state documents, conversations, and work-items, the active ones of the conversations, the wanted and
    those that the states name.

    States are read first: documents that are newer than their state meet its version when they are written, while a
    state newer than its documents would have them judged by what they do not hold yet.
    """

    states: Mapping[str, Document]
    conversations: Mapping[str, Document]
    work_items: Mapping[str, Document]


def named_work_items(wants: Iterable[Want], states: Mapping[str, Document]) -> list[str]:
    """The work-items that the wants name, and those that the states do: the pair's, where it is completed."""
    wanted = set[str]().union(*(want.work_item_ids for want in wants))
    named = (document["workItem"]["id"] for document in states.values())
    return sorted(wanted.union(key for key in named if isinstance(key, str)))


def named_queues(wants: Iterable[Want], reading: Reading) -> list[str]:
    """The queues that the wants, the conversations and the work-items name."""
    wanted = set[str]().union(*(want.queues for want in wants))
    documents = (*reading.conversations.values(), *reading.work_items.values())
    return sorted(wanted.union(*map(_queue, documents)))


def named_users(wants: Iterable[Want], reading: Reading) -> list[str]:
    """The users that the wants name and those the conversations are assigned to."""
    wanted = set[str]().union(*(want.users for want in wants))
    return sorted(wanted.union(*map(_assigned_users, reading.conversations.values())))


def surroundings_of(queues: Iterable[Mapping[str, Any]], sessions: Iterable[Mapping[str, Any]]) -> Surroundings:
    """The surroundings that the documents of queues and sessions make."""
    return Surroundings(
        queues={document["_id"]: queue_of(document) for document in queues},
        sessions={session.id: session for session in map(session_of, sessions) if session is not None},
    )


def pairs_of(wants: Sequence[Want], reading: Reading, around: Surroundings) -> dict[str, Pair]:
    """A pair for every want: its active work-item, the wanted ones and the one its state names, in the order of their
    ids."""
    active = {
        conversation: key
        for key, item in reading.work_items.items()
        if item.get("active") is True and isinstance(conversation := item.get("conversationId"), str)
    }
    return {want.conversation_id: _pair(want, reading, active, around) for want in wants}


def _pair(want: Want, reading: Reading, active: Mapping[str, str], around: Surroundings) -> Pair:
    key = want.conversation_id
    state = state_of(reading.states.get(key))
    ids = {active.get(key), state.work_item, *want.work_item_ids} - {None}
    found = reading.work_items
    return Pair(
        conversation=reading.conversations.get(key),
        work_items=tuple(found[item] for item in sorted(filter(None, ids)) if item in found),
        state=state,
        around=around,
    )


def _queue(document: Document) -> set[str]:
    match document.get("relationships"):
        case {"queue": {"data": {"id": str(queue)}}}:
            return {queue}
        case _:
            return set()


def _assigned_users(conversation: Document) -> set[str]:
    match conversation.get("attributes"):
        case {"assignedUsers": [*users]}:
            return {user for user in users if isinstance(user, str)}
        case _:
            return set()
