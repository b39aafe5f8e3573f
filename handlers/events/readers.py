"""Checked envelopes to events: one reader per kind of document, and the registry that names the reader of each event.

To add an event type, add a reader and a line in `READERS_BY_NAME`. A new shared field also touches `sync/`, `schema.py`
and `document_mapping.py`: see docs/changing.md. Source: docs/events.md, *The envelope* and *Who knew what*.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from commands.work_item import STATUS_ALIASES, Status
from handlers.documents.relationships import related_id
from handlers.events.event import SYNC_ACTION_PREFIX, Event, Malformed, StatusChange, UnsupportedEvent
from handlers.events.schema import EventEnvelope, FieldChange, RoutingReason
from handlers.events.told_changes import told_changes, told_creation
from handlers.events.validation import InvalidFields, rejection_of, validate_conversation, validate_work_item
from sync.conversation import FIELDS, Field
from sync.gates import Side


class ParsedEnvelope(Struct, frozen=True, kw_only=True):
    """An event whose envelope is checked and whose snapshot is still to be read.

    `values`: the envelope's modelled fields. `snapshot`: the event's `data` as it came, unchecked.
    `published_at`: the message's `publishedAt`, else the event's `createdAt`. `supported` False: only the event's
    revision is observed.
    """

    values: EventEnvelope
    snapshot: Mapping[str, Any]
    published_at: datetime | None
    trace: Mapping[str, str] | None
    supported: bool = True

    def event(
        self,
        side: Side,
        *,
        conversation_id: str,
        changed_fields: frozenset[Field] | None,
        deletion: bool = False,
        known_conversation_rev: int | None = None,
        work_item_number: int = 0,
        status_change: StatusChange | None = None,
    ) -> Event:
        """The event. Its reader must have validated the snapshot, and passes the values that depend on the kind of
        document; they are the fields of `Event` with the same names."""
        envelope, snapshot = self.values, self.snapshot
        is_sync = envelope.get("isSync") is True
        is_own_sync = is_sync and self._has_sync_action()
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
            is_own_sync=is_own_sync,
            published_at=self.published_at,
            creation=self.is_creation,
            deletion=deletion,
            changed_fields=changed_fields,
            known_conversation_rev=known_conversation_rev,
            work_item_number=work_item_number,
            status_change=status_change,
            told_changes=None if is_own_sync or not self.supported else self._told_changes(side),
            supported=self.supported,
            trace=self.trace,
        )

    def unsupported_event(self) -> UnsupportedEvent:
        """The event as one that this worker does not handle."""
        return UnsupportedEvent(id=self.values["id"], name=self.values["name"])

    @property
    def is_creation(self) -> bool:
        """Whether the write created the document. Such an event has no `changes`."""
        return self.values["name"].endswith(".create")

    @property
    def lacks_changes(self) -> bool:
        """Whether this is an update that does not say what it changed. Every write changes `rev` at least."""
        return not self.is_creation and not any(self.changes())

    def changes(self) -> tuple[Mapping[str, FieldChange], Mapping[str, FieldChange]]:
        """The changed attributes and the changed relationships, each by name."""
        changes = self.values.get("changes") or {}
        return changes.get("attributes") or {}, changes.get("relationships") or {}

    def reasons(self) -> Sequence[RoutingReason]:
        """The routing reasons, each with the modelled part of its `meta`."""
        return self.values.get("routingReasons") or ()

    def _told_changes(self, side: Side) -> Mapping[str, Any] | None:
        return told_creation(side, self.snapshot) if self.is_creation else told_changes(side, *self.changes())

    def _has_sync_action(self) -> bool:
        """True if a routing reason's action begins with `SYNC_`. This worker gives each of its syncs such a reason; the
        predecessor gives none."""
        for reason in self.reasons():  # noqa: SIM110 - a generator takes 0.5 µs more of the 50 that a message takes
            if (reason.get("action") or "").startswith(SYNC_ACTION_PREFIX):
                return True
        return False


def read_conversation_event(envelope: ParsedEnvelope) -> Event:
    """The event of a conversation. It is a deletion if its name ends in `.delete` or its snapshot has `deleted: true`.

    Raises InvalidFields where the snapshot is not a conversation's.
    """
    snapshot = validate_conversation(envelope.snapshot)
    deletion = envelope.values["name"].endswith(".delete") or snapshot["attributes"].get("deleted") is True
    return envelope.event(
        "conversation",
        conversation_id=snapshot["id"],
        deletion=deletion,
        changed_fields=frozenset({"status"}) if deletion else _fields_changed_in_conversation(envelope),
    )


def _fields_changed_in_conversation(envelope: ParsedEnvelope) -> frozenset[Field] | None:
    """The shared fields that a write of a conversation changed; None if an update does not say.

    The creation of a conversation has no `changes`, so it changes none: its first values replace no earlier ones.

    | in `changes`, with different values before and after | shared field |
    |---|---|
    | attribute `assignedUsers` | assignee |
    | relationship `queue` | queue |
    | attribute `ended` | ended |
    | attribute `deleted` | status |
    | attribute `status`, to or from `done` | status |
    | attribute `status`, to or from `snoozed` | paused |
    """
    if envelope.lacks_changes:
        return None
    attributes, relationships = envelope.changes()
    fields: set[Field] = set()
    if _differs(attributes.get("assignedUsers"), _or_none):
        fields.add("assignee")
    if _differs(relationships.get("queue"), _target_id):
        fields.add("queue")
    if _differs(attributes.get("ended"), bool):
        fields.add("ended")
    if _differs(attributes.get("deleted"), bool):
        fields.add("status")
    if "status" in attributes:
        before, after = attributes["status"].get("before"), attributes["status"].get("after")
        if (before == "done") is not (after == "done"):
            fields.add("status")
        if (before == "snoozed") is not (after == "snoozed"):
            fields.add("paused")
    return frozenset(fields)


def read_work_item_event(envelope: ParsedEnvelope) -> Event | UnsupportedEvent:
    """The event of a work-item; unsupported if the work-item does not belong to a conversation.

    Raises InvalidFields where the snapshot is not a work-item's.
    """
    # A work-item of another resource type may lack fields that are required here, so its type is read before the check.
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
        changed_fields=frozenset(FIELDS) if envelope.is_creation else _fields_changed_in_work_item(envelope),
        known_conversation_rev=_known_conversation_rev(envelope, snapshot["attributes"].get("resourceRev")),
        work_item_number=snapshot["attributes"].get("workItemNumber") or 0,
        status_change=_status_change(envelope),
    )


def _fields_changed_in_work_item(envelope: ParsedEnvelope) -> frozenset[Field] | None:
    """The shared fields that an update of a work-item changed; None if it does not say.

    The creation of a work-item changes every field instead: its writer read the conversation and chose each value.

    | in `changes`, with different values before and after | shared field |
    |---|---|
    | relationship `assignedTo` | assignee |
    | relationship `queue` | queue |
    | attribute `paused` | paused |
    | attribute `status`, to or from completed | status |
    | attribute `status`, to or from wrap-up | ended |
    """
    if envelope.lacks_changes:
        return None
    attributes, relationships = envelope.changes()
    fields: set[Field] = set()
    if _differs(relationships.get("assignedTo"), _target_id):
        fields.add("assignee")
    if _differs(relationships.get("queue"), _target_id):
        fields.add("queue")
    if _differs(attributes.get("paused"), bool):
        fields.add("paused")
    if "status" in attributes:
        before, after = attributes["status"].get("before"), attributes["status"].get("after")
        if _is_status(before, Status.COMPLETED) is not _is_status(after, Status.COMPLETED):
            fields.add("status")
        if _is_status(before, Status.WRAP_UP) is not _is_status(after, Status.WRAP_UP):
            fields.add("ended")
    return frozenset(fields)


def _status_change(envelope: ParsedEnvelope) -> StatusChange | None:
    """The work-item before the write, if the event says that the write changed its status. A part that the write left
    as it was is the snapshot's."""
    attributes, relationships = envelope.changes()
    if "status" not in attributes:
        return None
    snapshot = envelope.snapshot
    queue, last_revision = relationships.get("queue"), attributes.get("lastRevision")
    return StatusChange(
        status=attributes["status"].get("before"),
        queue=related_id(snapshot, "queue") if queue is None else _target_id(queue.get("before")),
        last_revision=snapshot["attributes"].get("lastRevision")
        if last_revision is None
        else last_revision.get("before"),
    )


