"""Creating work-items: whether a conversation gets one, who gets it, and the document.

A conversation that is open, neither ended nor deleted, and has no active work-item gets one. It is assigned if the
conversation has an assigned user, else queued if it has a queue, else ivr.

If the conversation was done since its last work-item, its users may be away. With UNASSIGN_ON_UNAVAILABLE, the first
user who has an active session gets the work-item. If none has one, the conversation is un-assigned and the work-item
belongs to nobody.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from typing import Any, assert_never

from msgspec import Struct

from commands.context import CommandContext
from commands.instant import format_instant, parse_instant
from commands.new_work_item import Resource, new_work_item, plain_work_item
from commands.work_item import WorkItem
from handlers.documents.document import document_from_snapshot
from handlers.documents.document_mapping import updated_work_item_document
from handlers.ports import Document
from sync.conversation import Conversation, ConversationStatus
from sync.state.revision_runs import covers
from sync.state.sync_state import SyncState


def is_routable(conversation: Conversation) -> bool:
    """Whether the conversation needs a work-item."""
    return conversation.status is ConversationStatus.OPEN and not conversation.ended and not conversation.deleted


class Reopening(Enum):
    """Whether an open conversation was done since its last work-item. `UNDECIDED`: an unobserved revision may tell."""

    YES = "yes"
    NO = "no"
    UNDECIDED = "undecided"


def reopening_of(state: SyncState, conversation: Conversation) -> Reopening:
    """Whether the open conversation was re-opened, by the sync state of its last work-item.

    The latest outside change of `status` made it open, so it was done before. A change that the last work-item's writes
    knew is older than that work-item. A state without a view of `status` has only assumed a change.
    """
    viewed, known_rev = state.view.get("status"), state.known.get("status", 0)
    if viewed is not None and state.changed.get("status", 0) > known_rev:
        return Reopening.YES
    # A view of an open conversation at that revision tells as much as the work-item's writes.
    viewed_rev = viewed.rev if viewed is not None and viewed.value is False else 0
    is_observed = covers(state.conversation_observed, max(known_rev, viewed_rev) + 1, conversation.rev)
    return Reopening.NO if is_observed else Reopening.UNDECIDED


class Assignment(Struct, frozen=True, kw_only=True):
    """Who gets the new work-item; None: nobody. `unassigned`: the users who lose the conversation, as they are away."""

    assignee: str | None = None
    unassigned: tuple[str, ...] = ()


def assignment_of(conversation: Conversation, context: CommandContext, reopening: Reopening) -> Assignment | None:
    """Who gets the new work-item; None: an event that is on its way decides. Raises UnreadableRecord.

    A caller that un-assigns nobody asks with `Reopening.NO`.
    """
    users = conversation.assigned_users
    if not users:
        return Assignment()
    match reopening:
        case Reopening.NO:
            return Assignment(assignee=users[0])
        case Reopening.YES:
            present = next((user for user in users if _has_session(context, user)), None)
            return Assignment(unassigned=users) if present is None else Assignment(assignee=present)
        case Reopening.UNDECIDED:
            return Assignment(assignee=users[0]) if _has_session(context, users[0]) else None
        case _:
            assert_never(reopening)


def _has_session(context: CommandContext, user: str) -> bool:
    return context.session_for(user, item="") is not None


class NewWorkItem(Struct, frozen=True, kw_only=True):
    """A new work-item with its document."""

    item: WorkItem
    document: Document


def created_work_item(
    conversation: Document,
    *,
    key: str,
    revision_id: str,
    number: int,
    assignee: str | None,
    queue: str | None,
    context: CommandContext,
    now: datetime,
) -> NewWorkItem:
    """The new work-item of the conversation's document. Raises UnreadableRecord.

    `revision_id`: the id of the work-item's first queue pass (`relationships.lastRevision`). `number`: its
    `workItemNumber`.
    """
    attributes = conversation["attributes"]
    created_at = attributes.get("createdAt")
    resource = Resource(
        rev=conversation["rev"],
        created_at=parse_instant(created_at) if isinstance(created_at, str) else None,
        assignee=assignee,
        queue=queue,
    )
    plain = plain_work_item(key, number=number, resource=resource, now=now)
    snapshot = _plain_snapshot(plain, conversation, revision_id, format_instant(now))
    document = document_from_snapshot(snapshot, org=conversation.get("org"), rev=plain.rev)
    item = new_work_item(plain, resource, context=context, now=now)
    return NewWorkItem(item=item, document=updated_work_item_document(document, plain, item))


def _plain_snapshot(plain: WorkItem, conversation: Document, revision_id: str, now: str) -> dict[str, Any]:
    attributes = conversation["attributes"]
    taken_over = {
        "channel": _channel(attributes),
        "resourceCreatedAt": format_instant(plain.resource_created_at) if plain.resource_created_at else None,
        "resourceDirection": _text(attributes.get("direction")),
    }
    org = _text(conversation.get("org"))
    return {
        "id": plain.id,
        "type": "work_item",
        "attributes": {
            "resourceType": "conversation",
            "status": plain.status.value,
            "paused": plain.paused,
            "queuedCount": plain.queued_count,
            "priority": plain.priority,
            "itemSize": plain.item_size,
            "createdAt": now,
            "modifiedAt": now,
            "updatedAt": now,
            "resourceRev": plain.resource_rev,
            "rev": plain.rev,
            "workItemNumber": plain.number,
            **{name: value for name, value in taken_over.items() if value is not None},
        },
        "relationships": {
            **({"org": {"data": {"type": "org", "id": org}, "links": {"self": f"/v1/orgs/{org}"}}} if org else {}),
            "resource": {"data": {"type": "conversation", "id": conversation["_id"]}},
            "lastRevision": {"data": {"type": "work_item_revision", "id": revision_id}},
        },
        "links": {"self": f"/v1/routing/work-item/{plain.id}"},
    }


def _channel(attributes: Mapping[str, Any]) -> str | None:
    """The conversation's only or first channel."""
    match attributes.get("channels"):
        case [first, *_]:
            return _text(first)
        case _:
            return _text(attributes.get("channel"))


def _text(value: object) -> str | None:
    return str(value) if isinstance(value, str) else None
