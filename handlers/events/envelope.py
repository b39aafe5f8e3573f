"""The five shapes in which an event arrives, told apart by their keys and unwrapped down to the event.

    SQS message {MessageId, Body} → SNS notification {Type, Message} → published message {body, publishedAt} → event
    captured log line {producer, body} → published message → event

A flag never says which; so a queue may mix raw and wrapped delivery, and a capture may hold any of them.
"""

import re
from base64 import b64decode
from collections.abc import Mapping
from typing import Any, Final, TypeGuard

import orjson
from msgspec import Struct

from handlers.documents.json_values import depth_of
from handlers.events.event import Malformed, RejectionCode
from handlers.events.json_text import ParsedJson, exact, loads, too_deep

_NAMES: Final = frozenset({
    "Attributes", "Body", "Message", "MessageAttributes", "MessageId", "ReceiptHandle", "Records", "Subject",
    "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type", "body", "changes", "client", "createdAt", "data", "dd",
    "hostname", "id", "isSync", "level", "msg", "name", "org", "partition", "pid", "producer", "publishedAt",
    "routingReasons", "time", "v", "version",
})  # fmt: skip
"""Keys that a reason may name. Any other may be what a customer wrote: it is counted."""


class UnwrappedEvent(Struct, frozen=True, kw_only=True):
    """The event, and what its wrappers say: the published message (None: a bare event) and the trace.

    `plain`: no number in it is beyond 64 bits and no name has a null character; False says nothing.
    """

    event: Mapping[str, Any]
    published: Mapping[str, Any] | None
    trace: Mapping[str, str] | None
    plain: bool


def unwrap(thing: object, *, depth_max: int, bytes_max: int) -> UnwrappedEvent | Malformed:
    """Any of the five shapes, parsed, down to the event; a fault where it is none, or too large, or too deep.

    Size is that of the published message: what a wrapper adds to it by quoting is no fault of the message.
    """
    if depth_of(thing, stop_above=depth_max) > depth_max:
        return Malformed(code=RejectionCode.TOO_DEEP, reason=f"nests deeper than {depth_max} levels")
    return unwrap_parsed((thing, False), depth_max=depth_max, bytes_max=bytes_max)


def unwrap_parsed(parsed: ParsedJson, *, depth_max: int, bytes_max: int) -> UnwrappedEvent | Malformed:
    """The same for what is known not to be too deep."""
    thing, plain = parsed
    trace: Mapping[str, str] | None = None
    published: Mapping[str, Any] | None = None
    while isinstance(thing, dict):
        trace = trace or trace_of(thing)
        quoted = _quoted(thing)
        if quoted is not None:
            where, text = quoted
            large = too_large(text, bytes_max) if where == "Message" else None
            inner = large or parse_shape(text, where, depth_max=depth_max)
            if isinstance(inner, Malformed):
                return inner
            thing, plain = inner
        elif isinstance(thing.get("body"), dict):
            # A log line's body is the published message, a published message's body is the event.
            published, thing = thing, thing["body"]
        elif isinstance(thing.get("data"), dict) and "name" in thing:
            return UnwrappedEvent(event=thing, published=published, trace=trace, plain=plain)
        else:
            return Malformed(code=RejectionCode.NOT_AN_EVENT, reason=f"keys {_keys(thing)} are those of no known shape")
    return Malformed(
        code=RejectionCode.NOT_AN_EVENT, reason=f"an event is a JSON object, this is a {type(thing).__name__}"
    )


def parse_shape(text: object, where: str, *, depth_max: int) -> ParsedJson | Malformed:
    """JSON text of any of the five shapes, parsed and not too deep."""
    tree = loads(text, where, depth_max=depth_max)
    if isinstance(tree, Malformed):
        return tree
    assert isinstance(text, str | bytes), "else it could not be parsed"
    quoted = _quoted(tree) if isinstance(tree, dict) else None
    if quoted is None or not isinstance(quoted[1], str):
        return exact(tree, text, where, depth_max=depth_max)
    # Beside the text that it quotes a wrapper has a dozen values: to walk those takes a fifth of what it takes to look
    # through the text, and none of its numbers is ever asked for.
    return too_deep(where, depth_max) if depth_of(tree, stop_above=depth_max) > depth_max else (tree, False)


def _quoted(thing: Mapping[str, Any]) -> tuple[str, object] | None:
    """Where a wrapper quotes, and what; None for what is no wrapper."""
    if "Body" in thing and ("MessageId" in thing or "ReceiptHandle" in thing):
        return "Body", thing["Body"]
    if thing.get("Type") == "Notification" and "Message" in thing:
        return "Message", thing["Message"]
    return None


def is_notification(thing: object) -> bool:
    """Whether this is what SNS wraps a published message in."""
    return isinstance(thing, dict) and thing.get("Type") == "Notification" and "Message" in thing


def too_large(text: object, bytes_max: int) -> Malformed | None:
    """`TOO_LARGE` for a text of more than `bytes_max` bytes of UTF-8."""
    if not isinstance(text, str):
        return None
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    if size <= bytes_max:
        return None
    return Malformed(code=RejectionCode.TOO_LARGE, reason=f"{size} bytes, the limit is {bytes_max}")


def _keys(thing: Mapping[str, Any]) -> str:
    names = sorted(thing.keys() & _NAMES)
    unknown = len(thing) - len(names)
    told = [*names, *([f"{unknown} unknown"] if unknown else [])]
    return ", ".join(told) if told else "(none)"


_ID: Final = re.compile(r"[0-9a-fA-F]{1,64}")


def trace_of(thing: Mapping[str, Any]) -> dict[str, str] | None:
    """`{trace_id, span_id}` of one wrapper of an event, or None. A trace that cannot be read is no fault."""
    dd = thing.get("dd")
    if isinstance(dd, dict) and _is_id(dd.get("trace_id")):
        return {key: value for key in ("trace_id", "span_id") if _is_id(value := dd.get(key))}
    attributes = thing.get("MessageAttributes")
    carrier = attributes.get("_datadog") if isinstance(attributes, dict) else None
    if not isinstance(carrier, dict):
        return None
    value = carrier.get("Value") or carrier.get("StringValue") or carrier.get("BinaryValue")
    if carrier.get("Type") == "Binary" and isinstance(value, str):
        # A notification spells binary attributes, which is how tracers send theirs through SNS, in base64.
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
    if not isinstance(headers, dict) or not _is_id(headers.get("x-datadog-trace-id")):
        return None
    trace: dict[str, str] = {"trace_id": headers["x-datadog-trace-id"]}
    parent = headers.get("x-datadog-parent-id")
    return {**trace, "span_id": parent} if _is_id(parent) else trace


def _is_id(value: object) -> TypeGuard[str]:
    """Decimal or hexadecimal, as tracers count: anything else would go into every log line and every announcement."""
    return isinstance(value, str) and _ID.fullmatch(value) is not None
