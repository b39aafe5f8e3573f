"""Captured events and audit lines as entries of a timeline.

A timeline shows ids, states and times. The values of attributes that may hold a customer's words are left out, and
their names alone are kept (`TimelineEntry.other_changes`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import orjson
from msgspec.structs import replace

from commands.instant import parse_instant
from commands.work_item import STATUS_ALIASES, Status
from handlers.documents.relationships import related_id
from handlers.events.event import Event
from sync.audit import AUDIT_MESSAGE
from sync.conversation import ConversationStatus
from sync.gates import Side
from worker.investigate.timeline.entry import AuditEntry, ChangedValue, EntryReason, RecordState, TimelineEntry

_TOLD_BY_THE_ENTRY: Final = frozenset({"rev", "updatedAt"})
_SHOWN_ATTRIBUTES: Final = frozenset({
    "acceptedAt", "assignedTeams", "assignedUsers", "channel", "channels", "completedAt", "createdAt", "deleted",
    "direction", "ended", "endedAt", "firstEnterQueueAt", "handle", "itemSize", "ivr", "lastRevision", "modifiedAt",
    "paused", "priority", "queuedCount", "resourceCreatedAt", "resourceDirection", "resourceFirstAssignTime",
    "resourceFirstQueueTime", "resourceFirstRouteTime", "resourceRev", "resourceType", "snooze", "status",
    "workItemNumber", "wrapUp",
})  # fmt: skip
"""The attributes whose values are ids, states, numbers and times."""
_SHOWN_RELATIONSHIPS: Final = frozenset({
    "acceptedBy", "assignedTo", "lastRevision", "queue", "resource", "routedTo", "rule", "team", "workSession",
})  # fmt: skip
_SHOWN_META: Final = (
    "conversationRev", "rule", "policy", "commandName", "data", "composed", "actions", "dropped", "ignored", "message",
)  # fmt: skip
_VALUE_BYTES_MAX: Final = 1_000
_TOO_LONG: Final = "(too long to show)"
_REASONS_MAX: Final = 50
_MAPPING_BYTES_MAX: Final = 10_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECONDS_MAX: Final = 253_402_300_800_000
"""The year 10000, beyond which no datetime is."""


def entry_of(event: Event, raw: Mapping[str, Any], *, file: str = "", line: int = 0) -> TimelineEntry:
    """The entry of a captured event. `raw`: the event's own JSON object, which the worker's reader has checked."""
    state = _state_of(event)
    shown, others = _changes_of(raw)
    says = event.creation or event.changed_fields is not None
    before = None if event.creation or not says else state_before(event.side, state, shown)
    if event.creation:
        shown = created_values(event.side, state)
    return TimelineEntry(
        side=event.side,
        document_id=event.document_id,
        rev=event.rev,
        at=_written_at(event) or event.published_at,
        published_at=event.published_at,
        event_id=event.id,
        name=event.name,
        client=event.client,
        is_sync=event.is_sync,
        is_own_sync=event.is_own_sync,
        creation=event.creation,
        deletion=event.deletion,
        state=state,
        before=before,
        changes=shown if says else None,
        other_changes=others,
        changed_fields=event.changed_fields,
        reasons=_reasons(raw.get("routingReasons")),
        known_conversation_rev=event.known_conversation_rev,
        trace_id=None if event.trace is None else event.trace.get("trace_id"),
        file=file,
        line=line,
    )


def _written_at(event: Event) -> datetime | None:
    text = event.data["attributes"].get("updatedAt")
    return parse_instant(text) if isinstance(text, str) else None


def _state_of(event: Event) -> RecordState:
    attributes, data = event.data["attributes"], event.data
    if event.side == "conversation":
        return RecordState(
            status=attributes["status"],
            assignees=tuple(attributes.get("assignedUsers") or ()),
            queue=related_id(data, "queue"),
            ended=attributes.get("ended") is True,
            paused=attributes["status"] == ConversationStatus.SNOOZED,
            deleted=event.deletion,
        )
    status = STATUS_ALIASES[attributes["status"]]
    user = related_id(data, "assignedTo")
    return RecordState(
        status=status.value,
        assignees=() if user is None else (user,),
        queue=related_id(data, "queue"),
        ended=status is Status.WRAP_UP,
        paused=attributes.get("paused") is True,
        number=event.work_item_number,
        queued_count=attributes.get("queuedCount") or 0,
    )


def state_before(side: Side, after: RecordState, changes: Sequence[ChangedValue]) -> RecordState | None:
    """The state with the changes taken back; None where a change has a value of an unknown form."""
    parts: dict[str, Any] = {}
    for change in changes:
        read = _PARTS_BY_NAME.get((side, change.name))
        if read is not None:
            part = read(change.before)
            if part is None:
                return None
            parts.update(part)
    return replace(after, **parts)


def _users_part(value: object) -> dict[str, Any] | None:
    if value is None:
        return {"assignees": ()}
    is_ids = isinstance(value, list) and all(isinstance(each, str) for each in value)
    return {"assignees": tuple(value)} if isinstance(value, list) and is_ids else None


def _user_part(value: object) -> dict[str, Any] | None:
    return {"assignees": () if value is None else (value,)} if value is None or isinstance(value, str) else None


def _queue_part(value: object) -> dict[str, Any] | None:
    return {"queue": value} if value is None or isinstance(value, str) else None


def _flag_part(name: str) -> Callable[[object], dict[str, Any] | None]:
    return lambda value: {name: value is True} if value is None or isinstance(value, bool) else None


def _queued_count_part(value: object) -> dict[str, Any] | None:
    return {"queued_count": value if isinstance(value, int) and value > 0 else 0}


def _conversation_status_part(value: object) -> dict[str, Any] | None:
    if not isinstance(value, str) or value not in set(ConversationStatus):
        return None
    return {"status": value, "paused": value == ConversationStatus.SNOOZED}


def _item_status_part(value: object) -> dict[str, Any] | None:
    status = STATUS_ALIASES.get(value) if isinstance(value, str) else None
    return None if status is None else {"status": status.value, "ended": status is Status.WRAP_UP}


_PARTS_BY_NAME: Final[Mapping[tuple[Side, str], Callable[[object], dict[str, Any] | None]]] = {
    ("conversation", "status"): _conversation_status_part,
    ("conversation", "assignedUsers"): _users_part,
    ("conversation", "queue"): _queue_part,
    ("conversation", "ended"): _flag_part("ended"),
    ("conversation", "deleted"): _flag_part("deleted"),
    ("work-item", "status"): _item_status_part,
    ("work-item", "assignedTo"): _user_part,
    ("work-item", "queue"): _queue_part,
    ("work-item", "paused"): _flag_part("paused"),
    ("work-item", "queuedCount"): _queued_count_part,
}
"""By a changed field's name on the wire: the parts of the state that its value sets; None for an unknown form."""


