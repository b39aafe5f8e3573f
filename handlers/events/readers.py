"""Checked envelopes to events: one reader a kind of document, and the registry that names the reader of each event.

A new event type is one reader and one line of `READERS_BY_NAME`. A new shared field is one line of the two functions
that read `changes`. Source: docs/events.md, *The envelope* and *Who knew what*.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from commands.work_item import STATUS_ALIASES, Status
from handlers.events.event import Event, Malformed, UnsupportedEvent
from handlers.events.schema import EventEnvelope, FieldChange, RoutingReason
from handlers.events.validation import InvalidFields, rejection_of, validate_conversation, validate_work_item
from sync.conversation import FIELDS, Field
from sync.gates import Side


class ParsedEnvelope(Struct, frozen=True, kw_only=True):
    """An event whose envelope is checked and whose snapshot is still to be read.

    `fields`: the envelope's modelled fields. `snapshot`: the event's `data` as it came, unchecked.
    `published_at`: the time of publishing, else of creation. `supported` False: only the event's revision is of
    interest.
    """

    fields: EventEnvelope
    snapshot: Mapping[str, Any]
    published_at: datetime | None
    trace: Mapping[str, str] | None
    supported: bool = True

    def event(
        self,
        side: Side,
        *,
        conversation_id: str,
        fields: frozenset[Field],
        deletion: bool = False,
        known_conversation_rev: int | None = None,
        work_item_number: int = 0,
    ) -> Event:
        """The event of a checked snapshot, completed by its reader's findings."""
        envelope, snapshot = self.fields, self.snapshot
        is_sync = envelope.get("isSync") is True
        return Event(
            id=envelope["id"],
            name=envelope["name"],
            side=side,
            org=envelope.get("org"),
            partition=envelope.get("partition"),
            conversation_id=conversation_id,
            document_id=snapshot["id"],
            rev=snapshot["attributes"]["rev"],
            data=snapshot,
            client=envelope.get("client"),
            is_sync=is_sync,
            is_own_sync=is_sync and self._has_sync_action(),
            published_at=self.published_at,
            creation=self.is_creation,
            deletion=deletion,
            fields=fields,
            known_conversation_rev=known_conversation_rev,
            work_item_number=work_item_number,
            supported=self.supported,
            trace=self.trace,
        )

    def unsupported_event(self) -> UnsupportedEvent:
        """The event, where this worker does not handle it."""
        return UnsupportedEvent(id=self.fields["id"], name=self.fields["name"])

    @property
    def is_creation(self) -> bool:
        """Whether the write created the document. Such an event has no `changes`."""
        return self.fields["name"].endswith(".create")

    def changes(self) -> tuple[Mapping[str, FieldChange], Mapping[str, FieldChange]]:
        """The changed attributes and the changed relationships, each by name."""
        changes = self.fields.get("changes") or {}
        return changes.get("attributes") or {}, changes.get("relationships") or {}

    def reasons(self) -> Sequence[RoutingReason]:
        """The routing reasons, each with the modelled part of its `meta`."""
        return self.fields.get("routingReasons") or ()

    def _has_sync_action(self) -> bool:
        """This worker gives each sync a reason with a `SYNC_*` action; its predecessor gives none."""
        for reason in self.reasons():  # noqa: SIM110 - a generator takes 0.5 µs more of the 50 that a message takes
            if (reason.get("action") or "").startswith("SYNC_"):
                return True
        return False


def read_conversation_event(envelope: ParsedEnvelope) -> Event:
    """The event of a conversation. A deletion has a name in `.delete` or `deleted: true`.

    Raises InvalidFields where the snapshot is not a conversation's.
    """
    snapshot = validate_conversation(envelope.snapshot)
    deletion = envelope.fields["name"].endswith(".delete") or snapshot["attributes"].get("deleted") is True
    return envelope.event(
        "conversation",
        conversation_id=snapshot["id"],
        deletion=deletion,
        fields=frozenset({"status"}) if deletion else _fields_changed_in_conversation(envelope),
    )


def _fields_changed_in_conversation(envelope: ParsedEnvelope) -> frozenset[Field]:
    """The shared fields that a write of a conversation changed. A create changes none.

    | in `changes` | shared field |
    |---|---|
    | attribute `assignedUsers` | assignee |
    | relationship `queue` | queue |
    | attribute `ended` | ended |
    | attribute `deleted` | status |
    | attribute `status`, to or from `done` | status |
    | attribute `status`, to or from `snoozed` | paused |
    """
    attributes, relationships = envelope.changes()
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
        if (before == "done") is not (after == "done"):
            fields.add("status")
        if (before == "snoozed") is not (after == "snoozed"):
            fields.add("paused")
    return frozenset(fields)


