"""What a found object is: a captured event, an audit line, an export's wrapper around them, or nothing of ours."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

import orjson
from msgspec import Struct

from commands.instant import parse_instant
from handlers.events.envelope import UnwrappedEvent, unwrap_text, unwrap_value
from handlers.events.event import Event, Malformed, RejectionCode, UnsupportedEvent
from handlers.events.parser import read_event
from sync.audit import AUDIT_MESSAGE
from worker.investigate.capture_import.heads import EVENT_NAMES

_TEXT_CHARACTERS_MAX: Final = 250_000
"""The size of a text that is below the limit of a message in any case: a character takes four bytes at most."""


class Record(Struct, frozen=True, kw_only=True):
    """A captured event or an audit line.

    `event_id`: None for an audit line. `document`: the id of the document that the event is of, `""` where there is
    none. `rev`: its revision; 0 where there is none. `at`: when it was published or logged, in seconds since 1970; None
    where that is not known. `digest`: of the event without its wrappers. `wrappers`: how much they say.
    """

    event_id: str | None
    document: str
    rev: int
    at: float | None
    digest: bytes
    wrappers: int


class NoRecord(Struct, frozen=True):
    """An object that is neither an event nor an audit line."""


NO_RECORD: Final = NoRecord()


def read_record(text: str, value: Mapping[str, Any]) -> Record | Malformed | NoRecord:
    """What an object's JSON text is; `value`: the same parsed. Malformed: it has an event's form, and the worker would
    dead-letter it."""
    if value.get("msg") == AUDIT_MESSAGE and "body" not in value:
        return _audit(value)
    if not has_event_form(value) and not names_event(value):
        return NO_RECORD
    # The reader of texts takes a fifth of the time, and finds a number beyond 64 bits, which `value` has rounded.
    unwrapped = unwrap_text(text) if len(text) <= _TEXT_CHARACTERS_MAX else unwrap_value(value)
    if isinstance(unwrapped, Malformed):
        is_other = unwrapped.code is RejectionCode.NOT_AN_EVENT and not names_event(_innermost(value))
        return NO_RECORD if is_other else unwrapped
    event = read_event(unwrapped)
    if isinstance(event, Malformed):
        return event
    return _record(unwrapped, event)


def has_event_form(value: Mapping[str, Any]) -> bool:
    """Whether the object has the keys of one of the five shapes."""
    return (
        ("Body" in value and ("MessageId" in value or "ReceiptHandle" in value))
        or (value.get("Type") == "Notification" and "Message" in value)
        or isinstance(value.get("body"), dict)
        or (isinstance(value.get("data"), dict) and "name" in value)
    )


def names_event(value: Mapping[str, Any]) -> bool:
    """Whether the object has an id and the name of an event."""
    name = value.get("name")
    return isinstance(value.get("id"), str) and isinstance(name, str) and name.startswith(EVENT_NAMES)


def _innermost(value: Mapping[str, Any]) -> Mapping[str, Any]:
    while isinstance(inner := value.get("body"), dict):
        value = inner
    return value


def _record(unwrapped: UnwrappedEvent, event: Event | UnsupportedEvent) -> Record:
    raw = unwrapped.event
    data = raw["data"]
    document = data.get("id")
    published = unwrapped.published
    return Record(
        event_id=raw["id"],
        document=document if isinstance(document, str) else "",
        rev=event.rev if isinstance(event, Event) else 0,
        at=_seconds((published or {}).get("publishedAt") or raw.get("createdAt")),
        digest=digest_of(raw),
        wrappers=(unwrapped.trace is not None) + (published is not None),
    )


def _audit(value: Mapping[str, Any]) -> Record:
    return Record(
        event_id=None, document="", rev=0, at=_seconds(value.get("time")), digest=digest_of(value), wrappers=0
    )


def _seconds(value: object) -> float | None:
    """A time of a log line or an event: ISO 8601, or milliseconds since 1970."""
    if isinstance(value, str):
        instant = parse_instant(value)
        return None if instant is None else instant.timestamp()
    return value / 1_000 if isinstance(value, int | float) and not isinstance(value, bool) else None


def digest_of(value: Any) -> bytes:
    """A digest of a JSON value that does not go by the order of names."""
    try:
        text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except (TypeError, orjson.JSONEncodeError):
        # Half a surrogate pair, or a number beyond 64 bits.
        text = json.dumps(value, sort_keys=True).encode()
    return hashlib.blake2b(text, digest_size=16).digest()