def created_values(side: Side, state: RecordState) -> tuple[ChangedValue, ...]:
    """The values with which a record was created, those alone that are set."""
    users: Any = list(state.assignees) if side == "conversation" else next(iter(state.assignees), None)
    values = {
        "status": state.status,
        "assignedUsers" if side == "conversation" else "assignedTo": users or None,
        "queue": state.queue,
        "ended": (state.ended or None) if side == "conversation" else None,
        "paused": (state.paused or None) if side == "work-item" else None,
    }
    return tuple(ChangedValue(name=name, before=None, after=value) for name, value in values.items() if value)


def _changes_of(raw: Mapping[str, Any]) -> tuple[tuple[ChangedValue, ...], tuple[str, ...]]:
    """The changed values that may be shown, and the names of the others."""
    changes = raw.get("changes") or {}
    shown: list[ChangedValue] = []
    others: list[str] = []
    for name, change in (changes.get("attributes") or {}).items():
        if name in _SHOWN_ATTRIBUTES:
            before, after = _shortened(change.get("before")), _shortened(change.get("after"))
            shown.append(ChangedValue(name=name, before=before, after=after))
        elif name not in _TOLD_BY_THE_ENTRY:
            others.append(name)
    for name, change in (changes.get("relationships") or {}).items():
        if name in _SHOWN_RELATIONSHIPS:
            before, after = _target(change.get("before")), _target(change.get("after"))
            shown.append(ChangedValue(name=name, before=before, after=after))
        else:
            others.append(name)
    return tuple(shown), tuple(others)


