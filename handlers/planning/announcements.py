"""Announcements: the events that the worker publishes of its own writes (docs/events.md, *Outbound events*)."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson
from msgspec import Struct

from commands.instant import format_instant
from commands.reason import Reason
from handlers.documents.document import changes_between, snapshot_of
from handlers.events.event import Event
from handlers.options import PlanningContext
from handlers.ports import Announcement, Document
from sync.gates import Side

CLIENT: Final = "routing-worker"
"""The worker's name in events and logs, which existing searches use."""

_NAMES: Final[dict[Side, str]] = {
    "conversation": "kustomer.conversation.update",
    "work-item": "kustomer.work-item.update",
}


class AnnouncementCause(Struct, frozen=True, kw_only=True):
    """The values that an announcement takes over from the event that caused the write."""

    conversation_id: str
    org: str | None = None
    partition: str | None = None
    trace: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, event: Event) -> "AnnouncementCause":
        """The values of this event."""
        return cls(conversation_id=event.conversation_id, org=event.org, partition=event.partition, trace=event.trace)


def new_announcement(
    side: Side,
    *,
    before: Document,
    after: Document,
    reasons: Iterable[Reason],
    cause: AnnouncementCause,
    planning: PlanningContext,
) -> Announcement:
    """The outbox entry for a write of one document, `before` and `after` it."""
    written_at = format_instant(planning.now)
    message_id = planning.ids.new()
    org = after.get("org") or cause.org
    event: dict[str, Any] = {
        "id": planning.ids.new(),
        "name": _NAMES[side],
        "org": org,
        "partition": cause.partition or org,
        "data": snapshot_of(after),
        "createdAt": written_at,
        "changes": changes_between(before, after),
        "client": CLIENT,
        "isSync": True,
        "persist": True,
        "sourceId": None,
        "sourceType": None,
        "routingReasons": [reason.as_wire() for reason in reasons],
    }
    message: dict[str, Any] = {
        "id": message_id,
        "name": event["name"],
        "partition": event["partition"],
        "body": event,
        "publishedAt": written_at,
        "version": 3,
    }
    if cause.trace:
        message["dd"] = dict(cause.trace)
    return Announcement(
        id=message_id,
        conversation_id=cause.conversation_id,
        side=side,
        message=orjson.dumps(message, default=_as_stored).decode(),
        created_at=planning.now,
    )


def _as_stored(value: Any) -> Any:
    """A value of the store's driver that JSON does not know: a reference as the object it came as, others as text."""
    as_doc = getattr(value, "as_doc", None)
    return str(value) if as_doc is None else dict(as_doc())
