"""The five shapes in which an event arrives, told apart by their keys and unwrapped down to the event.

    SQS message {MessageId, Body} → SNS notification {Type, Message} → published message {body, publishedAt} → event
    captured log line {producer, body} → published message → event

A flag never says which; so a queue may mix raw and wrapped delivery, and a capture may hold any of them.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from handlers.event import Fault, Malformed
from handlers.json_tree import depth_of
from handlers.trace import trace_of

_LONG_NUMBER: Final = re.compile(r"\d{19}")
_NAMES: Final = frozenset({
    "Attributes", "Body", "Message", "MessageAttributes", "MessageId", "ReceiptHandle", "Records", "Subject",
    "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type", "body", "changes", "client", "createdAt", "data", "dd",
    "hostname", "id", "isSync", "level", "msg", "name", "org", "partition", "pid", "producer", "publishedAt",
    "routingReasons", "time", "v", "version",
})  # fmt: skip
"""Keys that a reason may name. Any other may be what a customer wrote: it is counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Unwrapped:
    """The event, and what its wrappers say: the published message (None: a bare event) and the trace."""

    event: Mapping[str, Any]
    published: Mapping[str, Any] | None
    trace: Mapping[str, str] | None


def unwrap(thing: object, *, depth_max: int, bytes_max: int) -> Unwrapped | Malformed:
    """Any of the five shapes, parsed, down to the event; a fault where it is none, or too large, or too deep.

    Size is that of the published message: what a wrapper adds to it by quoting is no fault of the message.
    """
    if depth_of(thing, stop_above=depth_max) > depth_max:
        return Malformed(code=Fault.TOO_DEEP, reason=f"nests deeper than {depth_max} levels")
    trace: Mapping[str, str] | None = None
    published: Mapping[str, Any] | None = None
    while isinstance(thing, Mapping):
        trace = trace or trace_of(thing)
        if "Body" in thing and ("MessageId" in thing or "ReceiptHandle" in thing):
            inner = parse_json(thing["Body"], "Body", depth_max=depth_max)
        elif is_notification(thing):
            inner = too_large(thing["Message"], bytes_max) or parse_json(
                thing["Message"], "Message", depth_max=depth_max
            )
        elif isinstance(thing.get("body"), Mapping):
            # A log line's body is the published message, a published message's body is the event.
            published, inner = thing, thing["body"]
        elif isinstance(thing.get("data"), Mapping) and "name" in thing:
            return Unwrapped(event=thing, published=published, trace=trace)
        else:
            return Malformed(code=Fault.NOT_AN_EVENT, reason=f"keys {_keys(thing)} are those of no known shape")
        if isinstance(inner, Malformed):
            return inner
        thing = inner
    return Malformed(code=Fault.NOT_AN_EVENT, reason=f"an event is a JSON object, this is a {type(thing).__name__}")


def is_notification(thing: object) -> bool:
    """Whether this is what SNS wraps a published message in."""
    return isinstance(thing, Mapping) and thing.get("Type") == "Notification" and "Message" in thing


def too_large(text: object, bytes_max: int) -> Malformed | None:
    """`TOO_LARGE` for a text of more than `bytes_max` bytes of UTF-8."""
    if not isinstance(text, str):
        return None
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    if size <= bytes_max:
        return None
    return Malformed(code=Fault.TOO_LARGE, reason=f"{size} bytes, the limit is {bytes_max}")


def parse_json(text: object, where: str, *, depth_max: int) -> Any | Malformed:
    """JSON text, parsed and not too deep; `NOT_JSON` says where it stood, not what it was."""
    if not isinstance(text, str | bytes):
        return Malformed(code=Fault.NOT_AN_EVENT, reason=f"{where} must be JSON text, not {type(text).__name__}")
    try:
        parsed = orjson.loads(text)
    except orjson.JSONDecodeError as fault:
        if "depth" in fault.msg or "ecursion" in fault.msg:
            return Malformed(code=Fault.TOO_DEEP, reason=f"{where} nests deeper than {depth_max} levels")
        return Malformed(code=Fault.NOT_JSON, reason=f"{where} is not JSON: {fault.msg.split(':')[0]}")
    if depth_of(parsed, stop_above=depth_max) > depth_max:
        return Malformed(code=Fault.TOO_DEEP, reason=f"{where} nests deeper than {depth_max} levels")
    if _LONG_NUMBER.search(text if isinstance(text, str) else text.decode()):
        # orjson rounds what is beyond 64 bits; read exactly, it can be refused instead of changed.
        return json.loads(text)
    return parsed


def _keys(thing: Mapping[str, Any]) -> str:
    names = sorted(thing.keys() & _NAMES)
    unknown = len(thing) - len(names)
    told = [*names, *([f"{unknown} unknown"] if unknown else [])]
    return ", ".join(told) if told else "(none)"
