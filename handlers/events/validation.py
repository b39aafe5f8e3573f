"""Values from outside checked against the types of `schema.py`, and failed checks as reasons.

A check is strict: it converts no value to another type. It returns the modelled fields and leaves its input unchanged.
"""

from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from commands.reason import ReasonAction
from handlers.events.event import Malformed, RejectionCode
from handlers.events.schema import (
    MODELLED_NAMES,
    ConversationSnapshot,
    EventEnvelope,
    ReasonMeta,
    RoutingReason,
    WorkItemSnapshot,
)

FieldPath = tuple[int | str, ...]
"""The names and list indexes from a value down to a field."""


class InvalidFields(Exception):
    """A value that failed its check. `faults`: each path from the value down, with the message; no value is shown."""

    def __init__(self, faults: list[tuple[FieldPath, str]]) -> None:
        super().__init__("; ".join(f"{'.'.join(map(str, path))}: {message}" for path, message in faults))
        self.faults = faults

    def below(self, name: str) -> "InvalidFields":
        """The same faults, seen from the object that holds the value under `name`."""
        return InvalidFields([((name, *path), message) for path, message in self.faults])


# `TypeAdapter.validate_python` takes 0.6 µs more per call than its validator, and a message is read in 50.
_ENVELOPE: Final = TypeAdapter(EventEnvelope).validator
_CONVERSATION: Final = TypeAdapter(ConversationSnapshot).validator
_WORK_ITEM: Final = TypeAdapter(WorkItemSnapshot).validator
_REASON_META: Final = TypeAdapter(ReasonMeta).validator


def validate_conversation(snapshot: object) -> ConversationSnapshot:
    """The modelled fields of a conversation's snapshot. Raises InvalidFields with every fault."""
    try:
        conversation: ConversationSnapshot = _CONVERSATION.validate_python(snapshot, strict=True)
    except ValidationError as error:
        raise invalid_fields(error) from error
    return conversation


def validate_work_item(snapshot: object) -> WorkItemSnapshot:
    """The modelled fields of a work-item's snapshot. Raises InvalidFields with every fault."""
    try:
        work_item: WorkItemSnapshot = _WORK_ITEM.validate_python(snapshot, strict=True)
    except ValidationError as error:
        raise invalid_fields(error) from error
    return work_item


def validate_envelope(event: object) -> EventEnvelope:
    """The modelled fields of an event around its snapshot. Raises InvalidFields with every fault.

    A routing reason keeps the modelled part of its `meta`, or None.
    """
    try:
        envelope: EventEnvelope = _ENVELOPE.validate_python(event, strict=True)
    except ValidationError as error:
        raise invalid_fields(error) from error
    for index, reason in enumerate(envelope.get("routingReasons") or ()):
        if reason.get("meta") is not None:
            reason["meta"] = _reason_meta(index, reason)
    return envelope


_MODELLED_META_ACTIONS: Final = (ReasonAction.QUEUE_WORK_ITEM, ReasonAction.UPDATE_COMMAND)
_META_NAMES: Final = frozenset(ReasonMeta.__annotations__)


def _reason_meta(index: int, reason: RoutingReason) -> ReasonMeta | None:
    meta: Any = reason["meta"]
    # Most events are this worker's own syncs, whose reasons have neither field.
    if isinstance(meta, dict) and _META_NAMES.isdisjoint(meta):
        return None
    try:
        modelled: ReasonMeta = _REASON_META.validate_python(meta, strict=True)
    except ValidationError as error:
        # Under any other action a `meta` of another shape is correct.
        if reason.get("action") in _MODELLED_META_ACTIONS:
            raise invalid_fields(error, at=("routingReasons", index, "meta")) from error
        return None
    return modelled


def invalid_fields(error: ValidationError, *, at: FieldPath = ()) -> InvalidFields:
    """A failed check of pydantic's as InvalidFields; `at` is the path to the checked value."""
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    return InvalidFields([((*at, *fault["loc"]), fault["msg"]) for fault in faults])


_SHOWN_MAX: Final = 10


def rejection_of(error: InvalidFields, *, at: FieldPath = ()) -> Malformed:
    """The rejection of an event that failed a check; `at` is the path from the event to the checked value.

    The code is `BAD_REVISION` where `attributes.rev` is at fault, else `INVALID_FIELD`. The reason names each fault
    with its path and shows no value. A name that is not modelled may be a customer's words, so the reason shows `*`.
    """
    bad_revision = any(path == ("attributes", "rev") for path, _ in error.faults)
    lines = [f"{'.'.join(map(_shown, (*at, *path)))}: {message}" for path, message in error.faults]
    return Malformed(
        code=RejectionCode.BAD_REVISION if bad_revision else RejectionCode.INVALID_FIELD, reason=_joined(lines)
    )


def question_faults(error: InvalidFields) -> str:
    """The faults of a question, for its author: each with its path in the author's own names, without values."""
    lines = [f"{'.'.join(str(part)[:64] for part in path)}: {message}" for path, message in error.faults]
    return _joined(lines)


def _shown(part: int | str) -> str:
    return str(part) if isinstance(part, int) or part in MODELLED_NAMES else "*"


def _joined(lines: list[str]) -> str:
    more = f"; and {len(lines) - _SHOWN_MAX} more" if len(lines) > _SHOWN_MAX else ""
    return "; ".join(lines[:_SHOWN_MAX]) + more
