"""Replaces personal data in a captured object's JSON text.

What stays is a list: the fields of `worker.investigate.captured_fields` that are an id, a time, a word, a path, a
number or a flag, where their value has that form; null, `""`, `[]` and `{}`. Everything else is replaced, the names of
unknown fields too. What is not replaced stays byte for byte.
"""

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import orjson

from worker.investigate.captured_fields import ENVELOPE
from worker.investigate.conforming import conforms
from worker.investigate.edits import Edit, applied
from worker.investigate.field_types import UNKNOWN, FieldKind, FieldType, object_of
from worker.investigate.json_spans import Span, spans_of
from worker.investigate.redaction.stand_ins import PersonalKind, StandIns, kind_of_text

_UNKNOWN_NAME: Final = "*"


class Redactor:
    """Redacts objects one after another. `replaced`: how many values of a kind stood in a field, by both."""

    def __init__(self, stand_ins: StandIns) -> None:
        self.replaced: Counter[tuple[PersonalKind, str]] = Counter()
        self._stand_ins = stand_ins

    def redact(self, text: str, of: FieldType = ENVELOPE) -> str:
        """The object's text, which is JSON, with stand-ins."""
        if self._is_clean(text, of):
            return text
        span = spans_of(text)
        return applied(text, 0, len(text), self._edits(text, span, of, ()))

    @staticmethod
    def _is_clean(text: str, of: FieldType) -> bool:
        """Whether nothing has to be replaced: most events of work-items. Looking takes a fifth of the time of edits."""
        try:
            return _is_kept(orjson.loads(text), of)
        except orjson.JSONDecodeError:
            # Half a surrogate pair.
            return False

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
            if name in of.fields:
                shown = name
            else:
                shown = _UNKNOWN_NAME
                yield self._replaced(name_span, PersonalKind.FIELD_NAME, name, (*path, shown))
            yield from self._edits(text, value, of.field(name), (*path, shown))

    def _text_edits(self, text: str, span: Span, of: FieldType, path: tuple[str, ...]) -> Iterator[Edit]:
        value = span.value(text)
        if not value or conforms(value, of):
            return
        match of.kind:
            case FieldKind.JSON_TEXT if _is_object(value):
                inner = self.redact(value, object_of(of.fields))
                if inner != value:
                    yield Edit(span.start, span.end, json.dumps(inner, ensure_ascii=False))
            case FieldKind.CREDENTIAL:
                yield self._replaced(span, PersonalKind.TOKEN, value, path)
            case FieldKind.PERSON:
                yield self._replaced(span, PersonalKind.NAME, value, path)
            case _:
                yield self._replaced(span, kind_of_text(value), value, path)

    def _scalar_edits(self, text: str, span: Span, of: FieldType, path: tuple[str, ...]) -> Iterator[Edit]:
        value = span.value(text)
        if conforms(value, of):
            return
        if isinstance(value, bool):
            self.replaced[PersonalKind.FLAG, ".".join(path)] += 1
            yield Edit(span.start, span.end, "null")
            return
        self.replaced[PersonalKind.NUMBER, ".".join(path)] += 1
        yield Edit(span.start, span.end, self._stand_ins.number(text[span.start : span.end]))

    def _replaced(self, span: Span, kind: PersonalKind, value: str, path: tuple[str, ...]) -> Edit:
        self.replaced[kind, ".".join(path)] += 1
        return Edit(span.start, span.end, json.dumps(self._stand_ins.text(kind, value)))


def _is_kept(value: Any, of: FieldType) -> bool:
    """Whether every name and value in a value is one that stays."""
    if isinstance(value, dict):
        fields = of.fields if of.kind is FieldKind.OBJECT else {}
        return all(name in fields and _is_kept(inner, fields[name]) for name, inner in value.items())
    if isinstance(value, list):
        return all(_is_kept(inner, of.item_type) for inner in value)
    return value == "" or conforms(value, of)


def _is_object(text: str) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False
