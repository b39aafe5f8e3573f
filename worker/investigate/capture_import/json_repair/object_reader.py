"""One pass over a damaged text that begins with an object: the grammar of `tolerant_reader.py`."""

import re
from collections.abc import Callable
from typing import Final

import orjson

from handlers.events.envelope import DEFAULT_LIMITS
from worker.investigate.capture_import.json_repair.cut_tail import Frame
from worker.investigate.capture_import.json_repair.damaged_tokens import (
    OPENING_QUOTES,
    after_blanks,
    is_followed_by_item,
    is_name,
    quoted_text,
    scalar_end,
)
from worker.investigate.capture_import.json_repair.held_json import ReadText, mend_json_text
from worker.investigate.capture_import.json_repair.notes import RepairNotes
from worker.investigate.capture_import.json_repair.repairs import Ended, RepairKind, Unreadable, lost_brace
from worker.investigate.capture_import.json_repair.text_mending import QuotedText, mend_name, mend_text
from worker.investigate.edits import Edit
from worker.investigate.field_types import UNKNOWN, FieldKind, FieldType

_ODD_BLANKS: Final = re.compile("[\u00a0\u200b\ufeff]+")
_OWN_BRACKET: Final = re.compile(r"[ \t\r\n]*\][ \t\r\n]*(?:\}|,[ \t\r\n]*[\"“”„‟])")
"""A closing bracket, behind which the object around the list goes on."""


_SIMPLE_KINDS: Final = frozenset({
    FieldKind.ID, FieldKind.TIME, FieldKind.WORD, FieldKind.PATH, FieldKind.NUMBER, FieldKind.FLAG, FieldKind.JSON_TEXT,
    FieldKind.TRACE_HEADERS, FieldKind.CREDENTIAL,
})  # fmt: skip


