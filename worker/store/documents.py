"""The collections' names, and the documents of queues, work-sessions and outbox entries.

Other services write queues and work-sessions. A field of a wrong type counts as not set, so that an invalid document of
another service does not stop a batch. A session without a user is ignored.
"""

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from commands.context import RoutingQueue
from commands.session import DEFAULT_ITEM_SIZE, Session, SessionEntry
from handlers.ports import Announcement


def queue_of(document: Mapping[str, Any]) -> RoutingQueue:
    """The queue that a document holds. A field is at the top level, which takes precedence, or under `attributes`."""
    attributes = document.get("attributes")
    fields = {**attributes, **document} if isinstance(attributes, Mapping) else document
    return RoutingQueue(
        id=document["_id"],
        key=_text(fields.get("key")),
        item_size=_number(fields.get("itemSize")),
        priority=_whole_number(fields.get("priority")),
    )


def session_of(document: Mapping[str, Any]) -> Session | None:
    """The session that a document holds; None if the document names no user."""
    user = _text(document.get("user"))
    if user is None:
        return None
    return Session(
        id=document["_id"],
        user=user,
        active=document.get("active") is True,
        capacity=_whole_number(document.get("capacity")) or 0,
        work_items=_session_entries(document.get("workItems")),
        paused_work_items=_session_entries(document.get("pausedWorkItems")),
        pending_item=_text(document.get("pendingItem")),
    )


def session_document(session: Session, org: str | None = None) -> dict[str, Any]:
    """The document of a session, for seeding a store."""
    return {
        "_id": session.id,
        **({} if org is None else {"org": org}),
        "user": session.user,
        "active": session.active,
        "capacity": session.capacity,
        "workItems": [session_entry_document(entry) for entry in session.work_items],
        "pausedWorkItems": [session_entry_document(entry) for entry in session.paused_work_items],
        "pendingItem": session.pending_item,
    }


def session_entry_document(entry: SessionEntry) -> dict[str, Any]:
    """The document of an entry in one of a session's lists."""
    return {"id": entry.id, "itemSize": entry.item_size}


def _session_entries(entries: object) -> tuple[SessionEntry, ...]:
    if not isinstance(entries, list):
        return ()
    return tuple(entry for entry in map(_session_entry, entries) if entry is not None)


def _session_entry(entry: object) -> SessionEntry | None:
    match entry:
        case {"id": str(item), **rest}:
            size = _number(rest.get("itemSize"))
            return SessionEntry(id=item, item_size=DEFAULT_ITEM_SIZE if size is None else size)
        case _:
            return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


_EXACT_MAX: Final = 2**53
"""The largest double up to which every whole number is exact. A larger one may be more than MongoDB's integers hold."""


def _number(value: object) -> int | float | None:
    """The value if it is a finite number, as an integer where a double is a whole number exactly; else None."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return int(value) if value == value // 1 and abs(value) <= _EXACT_MAX else value


def _whole_number(value: object) -> int | None:
    """The value as an integer if it is a whole number of any MongoDB number type, else None."""
    number = _number(value)
    return number if isinstance(number, int) else None


class OutboxEntryStatus(StrEnum):
    """The status of an outbox entry: it waits to be published, or it was set aside because SNS can never accept it."""

    WAITING = "waiting"
    SET_ASIDE = "set-aside"


def announcement_document(entry: Announcement) -> dict[str, Any]:
    """The document of a waiting outbox entry. `createdAt` is a date, so the index sorts entries by time."""
    return {
        "_id": entry.id,
        "conversationId": entry.conversation_id,
        "side": entry.side,
        "message": entry.message,
        "createdAt": entry.created_at,
        "status": OutboxEntryStatus.WAITING.value,
    }


def announcement_from_document(document: Mapping[str, Any]) -> Announcement:
    """The outbox entry that a document holds, whatever its status."""
    return Announcement(
        id=document["_id"],
        conversation_id=document["conversationId"],
        side=document["side"],
        message=document["message"],
        created_at=document["createdAt"],
    )


class Collection(StrEnum):
    """The names of the collections. docs/design.md (*What is written, and when*) describes their documents."""

    CONVERSATIONS = "conversations"
    WORK_ITEMS = "work_items"
    WORK_ITEM_REVISIONS = "work_item_revisions"
    WORK_SESSIONS = "work_sessions"
    QUEUES = "queues"
    SYNC_STATES = "sync_states"
    OUTBOX = "outbox"
    FLEET = "fleet"
