"""Values from outside checked against the types of `schema.py`, and failed checks as reasons.

A check is strict: no value is converted to another type. It returns the modelled fields and leaves its input unchanged.
"""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from handlers.events.event import Malformed, RejectionCode
from handlers.events.schema import MODELLED_NAMES, ConversationData, EventEnvelope, ReasonMeta, WorkItemData

# `TypeAdapter.validate_python` takes 0.6 µs more a call than its validator, and a message is read in 50.
_ENVELOPE: Final = TypeAdapter(EventEnvelope).validator
_CONVERSATION: Final = TypeAdapter(ConversationData).validator
_WORK_ITEM: Final = TypeAdapter(WorkItemData).validator
_REASON_META: Final = TypeAdapter(ReasonMeta).validator


def validate_envelope(event: object) -> EventEnvelope:
    """The modelled fields of an event around its snapshot. Raises ValidationError with every fault."""
    envelope: EventEnvelope = _ENVELOPE.validate_python(event, strict=True)
    return envelope


def validate_conversation(snapshot: object) -> ConversationData:
    """The modelled fields of a conversation's snapshot. Raises ValidationError with every fault."""
    conversation: ConversationData = _CONVERSATION.validate_python(snapshot, strict=True)
    return conversation


def validate_work_item(snapshot: object) -> WorkItemData:
    """The modelled fields of a work-item's snapshot. Raises ValidationError with every fault."""
    work_item: WorkItemData = _WORK_ITEM.validate_python(snapshot, strict=True)
    return work_item


_MODELLED_META_ACTIONS: Final = ("QUEUE_WORK_ITEM", "UPDATE_COMMAND")
_META_NAMES: Final = frozenset(ReasonMeta.__annotations__)


def validate_reason_meta(reason: Mapping[str, Any]) -> ReasonMeta | None:
    """The modelled fields of a routing reason's `meta`; None where it has none of them.

    Raises ValidationError for a wrong type under an action whose `meta` is modelled. Under any other action a `meta` of
    another shape is correct, and the result is None.
    """
    meta = reason.get("meta")
    # Most events are this worker's own syncs, whose reasons have neither field.
    if meta is None or (isinstance(meta, dict) and _META_NAMES.isdisjoint(meta)):
        return None
    try:
        modelled: ReasonMeta = _REASON_META.validate_python(meta, strict=True)
    except ValidationError:
        if reason.get("action") in _MODELLED_META_ACTIONS:
            raise
        return None
    return modelled


_SHOWN_MAX: Final = 10


def rejection_of(error: ValidationError, *, at: tuple[str, ...] = ()) -> Malformed:
    """The rejection of an event that failed a check; `at` is the path from the event to the checked value.

    The code is `BAD_REVISION` where `attributes.rev` is at fault, else `INVALID_FIELD`. The reason names each fault
    with its path and shows no value. A name that is not modelled may be a customer's words and stands as `*`.
    """
    faults = _faults(error)
    bad_revision = any(path == ("attributes", "rev") for path, _ in faults)
    lines = [f"{'.'.join([*at, *map(_shown, path)])}: {message}" for path, message in faults]
    return Malformed(
        code=RejectionCode.BAD_REVISION if bad_revision else RejectionCode.INVALID_FIELD, reason=_joined(lines)
    )


def question_faults(error: ValidationError, *, at: tuple[str, ...] = ()) -> str:
    """The faults of a question, for its author: each with its path in the author's own names, without values."""
    return _joined(
        [f"{'.'.join(str(part)[:64] for part in (*at, *path))}: {message}" for path, message in _faults(error)]
    )


def _faults(error: ValidationError) -> list[tuple[tuple[int | str, ...], str]]:
    faults = error.errors(include_url=False, include_input=False, include_context=False)
    return [(fault["loc"], fault["msg"]) for fault in faults]


def _shown(part: str | int) -> str:
    return str(part) if isinstance(part, int) or part in MODELLED_NAMES else "*"


def _joined(lines: list[str]) -> str:
    more = f"; and {len(lines) - _SHOWN_MAX} more" if len(lines) > _SHOWN_MAX else ""
    return "; ".join(lines[:_SHOWN_MAX]) + more
