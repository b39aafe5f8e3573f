"""Log lines in the wrappers of exports: as objects in them, or as texts.

Which names a wrapper uses does not matter. Datadog has a log line's fields under `attributes.attributes` and its text
under `message`; CloudWatch has the text under `message`, Insights under `@message` or in a `value`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from msgspec import Struct

from sync.audit import AUDIT_MESSAGE
from worker.investigate.capture_import.records import has_event_form
from worker.investigate.json_spans import Span, spans_of

_MARKS: Final = ("body", "Body", "Message", "data", AUDIT_MESSAGE)


class WrappedText(Struct, frozen=True, kw_only=True):
    """A text in a wrapper: an object of an event's form, or a text with one in it."""

    text: str
    is_object: bool


def wrapped_texts(text: str, value: Mapping[str, Any]) -> Iterator[WrappedText]:
    """What a wrapper holds. `text` is its JSON text, `value` the same parsed."""
    if any(mark in text for mark in _MARKS):
        yield from _wrapped(text, spans_of(text), value)


def _wrapped(text: str, span: Span, value: Any) -> Iterator[WrappedText]:
    if isinstance(value, dict):
        for name, inner in span.members:
            # Of two values under one name the parser keeps the last.
            is_parsed = len(span.members) == len(value)
            yield from _in_wrapper(text, inner, value[name.value(text)] if is_parsed else inner.value(text))
    elif isinstance(value, list):
        for inner_span, inner in zip(span.items, value, strict=True):
            yield from _in_wrapper(text, inner_span, inner)


def _in_wrapper(text: str, span: Span, value: Any) -> Iterator[WrappedText]:
    if isinstance(value, dict) and (has_event_form(value) or value.get("msg") == AUDIT_MESSAGE):
        yield WrappedText(text=text[span.start : span.end], is_object=True)
    elif isinstance(value, dict | list):
        yield from _wrapped(text, span, value)
    elif isinstance(value, str) and "{" in value and any(mark in value for mark in _MARKS):
        yield WrappedText(text=value, is_object=False)