def _differs(change: FieldChange | None, value_of: Callable[[Any], object]) -> bool:
    """Whether the change's values before and after differ; False for None."""
    return change is not None and value_of(change.get("before")) != value_of(change.get("after"))


def _or_none(value: Any) -> object:
    """The value; None for an empty one, as a list without users is."""
    return value or None


def _target_id(relationship: Any) -> object:
    """The id that a relationship in `changes` names, None where it names none. A value of an unknown form stands for
    itself."""
    match relationship:
        case {"data": {"id": target}} | {"id": target}:
            return target
        case {"data": None}:
            return None
        case _:
            return _or_none(relationship)


def _is_status(value: object, status: Status) -> bool:
    return isinstance(value, str) and STATUS_ALIASES.get(value) is status


def _known_conversation_rev(envelope: ParsedEnvelope, resource_rev: int | None) -> int | None:
    """The conversation revision that a work-item's write knew; None if the event does not say.

    The function returns the first revision that is present: a routing reason's `meta.conversationRev`, a routing
    reason's `meta.data.resource.rev`, and for a creation the work-item's `resourceRev`.
    """
    metas = [meta for reason in envelope.reasons() if (meta := reason.get("meta")) is not None]
    for meta in metas:
        if (rev := meta.get("conversationRev")) is not None:
            return rev
    for meta in metas:
        resource = (meta.get("data") or {}).get("resource") or {}
        if (rev := resource.get("rev")) is not None:
            return rev
    # `resourceRev` keeps its value after the creation, so it does not show what a later write knew.
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
"""The registry: the names of the events that this worker handles, each with its reader."""

_READERS_BY_TYPE: Final[Mapping[object, SnapshotReader]] = {
    "conversation": read_conversation_event,
    "work_item": read_work_item_event,
    "work-item": read_work_item_event,
}
"""The reader of an event whose name is not in the registry, by `data.type`: only the event's revision is observed
(docs/rules.md, *Gates*)."""


def read_snapshot(envelope: ParsedEnvelope) -> Event | UnsupportedEvent | Malformed:
    """The event; malformed if its name is in the registry and its snapshot fails the check.

    For another name the snapshot's type selects the reader, and the event has `supported` False. The result is an
    UnsupportedEvent if the type is unknown or the snapshot fails the check.
    """
    reader = READERS_BY_NAME.get(envelope.values["name"])
    if reader is not None:
        try:
            return reader(envelope)
        except InvalidFields as error:
            return rejection_of(error, at=("data",))
    kind = envelope.snapshot.get("type")
    reader_of_type = _READERS_BY_TYPE.get(kind) if isinstance(kind, str) else None
    if reader_of_type is not None:
        try:
            return reader_of_type(replace(envelope, supported=False))
        except InvalidFields:
            # Another producer's snapshot may have another form. The event then is not observed.
            pass
    return envelope.unsupported_event()