def _target(relationship: object) -> object:
    """The id that a relationship names; a value of another form as it is."""
    match relationship:
        case {"data": {"id": str() as target}} | {"id": str() as target}:
            return target
        case {"data": None} | None:
            return None
        case _:
            return _shortened(relationship)


def _shortened(value: object) -> object:
    if value is None or isinstance(value, bool | int | float):
        return value
    return value if len(orjson.dumps(value)) <= _VALUE_BYTES_MAX else _TOO_LONG


def _reasons(wire: object) -> tuple[EntryReason, ...]:
    """The routing reasons; a part of another type than documented counts as absent."""
    return tuple(_each_reason(wire)) if isinstance(wire, list) else ()


def _each_reason(wire: list[Any]) -> Iterator[EntryReason]:
    for reason in wire[:_REASONS_MAX]:
        if isinstance(reason, dict):
            meta = reason.get("meta")
            known = meta if isinstance(meta, dict) else {}
            yield EntryReason(
                action=_text(reason.get("action")),
                code=_text(reason.get("code")),
                meta={name: _shortened(known[name]) for name in _SHOWN_META if name in known},
            )


def is_audit(value: object) -> bool:
    """Whether a captured JSON value is an audit line."""
    return isinstance(value, dict) and value.get("msg") == AUDIT_MESSAGE


def audit_entry_of(value: Mapping[str, Any], *, file: str = "", line: int = 0) -> AuditEntry | None:
    """The entry of an audit line; None if it names no conversation. `value` is any JSON object."""
    conversation_id = _text(value.get("conversationId"))
    if not conversation_id:
        return None
    event, dd = _mapping(value.get("event")) or {}, _mapping(value.get("dd")) or {}
    suppressed = value.get("suppressed")
    return AuditEntry(
        at=_audit_time(value.get("time")),
        conversation_id=conversation_id,
        is_own="outcome" in value,
        work_item_id=_text(value.get("workItemId")),
        event_id=_text(event.get("id")),
        event_rev=_whole(event.get("rev")),
        trigger=_text(value.get("trigger")),
        outcome=_text(value.get("outcome")),
        direction=_text(value.get("direction")),
        policy=_text(value.get("policy")),
        updated_conversation=_mapping(value.get("updatedConversation")),
        updated_work_item=_mapping(value.get("updatedWorkItem")),
        before=_mapping(value.get("before")),
        reasons=_reasons(value.get("reasons")),
        suppressed=tuple(each for each in suppressed if isinstance(each, dict))[:_REASONS_MAX]
        if isinstance(suppressed, list)
        else (),
        conversation_rev=_whole(value.get("conversationRev")),
        work_item_rev=_whole(value.get("workItemRev")),
        trace_id=_text(dd.get("trace_id")),
        client=_text(value.get("client")),
        file=file,
        line=line,
    )


def _audit_time(value: object) -> datetime | None:
    """A log's time: ISO 8601, or milliseconds since 1970 as some loggers write."""
    if isinstance(value, str):
        return parse_instant(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _MILLISECONDS_MAX:
        return _EPOCH + timedelta(milliseconds=value)
    return None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _mapping(value: object) -> Mapping[str, Any] | None:
    return value if isinstance(value, dict) and len(orjson.dumps(value)) <= _MAPPING_BYTES_MAX else None
