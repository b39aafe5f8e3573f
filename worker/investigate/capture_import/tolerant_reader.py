"""Reads one JSON object from a damaged text, by what is known of the fields' types.

    grammar of JSON, and besides                                       assumed
    "users":,           "users":}         the field is a list          []
    "users":"a","b"     "users":{…},{…}   the field is a list          ["a","b"]
    "tags":"a","b"                        of unknown type              ["a","b"]: nothing else has this form
    ["a","b","rev":1                      a name follows               ["a","b"],"rev":1
    {"a":1,}            ["a",]                                         the comma is one too many
    “a”:“b”                                                            "a":"b"
    a line break inside a text                                         text_mending.py
    the text ends       one bracket open, or the event is whole        cut_tail.py

A value of any other form, a lost value of a field that is no list, and a name that stands twice or in the wrong object
raise Unreadable: a guess there would be a wrong value. Libraries that repair JSON guess without the types, and say
neither where nor what they assumed; that is why this reader exists.
"""

import json
import re
from collections.abc import Callable
from typing import Final

import orjson
from msgspec import Struct

from handlers.events.envelope import DEFAULT_LIMITS
from worker.investigate.capture_import.cut_tail import Frame, close_cut_text
from worker.investigate.capture_import.heads import BEGINNING
from worker.investigate.capture_import.repairs import Ended, Repair, RepairKind, Unreadable
from worker.investigate.capture_import.text_mending import (
    IN_TEXT,
    MendedText,
    QuotedText,
    closing_smart_quote,
    mend_name,
    mend_text,
    straight_content,
    wrapped_at,
)
from worker.investigate.captured_fields import ENVELOPE
from worker.investigate.edits import Edit, applied
from worker.investigate.field_types import UNKNOWN, FieldKind, FieldType, object_of
from worker.investigate.soundness import is_sound, parsed

_BLANKS: Final = re.compile(r"[ \t\r\n]*")
_ODD_BLANKS: Final = re.compile("[\u00a0\u200b\ufeff]+")
_STRICT_STRING: Final = re.compile(r'"[^"\\\x00-\x1f]*(?:\\.[^"\\\x00-\x1f]*)*"')
_BROKEN_STRING: Final = re.compile(r'"[^"\\]*(?:\\[\s\S][^"\\]*)*"')
_INDENTED_BREAK: Final = re.compile(r"[ \t][\r\n]|[\r\n][ \t]")
_SCALAR: Final = re.compile(r"(?:true|false|null|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.+-])")
_SCALAR_START: Final = re.compile(r"[-\d]|true|false|null")
_KEY_AFTER: Final = re.compile(r"[ \t\r\n]*:")
_OWN_BRACKET: Final = re.compile(r"[ \t\r\n]*\][ \t\r\n]*(?:\}|,[ \t\r\n]*[\"“”„‟])")
"""A closing bracket, behind which the object around the list goes on."""
_OPENING: Final = frozenset('"“”„‟')


_SIMPLE_KINDS: Final = frozenset({
    FieldKind.ID, FieldKind.TIME, FieldKind.WORD, FieldKind.PATH, FieldKind.NUMBER, FieldKind.FLAG, FieldKind.JSON_TEXT,
    FieldKind.TRACE_HEADERS, FieldKind.CREDENTIAL,
})  # fmt: skip


class Reading(Struct, frozen=True, kw_only=True):
    """An object as JSON text. `end`: where it ends in the source. `repairs`: in their order; none: untouched.
    `foreign`: the place and name of the first field that belongs to an object around its own."""

    text: str
    end: int
    foreign: tuple[int, str] | None
    repairs: tuple[Repair, ...]


def read_damaged(text: str, start: int = 0, of: FieldType = ENVELOPE, *, is_behind_damage: bool = False) -> Reading:
    """The object that begins at `start`. Raises Unreadable.

    `is_behind_damage`: the object stands in a text that is damaged before it, so a brace that closes it may be
    another's.
    """
    reading = _read(text, start, of, breaks_are_inserted=False)
    if is_behind_damage and reading.foreign is not None:
        raise _lost_brace(*reading.foreign)
    breaks = {repair.assumed for repair in reading.repairs if repair.kind is RepairKind.LINE_BREAK}
    if IN_TEXT in breaks and len(breaks) > 1:
        return _read(text, start, of, breaks_are_inserted=True)
    return reading


