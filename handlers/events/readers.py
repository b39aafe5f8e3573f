"""An event that has been unwrapped and checked, with its snapshot still to be read."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace
from pydantic import ValidationError

from commands.work_item import STATUS_ALIASES, Status
from handlers.events.event import Event, Malformed, UnsupportedEvent
from handlers.events.schema import ConversationData, ReasonMeta, WorkItemData
from handlers.events.validation import check_of, fault_of
from sync.conversation import FIELDS, Field
from sync.gates import Side


class ParsedEnvelope(Struct, frozen=True, kw_only=True):
    """What is known of an event before its snapshot is read. `wire` is the event itself, as `EventEnvelope` has it.

    Made for every message: not frozen for the reason that Event is not.
    """

    wire: Mapping[str, Any]
    published_at: datetime | None
    trace: Mapping[str, str] | None
    reasons: Sequence[Mapping[str, Any]]
    metas: Sequence[ReasonMeta]
    supported: bool = True

    def unsupported(self) -> "ParsedEnvelope":
        """The same event, of which only the revision counts."""
        return replace(self, supported=False)

    def event(
        self,
        side: Side,
        *,
        conversation_id: str,
        fields: frozenset[Field],
        deletion: bool = False,
        knew: int | None = None,
        work_item_number: int = 0,
    ) -> Event:
        """The event, with what its side has of its own; its snapshot must be in order."""
        wire = self.wire
        data = wire["data"]
        is_sync = wire.get("isSync") is True
        return Event(
            id=wire["id"],
            name=wire["name"],
            side=side,
            org=wire.get("org"),
            partition=wire.get("partition"),
            conversation_id=conversation_id,
            document_id=data["id"],
            rev=data["attributes"]["rev"],
            data=data,
            client=wire.get("client"),
            is_sync=is_sync,
            ours=is_sync and self._has_sync_reason(),
            published_at=self.published_at,
            creation=self.is_create,
            deletion=deletion,
            fields=fields,
            knew=knew,
            work_item_number=work_item_number,
            supported=self.supported,
            trace=self.trace,
        )

    @property
    def is_create(self) -> bool:
        """A create has no `changes`."""
        name: str = self.wire["name"]
        return name.endswith(".create")

    def _has_sync_reason(self) -> bool:
        """A sync of this worker's: its reasons hold a `SYNC_*` action; the predecessor's hold none (domain.md)."""
        for reason in self.reasons:  # noqa: SIM110 - a generator costs 2 µs more, of the 35 that reading a message takes
            if (reason.get("action") or "").startswith("SYNC_"):
                return True
        return False

    def changed(self) -> tuple[Mapping[str, Mapping[str, Any]], Mapping[str, Mapping[str, Any]]]:
        """What changed of the attributes and of the relationships, by name."""
        changes = self.wire.get("changes") or {}
        return changes.get("attributes") or {}, changes.get("relationships") or {}


_check_conversation: Final = check_of(ConversationData)


def read_conversation_event(head: ParsedEnvelope) -> Event:
    """The event of a conversation; a deletion is one by name or by `deleted: true`."""
    wire = head.wire
    data = wire["data"]
    _check_conversation(data)
    deletion = wire["name"].endswith(".delete") or data["attributes"].get("deleted") is True
    return head.event(
        "conversation",
        conversation_id=data["id"],
        deletion=deletion,
        fields=frozenset({"status"}) if deletion else _changed_by_conversation(head),
    )


def _changed_by_conversation(head: ParsedEnvelope) -> frozenset[Field]:
    attributes, relationships = head.changed()
    fields: set[Field] = set()
    if "assignedUsers" in attributes:
        fields.add("assignee")
    if "queue" in relationships:
        fields.add("queue")
    if "ended" in attributes:
        fields.add("ended")
    if "deleted" in attributes:
        fields.add("status")
    if "status" in attributes:
        before, after = attributes["status"].get("before"), attributes["status"].get("after")
        # One attribute holds two shared fields: being done, and being snoozed.
        if (before == "done") is not (after == "done"):
            fields.add("status")
        if (before == "snoozed") is not (after == "snoozed"):
            fields.add("paused")
    return frozenset(fields)


_check_work_item: Final = check_of(WorkItemData)


def read_work_item_event(head: ParsedEnvelope) -> Event | UnsupportedEvent:
    """The event of a work-item; one whose resource is no conversation is none of ours."""
    wire = head.wire
    data = wire["data"]
    attributes = data.get("attributes")
    kind = attributes.get("resourceType") if isinstance(attributes, dict) else None
    if isinstance(kind, str) and kind not in ("", "conversation"):
        # Of whatever else it is, nothing need be as a conversation's work-item must be.
        return UnsupportedEvent(id=wire["id"], name=wire["name"])
    _check_work_item(data)
    attributes, resource = data["attributes"], data["relationships"]["resource"]["data"]
    if not attributes.get("resourceType") and resource.get("type") not in (None, "conversation"):
        return UnsupportedEvent(id=wire["id"], name=wire["name"])
    return head.event(
        "work-item",
        conversation_id=resource["id"],
        fields=frozenset(FIELDS) if head.is_create else _changed_by_work_item(head),
        knew=_knew(head, attributes.get("resourceRev")),
        work_item_number=attributes.get("workItemNumber") or 0,
    )


def _changed_by_work_item(head: ParsedEnvelope) -> frozenset[Field]:
    attributes, relationships = head.changed()
    fields: set[Field] = set()
    if "assignedTo" in relationships:
        fields.add("assignee")
    if "queue" in relationships:
        fields.add("queue")
    if "paused" in attributes:
        fields.add("paused")
    if "status" in attributes:
        before, after = attributes["status"].get("before"), attributes["status"].get("after")
        # From ivr to queued neither completed nor wrap-up changes, so neither shared field does.
        if _is(before, Status.COMPLETED) is not _is(after, Status.COMPLETED):
            fields.add("status")
        if _is(before, Status.WRAP_UP) is not _is(after, Status.WRAP_UP):
            fields.add("ended")
    return frozenset(fields)


def _is(value: object, status: Status) -> bool:
    return isinstance(value, str) and STATUS_ALIASES.get(value) is status


def _knew(head: ParsedEnvelope, resource_rev: int | None) -> int | None:
    """The conversation revision the write knew (domain.md, in its order); None where it does not say."""
    for meta in head.metas:
        if meta.conversationRev is not None:
            return meta.conversationRev
    for meta in head.metas:
        if meta.data is not None and meta.data.resource is not None and meta.data.resource.rev is not None:
            return meta.data.resource.rev
    # resourceRev never changes after creation: on any later event it is no watermark.
    return resource_rev if head.is_create else None


SnapshotReader = Callable[[ParsedEnvelope], Event | UnsupportedEvent]
"""Reads an event's snapshot; raises ValidationError for a modelled field of the wrong type."""

