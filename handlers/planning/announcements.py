"""Announcements: the events that the worker publishes of its own writes (docs/events.md, *Outbound events*)."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import orjson
from msgspec import Struct

from commands.instant import format_instant
from commands.reason import Reason
from handlers.documents.document import changes_between, snapshot_of
from handlers.documents.json_values import all_spellable
from handlers.documents.stored_forms import REV_MAX, UnreadableDocument
from handlers.documents.stored_values import json_form
from handlers.events.envelope import DEFAULT_LIMITS
from handlers.events.event import Event, Malformed, RejectionCode
from handlers.events.json_text import depth_of
from handlers.events.parser import read_message
from handlers.events.told_changes import told_changes, told_creation
from handlers.options import PlanningContext
from handlers.ports import Announcement, Document
from sync.gates import Side

CLIENT: Final = "routing-worker"
"""The worker's name in events and logs, which existing searches use."""

_NAMES: Final[dict[Side, str]] = {"conversation": "kustomer.conversation", "work-item": "kustomer.work-item"}


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
    before: Document | None,
    after: Document,
    reasons: Iterable[Reason],
    cause: AnnouncementCause,
    planning: PlanningContext,
    is_sync: bool = True,
) -> Announcement:
    """The outbox entry for a write of one document, `before` and `after` it. `before` None: the write creates it."""
    written_at = format_instant(planning.now)
    message_id = planning.ids.new()
    org = after.get("org") or cause.org
    event: dict[str, Any] = {
        "id": planning.ids.new(),
        "name": f"{_NAMES[side]}.{'create' if before is None else 'update'}",
        "org": org,
        "partition": cause.partition or org,
        "data": snapshot_of(after),
        "createdAt": written_at,
        "changes": None if before is None else changes_between(before, after),
        "client": CLIENT,
        "isSync": is_sync,
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
        message=_readable_text(message, after),
        created_at=planning.now,
        write={
            "side": side,
            "id": after["_id"],
            "rev": after["rev"],
            "isSync": is_sync,
            "eventId": event["id"],
            "changes": _told(side, event) or {},
        },
    )


def _told(side: Side, event: Mapping[str, Any]) -> Mapping[str, Any] | None:
    changes = event["changes"]
    if changes is None:
        return told_creation(side, event["data"])
    return told_changes(side, changes["attributes"], changes["relationships"])


def _readable_text(message: dict[str, Any], document: Document) -> str:
    """The message as text that the worker's own reader takes. Raises UnreadableDocument if the reader would refuse the
    document, because the announcement would become a dead letter when it comes back."""
    text = orjson.dumps(message, default=json_form, option=orjson.OPT_PASSTHROUGH_DATETIME)
    # The types of the modelled fields were checked when the document was read. Only these faults are left.
    odd = b"\\u0000" in text or not all_spellable(document)
    # These two are counted up, so they can leave the range in which they were read.
    largest = max(document["rev"], document["attributes"].get("queuedCount") or 0)
    if odd or largest > REV_MAX or _nests_too_deep(text):
        end = read_message(text.decode())
        # The publisher sets aside what is too large.
        if isinstance(end, Malformed) and end.code is not RejectionCode.TOO_LARGE:
            raise UnreadableDocument(f"{document['_id']} in the store cannot be announced: {end.reason}")
    return text.decode()


def _nests_too_deep(text: bytes) -> bool:
    """Whether the reader refuses the depth of the text. Most texts have too few brackets to nest so deep."""
    depth_max = DEFAULT_LIMITS.depth_max
    if text.count(b"{") + text.count(b"[") <= depth_max:
        return False
    return depth_of(orjson.loads(text), stop_above=depth_max) > depth_max
