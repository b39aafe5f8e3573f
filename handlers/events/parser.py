"""A message's body to an event: the one place where bytes from outside become something the rules may see."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct
from pydantic import ValidationError

from commands.instant import parse_instant
from handlers.documents.json_values import all_spellable, unstorable
from handlers.events.envelope import (
    UnwrappedEvent,
    is_notification,
    parse_shape,
    too_large,
    trace_of,
    unwrap,
    unwrap_parsed,
)
from handlers.events.event import Event, Malformed, RejectionCode, UnsupportedEvent
from handlers.events.readers import ParsedEnvelope, read_snapshot
from handlers.events.schema import EventEnvelope, ReasonMeta, meta_of
from handlers.events.validation import check_of, fault_of


class Limits(Struct, frozen=True, kw_only=True):
    """How large a body may be, and how deep it may nest."""

    bytes_max: int = 262_144
    depth_max: int = 64


DEFAULT_LIMITS: Final = Limits()
_check_envelope: Final = check_of(EventEnvelope)
_QUOTED: Final = 6
"""How much larger JSON quoting makes a text at most: six characters for one."""


def read_message(
    body: str, attributes: Mapping[str, Any] | None = None, limits: Limits = DEFAULT_LIMITS
) -> Event | UnsupportedEvent | Malformed:
    """A queue message's body, wrapped by SNS or raw, or captured. `attributes`: the message's own, for the trace."""
    large = too_large(body, limits.bytes_max)
    # A notification quotes the message, which makes it larger: there the message itself is measured.
    if large is not None and (len(body) > _QUOTED * limits.bytes_max or '"Notification"' not in body):
        return large
    parsed = parse_shape(body, "the body", depth_max=limits.depth_max)
    if isinstance(parsed, Malformed):
        return parsed
    if large is not None and not is_notification(parsed[0]):
        return large
    return _read(unwrap_parsed(parsed, depth_max=limits.depth_max, bytes_max=limits.bytes_max), attributes)


def read_object(
    thing: object, *, attributes: Mapping[str, Any] | None = None, limits: Limits = DEFAULT_LIMITS
) -> Event | UnsupportedEvent | Malformed:
    """The same for any of the five shapes, already parsed."""
    return _read(unwrap(thing, depth_max=limits.depth_max, bytes_max=limits.bytes_max), attributes)


def _read(
    unwrapped: UnwrappedEvent | Malformed, attributes: Mapping[str, Any] | None
) -> Event | UnsupportedEvent | Malformed:
    if isinstance(unwrapped, Malformed):
        return unwrapped
    wire, published = unwrapped.event, unwrapped.published
    try:
        _check_envelope(wire)
    except ValidationError as fault:
        return fault_of(fault)
    said = published.get("publishedAt") if published is not None else None
    published_at = said if said is not None else wire.get("createdAt")
    instant = parse_instant(published_at) if isinstance(published_at, str) else None
    if published_at is not None and instant is None:
        return Malformed(code=RejectionCode.INVALID_FIELD, reason="publishedAt: not an ISO 8601 time with a zone")
    reasons = wire.get("routingReasons") or ()
    metas = _metas(reasons)
    if isinstance(metas, Malformed):
        return metas
    trace = unwrapped.trace or (trace_of({"MessageAttributes": attributes}) if attributes else None)
    result = read_snapshot(ParsedEnvelope(wire=wire, published_at=instant, trace=trace, reasons=reasons, metas=metas))
    # Last, so that a revision of that kind is told of as the bad revision it is; and only of what could be stored.
    why = _unstorable(wire, unwrapped.plain) if isinstance(result, Event) else None
    return result if why is None else Malformed(code=RejectionCode.INVALID_FIELD, reason=f"the event holds {why}")


def _metas(reasons: Sequence[Mapping[str, Any]]) -> Sequence[ReasonMeta] | Malformed:
    """What the routing reasons say of who knew what."""
    metas: list[ReasonMeta] = []
    for index, reason in enumerate(reasons):
        try:
            meta = meta_of(reason)
        except ValidationError as fault:
            return fault_of(fault, at=("routingReasons", str(index), "meta"))
        if meta is not None:
            metas.append(meta)
    return metas


def _unstorable(wire: Mapping[str, Any], plain: bool) -> str | None:
    if not all_spellable(wire["data"]):
        return "a name beside `attributes` that has a dot, begins with $ or is empty"
    return None if plain else unstorable(wire)
