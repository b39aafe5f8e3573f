"""The collections' names, and the documents of queues, work-sessions and outbox entries.

Other services write queues and work-sessions, so each is read as strictly as an event is.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from msgspec import field

from commands.context import RoutingQueue
from commands.session import DEFAULT_ITEM_SIZE, Session, SessionEntry
from handlers.documents.stored_forms import FiniteNumber, Form, Id, RelationshipForm, form_of
from handlers.ports import Announcement
from sync.gates import Side
from worker.ports.waiting_times import QueueDescription


def queue_of(document: Mapping[str, Any]) -> RoutingQueue:
    """The queue that a document holds. A field is at the top level, which takes precedence, or under `attributes`.

    Raises UnreadableDocument.
    """
    attributes = form_of(document, _QueueDocumentForm).attributes
    fields = form_of(document if attributes is None else {**attributes, **document}, _QueueForm)
    return RoutingQueue(id=fields.id, key=fields.key, item_size=fields.item_size, priority=fields.priority)


def queue_description_of(document: Mapping[str, Any]) -> QueueDescription:
    """The name and org of a queue's document, each at the top level or in its JSON:API place. Raises
    UnreadableDocument."""
    form = form_of(document, _DescribedQueueForm)
    attributes, relationships = form.attributes, form.relationships
    org = relationships.org.data if relationships is not None and relationships.org is not None else None
    return QueueDescription(
        id=form.id,
        name=attributes.name if form.name is None and attributes is not None else form.name,
        org=org.id if form.org is None and org is not None else form.org,
    )


def session_of(document: Mapping[str, Any]) -> Session:
    """The session that a document holds. Raises UnreadableDocument."""
    form = form_of(document, _SessionForm)
    return Session(
        id=form.id,
        user=form.user,
        active=form.active is True,
        capacity=form.capacity or 0,
        work_items=_session_entries(form.work_items),
        paused_work_items=_session_entries(form.paused_work_items),
        pending_item=form.pending_item,
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


def _session_entries(entries: "list[_SessionEntryForm] | None") -> tuple[SessionEntry, ...]:
    return tuple(
        SessionEntry(id=entry.id, item_size=DEFAULT_ITEM_SIZE if entry.item_size is None else entry.item_size)
        for entry in entries or ()
    )


class _QueueDocumentForm(Form, kw_only=True):
    id: Id = field(name="_id")
    attributes: dict[str, Any] | None = None


class _QueueForm(Form, kw_only=True):
    id: Id = field(name="_id")
    key: str | None = None
    item_size: FiniteNumber | None = None
    priority: int | None = None


class _QueueAttributesForm(Form, kw_only=True):
    name: str | None = None


class _QueueRelationshipsForm(Form, kw_only=True):
    org: RelationshipForm | None = None


class _DescribedQueueForm(Form, kw_only=True):
    id: Id = field(name="_id")
    name: str | None = None
    org: str | None = None
    attributes: _QueueAttributesForm | None = None
    relationships: _QueueRelationshipsForm | None = None


class _SessionEntryForm(Form, kw_only=True):
    id: Id
    item_size: FiniteNumber | None = None


class _SessionForm(Form, kw_only=True):
    id: Id = field(name="_id")
    user: Id
    active: bool | None = None
    capacity: int | None = None
    work_items: list[_SessionEntryForm] | None = None
    paused_work_items: list[_SessionEntryForm] | None = None
    pending_item: str | None = None


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
    """The outbox entry that a document holds, whatever its status. Raises UnreadableDocument."""
    form = form_of(document, _EntryForm)
    return Announcement(
        id=form.id,
        conversation_id=form.conversation_id,
        side=form.side,
        message=form.message,
        created_at=form.created_at,
    )


class _EntryForm(Form, kw_only=True):
    id: Id = field(name="_id")
    conversation_id: Id
    side: Side
    message: str
    created_at: datetime


class Collection(StrEnum):
    """The names of the collections. docs/design.md (*What is written, and when*) describes their documents."""

    CONVERSATIONS = "conversations"
    WORK_ITEMS = "work_items"
    WORK_ITEM_REVISIONS = "work_item_revisions"
    WORK_SESSIONS = "work_sessions"
    QUEUES = "queues"
    SYNC_STATES = "sync_states"
    OUTBOX = "outbox"
    WAITS = "waits"
    SYNC_AUDIT = "sync_audit"
    FLEET = "fleet"
    QUEUE_RULES = "queue_rules"
