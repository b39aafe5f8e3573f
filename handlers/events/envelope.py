"""The five shapes in which an event arrives, recognised by their keys and unwrapped down to the event itself.

    SQS message {MessageId, Body} → SNS notification {Type, Message} → published message {body, publishedAt} → event
    captured log line {producer, body} → published message → event

No flag says which shape it is, so a queue may mix raw and wrapped delivery, and a capture may hold any of the five.
Source: docs/events.md, *The envelope*.
"""

import json
import re
from base64 import b64decode
from collections.abc import Mapping
from typing import Any, Final, TypeGuard

import orjson
from msgspec import Struct

from handlers.events.event import Malformed, RejectionCode
from handlers.events.half_surrogates import has_halves, without_half_escapes, without_halves
from handlers.events.json_text import depth_of, made_exact, parse_rounded, too_deep


class Limits(Struct, frozen=True, kw_only=True):
    """The size of a published message in bytes of UTF-8, and the levels that a JSON text may nest.

    The default size is what SNS can be told to take (`MaximumMessageSize` of a topic).
    """

    bytes_max: int = 1_048_576
    depth_max: int = 64


DEFAULT_LIMITS: Final = Limits()
_TEXT_RATIO_MAX: Final = 6
"""How many times as large as the published message its text may be: JSON writes one character as six at most
(`\\u0000`)."""


class UnwrappedEvent(Struct, frozen=True, kw_only=True):
    """An event's own JSON object, and the facts that its wrappers add.

    `published`: the published message around the event; None for a bare event. `outermost`: the whole value.
    `trace`: `{trace_id, span_id}` from the outermost wrapper that has one.
    `known_storable`: see `ParsedJson`.
    `as_written`: the event with its half surrogate pairs, where the text has any. `event` and `published` have U+FFFD
    in their place; `outermost` has them.
    """

    event: Mapping[str, Any]
    published: Mapping[str, Any] | None
    trace: Mapping[str, str] | None
    known_storable: bool
    outermost: Mapping[str, Any]
    as_written: Mapping[str, Any] | None = None


class _Layer(Struct, frozen=True, kw_only=True):
    """One parsed shape. `quoted`: the wrapper's key and the JSON text under it; None where the shape quotes no text."""

    value: Any
    known_storable: bool
    quoted: tuple[str, object] | None


def unwrap_text(body: str, limits: Limits = DEFAULT_LIMITS) -> UnwrappedEvent | Malformed:
    """The event in a queue message's body, which holds any of the five shapes as JSON text.

    The published message's size counts. Wrappers, quoting, blanks and escapes around it do not.
    """
    large = _too_large(body, limits.bytes_max)
    if large is not None:
        return large if len(body) > _TEXT_RATIO_MAX * limits.bytes_max else _unwrap_large(body, large, limits)
    layer = _parse_layer(body, "the body", limits)
    return layer if isinstance(layer, Malformed) else _innermost(layer, limits)


def _unwrap_large(body: str, large: Malformed, limits: Limits) -> UnwrappedEvent | Malformed:
    """The event in a body above the limit, whose published message may be below it. `large`: the rejection."""
    layer = _parse_layer(body, "the body", limits)
    if isinstance(layer, Malformed):
        return large
    unwrapped = _innermost(layer, limits)
    if isinstance(unwrapped, Malformed):
        return large if layer.quoted is None else unwrapped
    published = unwrapped.event if unwrapped.published is None else unwrapped.published
    text = json.dumps(published, ensure_ascii=False, separators=(",", ":"))
    return _too_large(text, limits.bytes_max) or unwrapped


def unwrap_value(value: object, limits: Limits = DEFAULT_LIMITS) -> UnwrappedEvent | Malformed:
    """The event in any of the five shapes, already parsed, for example a line of a capture."""
    if depth_of(value, stop_above=limits.depth_max) > limits.depth_max:
        return Malformed(code=RejectionCode.TOO_DEEP, reason=f"nests deeper than {limits.depth_max} levels")
    return _innermost(_Layer(value=value, known_storable=False, quoted=_quoted(value)), limits)


