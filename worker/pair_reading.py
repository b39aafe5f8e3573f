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
class FirstReading:
    """What the wants alone lead to: by `_id` conversations and state documents, and work-items, the active ones of the
    conversations and the wanted."""

    conversations: Mapping[str, Document]
    states: Mapping[str, Document]
    work_items: Mapping[str, Document]


def wanted_work_items(wants: Iterable[Want]) -> list[str]:
    """The work-items that the wants name."""
    return sorted(set().union(*(want.work_item_ids for want in wants)))


def named_work_items(first: FirstReading) -> list[str]:
    """The work-items that the states name and that were not read yet: the pair's, where it is completed."""
    named = {document["workItem"]["id"] for document in first.states.values()}
    return sorted(named - first.work_items.keys() - {None})


def named_queues(wants: Iterable[Want], first: FirstReading) -> list[str]:
    """The queues that the wants, the conversations and the work-items name."""
    wanted = set[str]().union(*(want.queues for want in wants))
    documents = (*first.conversations.values(), *first.work_items.values())
    return sorted(wanted.union(*map(_queue, documents)))


def named_users(wants: Iterable[Want], first: FirstReading) -> list[str]:
    """The users that the wants name and those the conversations are assigned to."""
    wanted = set[str]().union(*(want.users for want in wants))
    return sorted(wanted.union(*map(_assigned_users, first.conversations.values())))


def surroundings_of(queues: Iterable[Mapping[str, Any]], sessions: Iterable[Mapping[str, Any]]) -> Surroundings:
    """The surroundings that the documents of queues and sessions make."""
    return Surroundings(
        queues={document["_id"]: queue_of(document) for document in queues},
        sessions={session.id: session for session in map(session_of, sessions) if session is not None},
    )


def pairs_of(
    wants: Sequence[Want], first: FirstReading, more: Iterable[Document], around: Surroundings
) -> dict[str, Pair]:
    """A pair for every want: its active work-item, the wanted ones and the one its state names (`more` holds those
    that the first reading did not), in the order of their ids."""
    work_items = {**first.work_items, **{document["_id"]: document for document in more}}
    active = {item["conversationId"]: key for key, item in work_items.items() if item.get("active") is True}
    return {want.conversation_id: _pair(want, first, work_items, active, around) for want in wants}


def _pair(
    want: Want,
    first: FirstReading,
    work_items: Mapping[str, Document],
    active: Mapping[str, str],
    around: Surroundings,
) -> Pair:
    key = want.conversation_id
    state = state_of(first.states.get(key))
    ids = {active.get(key), state.work_item, *want.work_item_ids} - {None}
    return Pair(
        conversation=first.conversations.get(key),
        work_items=tuple(work_items[item] for item in sorted(filter(None, ids)) if item in work_items),
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
