"""The event that announces a write of ours: the same envelope as everybody's, saying what changed and why."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import orjson
from msgspec import Struct

from commands.execute import Applied
from commands.instant import format_instant
from commands.reason import Reason
from commands.work_item import WorkItem
from handlers.documents.document import changes_between, data_of
from handlers.events.event import Event
from handlers.planning.pair_draft import PairDraft
from handlers.ports import Announcement, Document, Ids
from sync.gates import Side

CLIENT: Final = "routing-worker"
"""Who we are in events and logs; the name that existing searches use."""

_NAMES: Final[dict[Side, str]] = {
    "conversation": "kustomer.conversation.update",
    "work-item": "kustomer.work-item.update",
}


class Cause(Struct, frozen=True, kw_only=True):
    """What an announcement takes over from what caused the write."""

    conversation_id: str
    org: str | None = None
    partition: str | None = None
    trace: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, event: Event) -> "Cause":
        """The event as a cause."""
        return cls(conversation_id=event.conversation_id, org=event.org, partition=event.partition, trace=event.trace)


def announce(
    side: Side,
    *,
    before: Document,
    after: Document,
    reasons: Iterable[Reason],
    cause: Cause,
    now: datetime,
    ids: Ids,
) -> Announcement:
    """The outbox entry for a sync's write; `cause` gives partition, conversation and trace."""
    written_at = format_instant(now)
    message_id = ids.new()
    org = after.get("org") or cause.org
    event: dict[str, Any] = {
        "id": ids.new(),
        "name": _NAMES[side],
        "org": org,
        "partition": cause.partition or org,
        "data": data_of(after),
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
        created_at=now,
    )


def _as_stored(value: Any) -> Any:
    """What the store's driver makes of values that JSON does not know: a reference is the object it came as."""
    as_doc = getattr(value, "as_doc", None)
    return str(value) if as_doc is None else dict(as_doc())


class Writing(Struct, frozen=True, kw_only=True):
    """One decision's writes, each with its announcement in the draft's outbox."""

    draft: PairDraft
    cause: Cause
    now: datetime
    ids: Ids

    def conversation(self, fields: Mapping[str, Any], reasons: tuple[Reason, ...]) -> Announcement:
        """Table A's write."""
        before, after = self.draft.write_conversation(fields, self.now)
        announcement = announce(
            "conversation", before=before, after=after, reasons=reasons, cause=self.cause, now=self.now, ids=self.ids
        )
        self.draft.announce(announcement)
        return announcement

    def work_item(self, item: WorkItem, applied: Applied, reasons: tuple[Reason, ...]) -> Announcement:
        """Table B's update, as the commands carried it out."""
        before, after = self.draft.write_work_item(item, applied)
        announcement = announce(
            "work-item",
            before=before,
            after=after,
            reasons=(*reasons, applied.reason),
            cause=self.cause,
            now=self.now,
            ids=self.ids,
        )
        self.draft.announce(announcement)
        return announcement
