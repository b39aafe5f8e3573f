"""A message's body to an event: unwrap the event, check its envelope, read its snapshot. Each step runs once."""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from commands.instant import parse_instant
from handlers.documents.json_values import all_spellable, unstorable
from handlers.events.envelope import DEFAULT_LIMITS, Limits, UnwrappedEvent, trace_of, unwrap_text, unwrap_value
from handlers.events.event import Event, Malformed, OwnSync, RejectionCode, UnsupportedEvent
from handlers.events.half_surrogates import names_with_halves
from handlers.events.own_syncs import read_own_sync
from handlers.events.readers import ParsedEnvelope, read_snapshot
from handlers.events.validation import InvalidFields, rejection_of, validate_envelope


def read_delivered(
    body: str, attributes: Mapping[str, Any] | None = None, limits: Limits = DEFAULT_LIMITS
) -> Event | OwnSync | UnsupportedEvent | Malformed:
    """As `read_message`, for a message of the worker's queue. Most of the worker's own syncs become an `OwnSync`."""
    return read_own_sync(body, attributes, limits) or read_message(body, attributes, limits)


def read_message(
    body: str, attributes: Mapping[str, Any] | None = None, limits: Limits = DEFAULT_LIMITS
) -> Event | UnsupportedEvent | Malformed:
    """The event in a queue message's body, which holds any of the five shapes as JSON text.

    `attributes` are the message's own; they name the trace where no wrapper in the body does.
    """
    unwrapped = unwrap_text(body, limits)
    return unwrapped if isinstance(unwrapped, Malformed) else read_event(unwrapped, attributes)


def read_object(
    value: object, attributes: Mapping[str, Any] | None = None, limits: Limits = DEFAULT_LIMITS
) -> Event | UnsupportedEvent | Malformed:
    """The event in any of the five shapes, already parsed."""
    unwrapped = unwrap_value(value, limits)
    return unwrapped if isinstance(unwrapped, Malformed) else read_event(unwrapped, attributes)


def read_event(
    unwrapped: UnwrappedEvent, attributes: Mapping[str, Any] | None = None
) -> Event | UnsupportedEvent | Malformed:
    """The event of an unwrapped JSON object; malformed where a modelled field is wrong or the store cannot keep it."""
    if unwrapped.as_written is not None:
        return _read_mended(unwrapped, unwrapped.as_written, attributes)
    raw, published = unwrapped.event, unwrapped.published
    try:
        values = validate_envelope(raw)
    except InvalidFields as error:
        return rejection_of(error)
    published_at = published.get("publishedAt") if published is not None else None
    if published_at is None:
        published_at = values.get("createdAt")
    instant = parse_instant(published_at) if isinstance(published_at, str) else None
    if published_at is not None and instant is None:
        return Malformed(code=RejectionCode.INVALID_FIELD, reason="publishedAt: not an ISO 8601 time with a zone")
    trace = unwrapped.trace or (trace_of({"MessageAttributes": attributes}) if attributes else None)
    result = read_snapshot(ParsedEnvelope(values=values, snapshot=raw["data"], published_at=instant, trace=trace))
    # Checked last: a revision beyond 64 bits is reported as a bad revision, and an unsupported event is not stored.
    fault = _storage_fault(unwrapped) if isinstance(result, Event) else None
    return result if fault is None else Malformed(code=RejectionCode.INVALID_FIELD, reason=f"the event holds {fault}")


def _read_mended(
    unwrapped: UnwrappedEvent, as_written: Mapping[str, Any], attributes: Mapping[str, Any] | None
) -> Event | UnsupportedEvent | Malformed:
    """The event with U+FFFD for half surrogate pairs; malformed where an id, another checked text or a name has one.

    Two ids that differ only in the half would become one id, so the event is checked as it was written, too.
    """
    written = read_event(replace(unwrapped, event=as_written, as_written=None), attributes)
    if not isinstance(written, Event):
        return written
    if names_with_halves(as_written):
        return Malformed(code=RejectionCode.INVALID_FIELD, reason="the event holds a name with half a surrogate pair")
    mended = read_event(replace(unwrapped, as_written=None), attributes)
    return replace(mended, is_mended=True) if isinstance(mended, Event) else mended


def _storage_fault(unwrapped: UnwrappedEvent) -> str | None:
    if not all_spellable(unwrapped.event["data"]):
        return "a name beside `attributes` that has a dot, begins with $ or is empty"
    return None if unwrapped.known_storable else unstorable(unwrapped.event)
