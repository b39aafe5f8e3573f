"""Damaged texts that hold JSON: the messages that SNS and SQS quote, and the log lines in wrappers."""

import json
import re
from collections.abc import Callable
from typing import Final

from msgspec import Struct

from worker.investigate.capture_import.json_repair.repairs import Repair, RepairKind, Unreadable
from worker.investigate.capture_import.json_repair.text_mending import MendedText, mend_text, wrapped_at
from worker.investigate.field_types import FieldType, object_of
from worker.investigate.soundness import is_sound

_LINE_BREAKS: Final = re.compile(r"[\r\n]+")
_INDENTED_BREAK: Final = re.compile(r"[ \t][\r\n]|[\r\n][ \t]")


class ReadText(Struct, frozen=True, kw_only=True):
    """An object as JSON text. `end`: where it ends in the source. `repairs`: in their order; none: untouched."""

    text: str
    end: int
    repairs: tuple[Repair, ...]


def mend_json_text(content: str, of: FieldType, read: Callable[[str, int, FieldType], ReadText]) -> MendedText | None:
    """The content of a text that holds JSON, repaired as JSON; None if that needs no repair. `read` reads the object
    that begins at a place. Raises Unreadable."""
    joined = _LINE_BREAKS.sub("", content)
    if (
        joined != content
        and (wrapped_at(content) or not _INDENTED_BREAK.search(content))
        and (text := _loaded(joined)) is not None
        and is_sound(text, object_of(of.fields))
    ):
        return MendedText(
            content=joined, assumed="the line breaks are none of the characters of a text that holds JSON"
        )
    try:
        inner = json.loads(f'"{content}"', strict=False)
    except json.JSONDecodeError as error:
        raise Unreadable(0, "a text that holds JSON has a character that is escaped wrongly") from error
    start = inner.find("{")
    if start < 0 or (is_sound(inner, of) and inner.isprintable()):
        return mend_text(content, of)
    reading = read(inner, start, object_of(of.fields))
    if inner[:start].strip() or inner[reading.end :].strip():
        raise Unreadable(0, "more than one value stands in a text that holds JSON")
    if not reading.repairs:
        return mend_text(content, of)
    return MendedText(
        content=json.dumps(reading.text, ensure_ascii=False)[1:-1],
        assumed="the text holds JSON, which is repaired",
        kind=RepairKind.JSON_TEXT,
        inner=reading.repairs,
    )


def _loaded(content: str) -> str | None:
    try:
        return str(json.loads(f'"{content}"', strict=False))
    except json.JSONDecodeError:
        return None
