"""Queues and work-sessions as documents of `queues` and `work_sessions`, and back.

Other services write them, so what is not as described is taken for not set rather than held against a batch: a queue
without a size, a session without the entry. A session without a user is nobody's, and None.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from commands.context import RoutingQueue
from commands.session import DEFAULT_ITEM_SIZE, Session, SessionEntry
from handlers.ports import Announcement


def queue_of(document: Mapping[str, Any]) -> RoutingQueue:
    """The queue; its fields may stand on top or under `attributes`, the top going first."""
    attributes = document.get("attributes")
    fields = {**attributes, **document} if isinstance(attributes, Mapping) else document
    return RoutingQueue(
        id=document["_id"],
        key=_text(fields.get("key")),
        item_size=_whole(fields.get("itemSize")),
        priority=_whole(fields.get("priority")),
    )


def session_of(document: Mapping[str, Any]) -> Session | None:
    """The session; None where it names no user."""
    user = _text(document.get("user"))
    if user is None:
        return None
    return Session(
        id=document["_id"],
        user=user,
        active=document.get("active") is True,
        capacity=_whole(document.get("capacity")) or 0,
        work_items=_held(document.get("workItems")),
        paused_work_items=_held(document.get("pausedWorkItems")),
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
        "workItems": [session_entry_document(held) for held in session.work_items],
        "pausedWorkItems": [session_entry_document(held) for held in session.paused_work_items],
        "pendingItem": session.pending_item,
    }


def session_entry_document(held: SessionEntry) -> dict[str, Any]:
    """An entry of a session's list."""
    return {"id": held.id, "itemSize": held.item_size}


def _held(entries: object) -> tuple[SessionEntry, ...]:
    if not isinstance(entries, list):
        return ()
    return tuple(entry for entry in map(_entry, entries) if entry is not None)


def _entry(entry: object) -> SessionEntry | None:
    match entry:
        case {"id": str(item), **rest}:
            size = _whole(rest.get("itemSize"))
            return SessionEntry(id=item, item_size=DEFAULT_ITEM_SIZE if size is None else size)
        case _:
            return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _whole(value: object) -> int | None:
    """The number, if it is a whole one in whichever of the database's number types."""
    if isinstance(value, bool) or not isinstance(value, int | float) or value != value // 1:
        return None
    return int(value)


class OutboxEntryStatus(StrEnum):
    """Waiting to be published, or set aside because it never can be."""

    WAITING = "waiting"
    SET_ASIDE = "set-aside"


def announcement_document(entry: Announcement) -> dict[str, Any]:
    """The document of a waiting entry; `createdAt` is a date, for the index."""
    return {
        "_id": entry.id,
        "conversationId": entry.conversation_id,
        "side": entry.side,
        "message": entry.message,
        "createdAt": entry.created_at,
        "status": OutboxEntryStatus.WAITING.value,
    }


def announcement_of(document: Mapping[str, Any]) -> Announcement:
    """The entry a document holds, whatever its status."""
    return Announcement(
        id=document["_id"],
        conversation_id=document["conversationId"],
        side=document["side"],
        message=document["message"],
        created_at=document["createdAt"],
    )


class Collection(StrEnum):
    """One name a collection; who writes what into which is in `worker/plan_steps.py`."""

    CONVERSATIONS = "conversations"
    WORK_ITEMS = "work_items"
    WORK_ITEM_REVISIONS = "work_item_revisions"
    WORK_SESSIONS = "work_sessions"
    QUEUES = "queues"
    SYNC_STATES = "sync_states"
    OUTBOX = "outbox"