def _innermost(layer: _Layer, limits: Limits) -> UnwrappedEvent | Malformed:
    trace: Mapping[str, str] | None = None
    published: Mapping[str, Any] | None = None
    outermost = layer.value
    while True:
        value = layer.value
        if not isinstance(value, dict):
            reason = f"an event is a JSON object, this is a {type(value).__name__}"
            return Malformed(code=RejectionCode.NOT_AN_EVENT, reason=reason)
        trace = trace or trace_of(value)
        if layer.quoted is not None:
            where, text = layer.quoted
            large = _too_large(text, limits.bytes_max) if where == "Message" else None
            inner = large or _parse_layer(text, where, limits)
            if isinstance(inner, Malformed):
                return inner
            layer, published = inner, None
        elif isinstance(body := value.get("body"), dict):
            # A log line's body is the published message, a published message's body is the event.
            published = value
            layer = _Layer(value=body, known_storable=layer.known_storable, quoted=_quoted(body))
        elif isinstance(value.get("data"), dict) and "name" in value:
            unwrapped = UnwrappedEvent(
                event=value,
                published=published,
                trace=trace,
                known_storable=layer.known_storable,
                outermost=outermost,
            )
            # The fast parser refuses half surrogate pairs, and what the other one read is not known to be storable.
            return unwrapped if layer.known_storable else _mended(unwrapped)
        else:
            reason = f"keys {_keys(value)} are those of no known shape"
            return Malformed(code=RejectionCode.NOT_AN_EVENT, reason=reason)


def _mended(unwrapped: UnwrappedEvent) -> UnwrappedEvent:
    """The same event with U+FFFD for half surrogate pairs, beside the event as it was written; or as it is."""
    if not has_halves(unwrapped.published) and not has_halves(unwrapped.event):
        return unwrapped
    return UnwrappedEvent(
        event=without_halves(unwrapped.event),
        published=without_halves(unwrapped.published),
        trace=unwrapped.trace,
        known_storable=False,
        outermost=unwrapped.outermost,
        as_written=unwrapped.event,
    )


def _parse_layer(text: object, where: str, limits: Limits) -> _Layer | Malformed:
    value = parse_rounded(text, where, depth_max=limits.depth_max)
    if isinstance(value, Malformed):
        return _parse_halves(text, where, limits) or value
    quoted = _quoted(value)
    if quoted is None:
        assert isinstance(text, str | bytes), "other types are rejected above"
        parsed = made_exact(value, text, where, depth_max=limits.depth_max)
        if isinstance(parsed, Malformed):
            return parsed
        return _Layer(value=parsed.value, known_storable=parsed.known_storable, quoted=None)
    # A wrapper has a dozen values beside its long text, and no number of its own is read. Walking the values takes a
    # fifth of the time of searching the text.
    if depth_of(value, stop_above=limits.depth_max) > limits.depth_max:
        return too_deep(where, limits.depth_max)
    return _Layer(value=value, known_storable=False, quoted=quoted)


def _parse_halves(text: object, where: str, limits: Limits) -> _Layer | Malformed | None:
    """The layer of a text that the fast parser refuses only for its half surrogate pairs, which the value keeps. None
    if the text has none."""
    mended = without_half_escapes(text) if isinstance(text, str) else None
    if mended is None:
        return None
    value = parse_rounded(mended, where, depth_max=limits.depth_max)
    if isinstance(value, Malformed):
        return value
    if depth_of(value, stop_above=limits.depth_max) > limits.depth_max:
        return too_deep(where, limits.depth_max)
    assert isinstance(text, str), "only a text is mended"
    value = json.loads(text)
    return _Layer(value=value, known_storable=False, quoted=_quoted(value))