def _read(text: str, start: int, of: FieldType, *, breaks_are_inserted: bool) -> Reading:
    reader = _Reader(text, start, breaks_are_inserted=breaks_are_inserted)
    try:
        reader.read_object(of)
        end = reader.position
        edits = reader.edits
    except Ended as ended:
        if reader.foreign is not None:
            raise _lost_brace(*reader.foreign) from ended
        closed = close_cut_text(text, start, ended.offset, reader.frames, event_is_whole=reader.event_is_whole)
        reader.repairs.append(closed.repair)
        end = closed.end
        edits = [*(edit for edit in reader.edits if edit.end <= closed.keep), closed.edit]
    except RecursionError as error:
        raise Unreadable(start, "nests too deep") from error
    mended = applied(text, start, end, edits)
    try:
        parsed(mended)
    except ValueError as error:
        raise Unreadable(start, f"no JSON: {str(error).split(':')[0]}") from error
    return Reading(
        text=mended, end=end, foreign=reader.foreign, repairs=tuple(sorted(reader.repairs, key=lambda one: one.offset))
    )


class _Reader:
    """One pass over the text. `frames`: the open objects and lists, the innermost last. `foreign`: the first name that
    stands in an object and belongs to one around it, with its place."""

    def __init__(self, text: str, start: int, *, breaks_are_inserted: bool) -> None:
        self._breaks_are_inserted = breaks_are_inserted
        self.position = start
        self.edits: list[Edit] = []
        self.repairs: list[Repair] = []
        self.frames: list[Frame] = []
        self.event_is_whole = False
        self.foreign: tuple[int, str] | None = None
        self._text = text
        self._has_odd_quotes = False
        self._has_odd_blanks = False

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
            if char == "]" and not after_comma >= 0 and self._closes_outer_list():
                self._add_brace(frame)
                break
            if char not in _OPENING or (after_comma < 0 and frame.names):
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
            self._mend(RepairKind.EMPTY_LIST, self.position, "[" if char == "]" else "[]", "an empty list")
            self.position += char == "]"
            return
        start = self.position
        if of.kind is FieldKind.LIST and char != "[":
            if char == "n":
                self._scalar()
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
        self._mend(RepairKind.LIST_BRACKETS, start, "[", f"a list of {count}", length=0)
        if self._peek_after_blanks() == "]" and _OWN_BRACKET.match(self._text, self.position):
            self._next()
            self.position += 1
        else:
            self.edits.append(Edit(self.position, self.position, "]"))

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
                self._mend(RepairKind.LIST_BRACKETS, end, "]", "the list ended here", length=0)
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
        return after_comma >= 0 and char in _OPENING and self._is_name()

    def _value(self, of: FieldType) -> None:
        char = self._next()
        if char in "{[" and of.kind in _SIMPLE_KINDS:
            raise Unreadable(self.position, f"an object or a list stands in the place of a {of.kind.value}")
        if char == "{":
            self.read_object(of if of.kind is FieldKind.OBJECT else UNKNOWN)
        elif char == "[":
            self._read_list(of)
        elif char in _OPENING:
            self._string(of)
        else:
            self._scalar()

    # -- texts and scalars

    def _name(self, of: FieldType) -> str:
        quoted = self._quoted()
        mended = mend_name(quoted.content, lambda name: name in of.fields)
        self._take(quoted, mended)
        return _decoded(quoted.content if mended is None else mended.content, quoted.start)

    def _string(self, of: FieldType) -> None:
        quoted = self._quoted()
        if of.kind is FieldKind.JSON_TEXT:
            self._take(quoted, _mended_json_text(quoted.content, of))
        else:
            self._take(quoted, mend_text(quoted.content, of, breaks_are_inserted=self._breaks_are_inserted))

    def _quoted(self) -> QuotedText:
        """The text at the position, and its content between the quotes; the position is moved behind it."""
        start = self.position
        opening = self._text[start]
        if opening == '"':
            found = _STRICT_STRING.match(self._text, start) or _BROKEN_STRING.match(self._text, start)
            if found is None:
                raise Ended(len(self._text))
            end = found.end()
            content = self._text[start + 1 : end - 1]
        else:
            end = closing_smart_quote(self._text, start)
            if end < 0:
                raise Ended(len(self._text))
            content = straight_content(self._text[start + 1 : end - 1])
        if "{" in content and (another := BEGINNING.search(self._text, start + 1, end - 1)) is not None:
            # A text that is cut off ends at a quote of the record behind it.
            raise Unreadable(another.start(), "another record begins inside a text")
        self.position = end
        return QuotedText(start=start, end=end, content=content, is_smart=opening != '"')

    def _take(self, quoted: QuotedText, mended: MendedText | None) -> None:
        content = quoted.content if mended is None else mended.content
        if quoted.is_smart:
            if not self._has_odd_quotes:
                self._repaired(RepairKind.QUOTES, quoted.start, "typographic quotes stand for straight ones")
            self._has_odd_quotes = True
        if mended is not None:
            self._repaired(mended.kind, quoted.start, mended.assumed)
            for repair in mended.inner:
                self._repaired(repair.kind, quoted.start, repair.assumed)
        if mended is not None or quoted.is_smart:
            self.edits.append(Edit(quoted.start, quoted.end, f'"{content}"'))

    def _scalar(self) -> None:
        found = _SCALAR.match(self._text, self.position)
        if found is None:
            rest = self._text[self.position :].rstrip()
            if rest == "-" or any(word.startswith(rest) for word in ("true", "false", "null")):
                raise Ended(len(self._text))
            raise Unreadable(self.position, "no JSON value")
        self.position = found.end()

    # -- looking

    def _next(self) -> str:
        """Skip blanks; the character there. Raises Ended."""
        while True:
            self.position = self._after_blanks(self.position)
            if self.position >= len(self._text):
                raise Ended(len(self._text))
            odd = _ODD_BLANKS.match(self._text, self.position)
            if odd is None:
                return self._text[self.position]
            self.edits.append(Edit(self.position, odd.end(), " "))
            if not self._has_odd_blanks:
                self._repaired(RepairKind.BLANKS, self.position, "no-break blanks are blanks")
            self._has_odd_blanks = True
            self.position = odd.end()

    def _after_blanks(self, at: int) -> int:
        found = _BLANKS.match(self._text, at)
        assert found is not None, "blanks may be none"
        return found.end()

    def _peek_after_blanks(self) -> str:
        at = self._after_blanks(self.position)
        return self._text[at : at + 1]

    def _is_followed_by_item(self) -> bool:
        """Whether a comma and then a value follow that is no name: the form of a list without brackets."""
        at = self._after_blanks(self.position)
        if self._text[at : at + 1] != ",":
            return False
        begin = self._after_blanks(at + 1)
        char = self._text[begin : begin + 1]
        if char == "{":
            # Between two values of a capture stand a comma and a line break, too.
            return len(self.frames) > 1 or "\n" not in self._text[at:begin] or not BEGINNING.match(self._text, begin)
        if char in _OPENING and char:
            return not self._is_name(begin)
        return char == "[" or _SCALAR_START.match(self._text, begin) is not None

    def _is_name(self, at: int | None = None) -> bool:
        """Whether the text there is followed by a colon. A text that is cut off counts as a name."""
        start = self.position if at is None else at
        if self._text[start] == '"':
            found = _BROKEN_STRING.match(self._text, start)
            end = -1 if found is None else found.end()
        else:
            end = closing_smart_quote(self._text, start)
        return end < 0 or _KEY_AFTER.match(self._text, end) is not None

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
            raise _lost_brace(*self.foreign)
        self._mend(RepairKind.LAST_BRACE, frame.good_end, "}", "the last brace was lost", length=0)
        self.position = frame.good_end

    def _drop_comma(self, at: int) -> None:
        if at >= 0:
            self._mend(RepairKind.TRAILING_COMMA, at, "", "the comma before the bracket is one too many", length=1)

    def _stray(self, frame: Frame, after_comma: int) -> Exception:
        """What stands in an object's place for a name: the text of the next value on a line of its own, or damage."""
        end = frame.good_end
        is_next_value = after_comma < 0 and self._text[self.position] == "{"
        if len(self.frames) == 1 and frame.names and (is_next_value or "\n" in self._text[end : self.position]):
            return Ended(end)
        return Unreadable(self.position, "no name of a field, no comma and no closing brace")

    def _mend(self, kind: RepairKind, at: int, text: str, assumed: str, *, length: int = 0) -> None:
        self.edits.append(Edit(at, at + length, text))
        self._repaired(kind, at, assumed)

    def _repaired(self, kind: RepairKind, at: int, assumed: str) -> None:
        frame = self.frames[-1] if self.frames else None
        path = (*frame.path, *frame.last_name) if frame is not None else ()
        self.repairs.append(Repair(kind=kind, offset=at, path=path, assumed=assumed))


def _mended_json_text(content: str, of: FieldType) -> MendedText | None:
    """The content of a text that holds JSON, repaired as JSON; None if that needs no repair."""
    joined = re.sub(r"[\r\n]+", "", content)
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
    reading = read_damaged(inner, start, object_of(of.fields))
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


def _decoded(content: str, at: int) -> str:
    try:
        decoded = orjson.loads(f'"{content}"')
    except orjson.JSONDecodeError as error:
        raise Unreadable(at, "the name of a field is no JSON text") from error
    return str(decoded)


def _lost_brace(offset: int, name: str) -> Unreadable:
    return Unreadable(offset, f"a closing brace is lost before {name}")


def _shown(name: str, of: FieldType) -> str:
    return name if name in of.fields else "a field"
