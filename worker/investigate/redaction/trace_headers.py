"""The trace in the message attribute `_datadog`: the headers of a tracer, of which only the trace's ids stay."""

import base64
import binascii
from typing import Any

import orjson

from handlers.events.envelope import trace_of_headers


def kept_headers(value: str) -> str | None:
    """The headers with the ids of the trace and the span alone, in the form in which they came: JSON text, or its
    base64. None: it holds no trace."""
    headers = _headers(value)
    if headers is not None:
        return _as_json(headers, value)
    try:
        text = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None
    headers = _headers(text)
    kept = None if headers is None else _as_json(headers, text)
    return value if kept == text else None if kept is None else base64.b64encode(kept.encode()).decode()


def _headers(text: str) -> dict[str, Any] | None:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _as_json(headers: dict[str, Any], text: str) -> str | None:
    trace = trace_of_headers(headers)
    if trace is None:
        return None
    kept = {"x-datadog-trace-id": trace["trace_id"]}
    if "span_id" in trace:
        kept["x-datadog-parent-id"] = trace["span_id"]
    return text if headers == kept else orjson.dumps(kept).decode()