HANDLED: Final[Mapping[str, SnapshotReader]] = {
    "kustomer.conversation.create": read_conversation_event,
    "kustomer.conversation.update": read_conversation_event,
    "kustomer.conversation.delete": read_conversation_event,
    "kustomer.work-item.create": read_work_item_event,
    "kustomer.work-item.update": read_work_item_event,
}

_OBSERVED: Final[Mapping[object, SnapshotReader]] = {
    "conversation": read_conversation_event,
    "work_item": read_work_item_event,
    "work-item": read_work_item_event,
}
"""By `data.type`: an event of another name still has its revision observed (sync-rules.md, *Old news*)."""


def read_snapshot(head: ParsedEnvelope) -> Event | UnsupportedEvent | Malformed:
    """The event that its name or, failing that, its snapshot's type makes it."""
    wire = head.wire
    reader = HANDLED.get(wire["name"])
    if reader is not None:
        try:
            return reader(head)
        except ValidationError as fault:
            return fault_of(fault, at=("data",))
    kind = wire["data"].get("type")
    observer = _OBSERVED.get(kind) if isinstance(kind, str) else None
    if observer is not None:
        try:
            return observer(head.unsupported())
        except ValidationError:
            # Not ours to judge: whatever its snapshot should look like, no revision can be read from this one.
            pass
    return UnsupportedEvent(id=wire["id"], name=wire["name"])