def read_work_item_event(envelope: ParsedEnvelope) -> Event | UnsupportedEvent:
    """The event of a work-item; unsupported where its resource is not a conversation.

    Raises InvalidFields where the snapshot is not a work-item's.
    """
    # A work-item of another resource may lack the fields that a conversation's must have, so the type is read first.
    attributes = envelope.snapshot.get("attributes")
    resource_type = attributes.get("resourceType") if isinstance(attributes, dict) else None
    if isinstance(resource_type, str) and resource_type not in ("", "conversation"):
        return envelope.unsupported_event()
    snapshot = validate_work_item(envelope.snapshot)
    resource = snapshot["relationships"]["resource"]["data"]
    if not resource_type and resource.get("type") not in (None, "conversation"):
        return envelope.unsupported_event()
    return envelope.event(
        "work-item",
        conversation_id=resource["id"],
        fields=frozenset(FIELDS) if envelope.is_creation else _fields_changed_in_work_item(envelope),
        known_conversation_rev=_known_conversation_rev(envelope, snapshot["attributes"].get("resourceRev")),
        work_item_number=snapshot["attributes"].get("workItemNumber") or 0,
    )


def _fields_changed_in_work_item(envelope: ParsedEnvelope) -> frozenset[Field]:
    """The shared fields that a write of a work-item changed, its creation aside.

    | in `changes` | shared field |
    |---|---|
    | relationship `assignedTo` | assignee |
    | relationship `queue` | queue |
    | attribute `paused` | paused |
    | attribute `status`, to or from completed | status |
    | attribute `status`, to or from wrap-up | ended |
    """
    attributes, relationships = envelope.changes()
    fields: set[Field] = set()
    if "assignedTo" in relationships:
        fields.add("assignee")
    if "queue" in relationships:
        fields.add("queue")
    if "paused" in attributes:
        fields.add("paused")
    if "status" in attributes:
        before, after = attributes["status"].get("before"), attributes["status"].get("after")
        if _is_status(before, Status.COMPLETED) is not _is_status(after, Status.COMPLETED):
            fields.add("status")
        if _is_status(before, Status.WRAP_UP) is not _is_status(after, Status.WRAP_UP):
            fields.add("ended")
    return frozenset(fields)


def _is_status(value: object, status: Status) -> bool:
    return isinstance(value, str) and STATUS_ALIASES.get(value) is status


def _known_conversation_rev(envelope: ParsedEnvelope, resource_rev: int | None) -> int | None:
    """The conversation revision that a work-item's write knew, None where the event does not say.

    The first that is present counts: `meta.conversationRev`, `meta.data.resource.rev`, on a create `resourceRev`.
    """
    metas = [meta for reason in envelope.reasons() if (meta := reason.get("meta")) is not None]
    for meta in metas:
        if (rev := meta.get("conversationRev")) is not None:
            return rev
    for meta in metas:
        resource = (meta.get("data") or {}).get("resource") or {}
        if (rev := resource.get("rev")) is not None:
            return rev
    # `resourceRev` never changes after the creation, so it says nothing about a later write.
    return resource_rev if envelope.is_creation else None


SnapshotReader = Callable[[ParsedEnvelope], Event | UnsupportedEvent]
"""Reads an event's snapshot. Raises InvalidFields for a modelled field of a wrong type."""

READERS_BY_NAME: Final[Mapping[str, SnapshotReader]] = {
    "kustomer.conversation.create": read_conversation_event,
    "kustomer.conversation.update": read_conversation_event,
    "kustomer.conversation.delete": read_conversation_event,
    "kustomer.work-item.create": read_work_item_event,
    "kustomer.work-item.update": read_work_item_event,
}
"""The registry: the events that this worker handles."""

_READERS_BY_TYPE: Final[Mapping[object, SnapshotReader]] = {
    "conversation": read_conversation_event,
    "work_item": read_work_item_event,
    "work-item": read_work_item_event,
}
"""The reader for an event of another name, by `data.type`: its revision is still observed (docs/rules.md, *Gates*)."""


def read_snapshot(envelope: ParsedEnvelope) -> Event | UnsupportedEvent | Malformed:
    """The event, read by the reader of its name or, for an unknown name, of its snapshot's type."""
    reader = READERS_BY_NAME.get(envelope.fields["name"])
    if reader is not None:
        try:
            return reader(envelope)
        except InvalidFields as error:
            return rejection_of(error, at=("data",))
    kind = envelope.snapshot.get("type")
    observer = _READERS_BY_TYPE.get(kind) if isinstance(kind, str) else None
    if observer is not None:
        try:
            return observer(replace(envelope, supported=False))
        except InvalidFields:
            # Another producer's event may have another snapshot. Only its revision is lost.
            pass
    return envelope.unsupported_event()
