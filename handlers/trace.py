"""The trace an event belongs to: `dd` as the logs write it, or the tracer's `_datadog` message attribute."""

import re
from base64 import b64decode
from collections.abc import Mapping
from typing import Any, Final, TypeGuard

import orjson

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