def _quoted(value: object) -> tuple[str, object] | None:
    """The key under which an SQS message or an SNS notification quotes a text, and the text; None for other values."""
    if not isinstance(value, dict):
        return None
    if "Body" in value and ("MessageId" in value or "ReceiptHandle" in value):
        return "Body", value["Body"]
    if value.get("Type") == "Notification" and "Message" in value:
        return "Message", value["Message"]
    return None


def _too_large(text: object, bytes_max: int) -> Malformed | None:
    if not isinstance(text, str):
        return None
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    if size <= bytes_max:
        return None
    return Malformed(code=RejectionCode.TOO_LARGE, reason=f"{size} bytes, the limit is {bytes_max}")


_NAMEABLE_KEYS: Final = frozenset({
    "Attributes", "Body", "Message", "MessageAttributes", "MessageId", "ReceiptHandle", "Records", "Subject",
    "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type", "body", "changes", "client", "createdAt", "data", "dd",
    "hostname", "id", "isSync", "level", "msg", "name", "org", "partition", "pid", "producer", "publishedAt",
    "routingReasons", "time", "v", "version",
})  # fmt: skip
"""The keys that a reason may name. A customer may have written any other key, so a reason only counts those."""


def _keys(value: Mapping[str, Any]) -> str:
    names = sorted(value.keys() & _NAMEABLE_KEYS)
    unknown = len(value) - len(names)
    parts = [*names, *([f"{unknown} unknown"] if unknown else [])]
    return ", ".join(parts) if parts else "(none)"


_TRACE_ID: Final = re.compile(r"[0-9a-fA-F]{1,64}")


def trace_of(wrapper: Mapping[str, Any]) -> dict[str, str] | None:
    """`{trace_id, span_id}` of one wrapper, from its `dd` or its message attribute `_datadog`.

    None where the wrapper has no trace or an unreadable one. An unreadable trace does not make a message malformed.
    """
    return trace_in(wrapper.get("dd"), wrapper.get("MessageAttributes"))


def trace_in(dd: object, attributes: object) -> dict[str, str] | None:
    """The same of a wrapper's `dd` and message attributes."""
    if isinstance(dd, dict) and _is_trace_id(dd.get("trace_id")):
        return {key: value for key in ("trace_id", "span_id") if _is_trace_id(value := dd.get(key))}
    carrier = attributes.get("_datadog") if isinstance(attributes, dict) else None
    if not isinstance(carrier, dict):
        return None
    value = carrier.get("Value") or carrier.get("StringValue") or carrier.get("BinaryValue")
    if isinstance(value, str) and "Binary" in (carrier.get("Type"), carrier.get("DataType")):
        # Tracers send a binary attribute through SNS. A notification and a captured SQS message are JSON, which holds
        # bytes in base64; a received SQS message has the bytes.
        value = _decoded(value)
    return _from_headers(value)


def _decoded(text: str) -> bytes | None:
    try:
        return b64decode(text, validate=True)
    except ValueError:
        return None


def _from_headers(text: object) -> dict[str, str] | None:
    try:
        headers = orjson.loads(text) if isinstance(text, str | bytes) else None
    except orjson.JSONDecodeError:
        return None
    return trace_of_headers(headers) if isinstance(headers, dict) else None


def trace_of_headers(headers: Mapping[str, Any]) -> dict[str, str] | None:
    """`{trace_id, span_id}` of a tracer's headers, as a request and a message attribute have them; None: of none."""
    trace_id = headers.get("x-datadog-trace-id")
    if not _is_trace_id(trace_id):
        return None
    trace: dict[str, str] = {"trace_id": trace_id}
    parent = headers.get("x-datadog-parent-id")
    return {**trace, "span_id": parent} if _is_trace_id(parent) else trace


def _is_trace_id(value: object) -> TypeGuard[str]:
    """A decimal or hexadecimal number, as tracers write it: every log line and announcement repeats the value."""
    return isinstance(value, str) and _TRACE_ID.fullmatch(value) is not None