class ObjectReader:
    """One pass over the text. `frames`: the open objects and lists, the innermost last. `foreign`: the first name that
    stands in an object and belongs to one around it, with its place. `read_inner` reads the JSON that a text holds.
    `breaks_are_inserted`: a viewer broke the text's lines."""

    def __init__(
        self, text: str, start: int, read_inner: Callable[[str, int, FieldType], ReadText], *, breaks_are_inserted: bool
    ) -> None:
        self._read_inner = read_inner
        self._breaks_are_inserted = breaks_are_inserted
        self.position = start
        self.frames: list[Frame] = []
        self.notes = RepairNotes(self.frames)
        self.event_is_whole = False
        self.foreign: tuple[int, str] | None = None
        self._text = text

    # -- objects and lists

    def read_object(self, of: FieldType) -> None:
        """Read the object at the position."""
        frame = self._open("}", of)
        after_comma = -1
        while True:
            char = self._next()
            if char == "}":
                self._drop_comma(after_comma)
                self.position += 1
                break
            if char == "]" and after_comma < 0 and self._closes_outer_list():
                self._add_brace(frame)
                break
            if char not in OPENING_QUOTES or (after_comma < 0 and frame.names):
                raise self._stray(frame, after_comma)
            after_comma = self._member(frame)
        self._close(frame)

    def _member(self, frame: Frame) -> int:
        """Read a name and its value. Returns the position of the comma after it, -1 if there is none."""
        at = self.position
        name = self._name(frame.of)
        if name in frame.names:
            raise Unreadable(at, f"{_shown(name, frame.of)} stands twice in one object")
        if frame.add_name(name, self.frames[:-1]) and self.foreign is None:
            self.foreign = at, name
        if self._next() != ":":
            raise Unreadable(self.position, f"no colon after {_shown(name, frame.of)}")
        self.position += 1
        self._field_value(frame.of.field(name), frame)
        frame.end_value(self.position)
        if self._next() != ",":
            return -1
        self.position += 1
        return self.position - 1

    def _field_value(self, of: FieldType, frame: Frame) -> None:
        char = self._next()
        if char in ",}" or (char == "]" and of.kind is FieldKind.LIST):
            if of.kind is not FieldKind.LIST:
                raise Unreadable(self.position, f"{frame.shown_name} has no value, and its type does not say which")
            self.notes.mend(RepairKind.EMPTY_LIST, self.position, "[" if char == "]" else "[]", "an empty list")
            self.position += char == "]"
            return
        start = self.position
        if of.kind is FieldKind.LIST and char != "[":
            if char == "n":
                self.position = scalar_end(self._text, self.position)
            else:
                self._bare_list(start, of.item_type, lambda: self._value(of.item_type))
            return
        self._value(of)
        if not self._is_followed_by_item():
            return
        if of.kind is not FieldKind.UNKNOWN:
            raise Unreadable(self.position, f"a second value follows {frame.shown_name}, which is no list")
        self._bare_list(start, UNKNOWN, None)

    def _bare_list(self, start: int, item: FieldType, first: Callable[[], None] | None) -> None:
        """Read the items of a list that lost its brackets. `first` reads the first item; None: it is read."""
        if first is not None:
            first()
        count = 1
        while self._is_followed_by_item():
            self._next()
            self.position += 1
            self._next()
            self._value(item)
            count += 1
        self.notes.mend(RepairKind.LIST_BRACKETS, start, "[", f"a list of {count}", length=0)
        if _OWN_BRACKET.match(self._text, self.position):
            self._next()
            self.position += 1
        else:
            self.notes.edits.append(Edit(self.position, self.position, "]"))

    def _read_list(self, of: FieldType) -> None:
        frame = self._open("]", of)
        after_comma, is_empty = -1, True
        while True:
            char = self._next()
            if char == "]":
                self._drop_comma(after_comma)
                self.position += 1
                break
            if self._misses_bracket(char, after_comma, is_empty=is_empty):
                end = self.position if after_comma < 0 else after_comma
                self.notes.mend(RepairKind.LIST_BRACKETS, end, "]", "the list ended here", length=0)
                self.position = end
                break
            if char == "," or (after_comma < 0 and not is_empty):
                raise Unreadable(self.position, "no comma between two items of a list")
            self._value(of.item_type)
            frame.end_value(self.position)
            is_empty, after_comma = False, -1
            if self._next() == ",":
                after_comma = self.position
                self.position += 1
        self._close(frame)

    def _misses_bracket(self, char: str, after_comma: int, *, is_empty: bool) -> bool:
        """Whether the list's closing bracket is lost: the object around it goes on, or ends."""
        if char == "}":
            return after_comma < 0
        if char == "," and is_empty and after_comma < 0:
            return True
        return after_comma >= 0 and char in OPENING_QUOTES and is_name(self._text, self.position)

    def _value(self, of: FieldType) -> None:
        char = self._next()
        if char in "{[" and of.kind in _SIMPLE_KINDS:
            raise Unreadable(self.position, f"an object or a list stands in the place of a {of.kind.value}")
        if char == "{":
            self.read_object(of if of.kind is FieldKind.OBJECT else UNKNOWN)
        elif char == "[":
            self._read_list(of)
        elif char in OPENING_QUOTES:
            self._string(of)
        else:
            self.position = scalar_end(self._text, self.position)

    # -- texts, blanks and items

    def _name(self, of: FieldType) -> str:
        quoted = self._quoted()
        mended = mend_name(quoted.content, lambda name: name in of.fields)
        self.notes.mend_text(quoted, mended)
        return _decoded(quoted.content if mended is None else mended.content, quoted.start)

    def _string(self, of: FieldType) -> None:
        quoted = self._quoted()
        if of.kind is FieldKind.JSON_TEXT:
            mended = mend_json_text(quoted.content, of, self._read_inner)
        else:
            mended = mend_text(quoted.content, of, breaks_are_inserted=self._breaks_are_inserted)
        self.notes.mend_text(quoted, mended)

    def _quoted(self) -> QuotedText:
        """The text at the position, which is moved behind it."""
        quoted = quoted_text(self._text, self.position)
        self.position = quoted.end
        return quoted

    def _next(self) -> str:
        """Skip blanks; the character there. Raises Ended."""
        while True:
            self.position = after_blanks(self._text, self.position)
            if self.position >= len(self._text):
                raise Ended(len(self._text))
            odd = _ODD_BLANKS.match(self._text, self.position)
            if odd is None:
                return self._text[self.position]
            self.notes.mend_blanks(self.position, odd.end())
            self.position = odd.end()

    def _is_followed_by_item(self) -> bool:
        return is_followed_by_item(self._text, self.position, is_outermost=len(self.frames) == 1)

    def _closes_outer_list(self) -> bool:
        """Whether an object around this one stands in a list that is open. The outermost may stand in one, too."""
        return len(self.frames) == 1 or any(frame.closer == "]" for frame in self.frames[:-1])

    # -- frames and edits

    def _open(self, closer: str, of: FieldType) -> Frame:
        path = (*self.frames[-1].path, *self.frames[-1].last_name) if self.frames else ()
        if len(self.frames) >= DEFAULT_LIMITS.depth_max:
            raise Unreadable(self.position, f"nests deeper than {DEFAULT_LIMITS.depth_max} levels")
        self.position += 1
        frame = Frame(closer=closer, of=of, path=path, good_end=self.position)
        self.frames.append(frame)
        return frame

    def _close(self, frame: Frame) -> None:
        self.frames.pop()
        if {"name", "data"} <= frame.names and "body" not in frame.names and "changes" in frame.of.fields:
            self.event_is_whole = True

    def _add_brace(self, frame: Frame) -> None:
        if self.foreign is not None:
            raise lost_brace(*self.foreign)
        self.notes.mend(RepairKind.LAST_BRACE, frame.good_end, "}", "the last brace was lost", length=0)
        self.position = frame.good_end

    def _drop_comma(self, at: int) -> None:
        if at >= 0:
            self.notes.mend(RepairKind.TRAILING_COMMA, at, "", "the comma before the bracket is one too many", length=1)

    def _stray(self, frame: Frame, after_comma: int) -> Exception:
        """What stands in an object's place for a name: the text of the next value on a line of its own, or damage."""
        end = frame.good_end
        is_next_value = after_comma < 0 and self._text[self.position] == "{"
        if len(self.frames) == 1 and frame.names and (is_next_value or "\n" in self._text[end : self.position]):
            return Ended(end)
        return Unreadable(self.position, "no name of a field, no comma and no closing brace")


def _decoded(content: str, at: int) -> str:
    try:
        decoded = orjson.loads(f'"{content}"')
    except orjson.JSONDecodeError as error:
        raise Unreadable(at, "the name of a field is no JSON text") from error
    return str(decoded)


def _shown(name: str, of: FieldType) -> str:
    return name if name in of.fields else "a field"
