"""Replaces personal data in a captured object's JSON text.

What stays is a list: the fields of `worker.investigate.captured_fields` that are an id, a time, a word, a path, a
number or a flag, where their value has that form (`kept_values.py`); null, `""`, `[]` and `{}`; the stand-ins of an
earlier run. Everything else is replaced, the names of unknown fields too. What is not replaced stays byte for byte.
"""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import orjson

from handlers.events.envelope import DEFAULT_LIMITS
from handlers.events.json_text import depth_of
from worker.investigate.captured_fields import ENVELOPE
from worker.investigate.edits import Edit, applied
from worker.investigate.field_types import UNKNOWN, FieldKind, FieldType, object_of
from worker.investigate.json_spans import Span, spans_of
from worker.investigate.redaction.kept_values import stays
from worker.investigate.redaction.stand_ins import StandIns, is_stand_in
from worker.investigate.redaction.text_kinds import PersonalKind, kind_of_text
from worker.investigate.redaction.trace_headers import kept_headers

_UNKNOWN_NAME: Final = "*"
_TEXTS_MAX: Final = 2
"""An event stands in a message's body, and in a notification's message there. A text of JSON within more texts is
replaced as a whole, so that none exhausts the stack."""
_DEPTH_MAX: Final = DEFAULT_LIMITS.depth_max
_FORMS: Final = {FieldKind.CREDENTIAL: PersonalKind.TOKEN, FieldKind.PERSON: PersonalKind.NAME}
"""The kind of a text without a form of its own, by its field."""


class Redactor:
    """Redacts objects one after another. `replaced`: how many values of a kind stood in a field, by both."""

    def __init__(self, stand_ins: StandIns) -> None:
        self.replaced: Counter[tuple[PersonalKind, str]] = Counter()
        self._stand_ins = stand_ins
        self._texts_around = 0

    def redact(self, text: str, of: FieldType = ENVELOPE) -> str:
        """The object's text, which is JSON, with stand-ins."""
        if _is_clean(text, of):
            return text
        self._texts_around += 1
        try:
            return applied(text, 0, len(text), self._edits(text, spans_of(text), of, ()))
        finally:
            self._texts_around -= 1

    def _edits(self, text: str, span: Span, of: FieldType, path: tuple[str, ...]) -> Iterator[Edit]:
        match span.kind:
            case "object":
                yield from self._object_edits(text, span, of if of.kind is FieldKind.OBJECT else UNKNOWN, path)
            case "list":
                for item in span.items:
                    yield from self._edits(text, item, of.item_type, path)
            case "string":
                yield from self._text_edits(text, span, of, path)
            case "scalar":
                yield from self._scalar_edits(text, span, of, path)

    def _object_edits(self, text: str, span: Span, of: FieldType, path: tuple[str, ...]) -> Iterator[Edit]:
        for name_span, value in span.members:
            name = name_span.value(text)
            shown = name if name in of.fields else _UNKNOWN_NAME
            if not _is_kept_name(name, of):
                yield self._replaced(name_span, PersonalKind.FIELD_NAME, name, (*path, shown))
            yield from self._edits(text, value, of.field(name), (*path, shown))

    def _text_edits(self, text: str, span: Span, of: FieldType, path: tuple[str, ...]) -> Iterator[Edit]:
        value = span.value(text)
        if stays(value, of):
            return
        kept = self._kept_part(value, of)
        if kept is None:
            yield self._replaced(span, _FORMS.get(of.kind, PersonalKind.TEXT), value, path)
        elif kept != value:
            yield Edit(span.start, span.end, json.dumps(kept, ensure_ascii=False))

    def _kept_part(self, value: str, of: FieldType) -> str | None:
        """The text with what stays of the JSON in it; None where the text as a whole is replaced."""
        match of.kind:
            case FieldKind.JSON_TEXT if self._texts_around <= _TEXTS_MAX and _is_object(value):
                return self.redact(value, object_of(of.fields))
            case FieldKind.TRACE_HEADERS:
                return kept_headers(value)
            case _:
                return None

    def _scalar_edits(self, text: str, span: Span, of: FieldType, path: tuple[str, ...]) -> Iterator[Edit]:
        value = span.value(text)
        if stays(value, of):
            return
        if isinstance(value, bool):
            self.replaced[PersonalKind.FLAG, ".".join(path)] += 1
            yield Edit(span.start, span.end, "null")
            return
        self.replaced[PersonalKind.NUMBER, ".".join(path)] += 1
        yield Edit(span.start, span.end, str(self._stand_ins.number(value)))

    def _replaced(self, span: Span, kind: PersonalKind, value: str, path: tuple[str, ...]) -> Edit:
        counted = kind_of_text(value) if kind is PersonalKind.TEXT else kind
        self.replaced[counted, ".".join(path)] += 1
        # A person's name is the same text in a field of free text.
        shown = PersonalKind.TEXT if kind is PersonalKind.NAME else kind
        return Edit(span.start, span.end, json.dumps(self._stand_ins.text(value, shown)))


class _RepeatedName(ValueError):
    """A name that stands twice in one object: a parser keeps the last value, and the text holds both."""


def _is_clean(text: str, of: FieldType) -> bool:
    """Whether nothing has to be replaced: most events of work-items. Looking takes a fifth of the time of edits."""
    try:
        value = orjson.loads(text)
        # A text that is written as JavaScript writes it has each name once.
        if orjson.dumps(value).decode() != text:
            value = json.loads(text, object_pairs_hook=_with_each_name_once)
    except (ValueError, TypeError):
        # Half a surrogate pair, a number beyond 64 bits, a repeated name.
        return False
    return _is_kept(value, of)


def _with_each_name_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise _RepeatedName
    return members


def _is_kept(value: Any, of: FieldType) -> bool:
    """Whether every name and value in a value is one that stays."""
    if isinstance(value, dict):
        known = of if of.kind is FieldKind.OBJECT else UNKNOWN
        return all(_is_kept_name(name, known) and _is_kept(inner, known.field(name)) for name, inner in value.items())
    if isinstance(value, list):
        return all(_is_kept(inner, of.item_type) for inner in value)
    return stays(value, of)


def _is_kept_name(name: str, of: FieldType) -> bool:
    return name in of.fields or is_stand_in(name)


def _is_object(text: str) -> bool:
    """Whether a text is an object that may be gone through."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return isinstance(value, dict) and depth_of(value, stop_above=_DEPTH_MAX) <= _DEPTH_MAX
