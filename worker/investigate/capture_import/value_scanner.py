"""Finds the JSON objects in lines of text: where each begins, and where it ends or breaks off.

An object may span lines, and prose may stand around it. An object that is damaged has no certain end. It is handed on
where a line begins another one, where a line is no JSON, or where its part of the document ends.
"""

import re
from collections.abc import Iterator
from typing import Final

import orjson
from msgspec import Struct

from worker.captures import CHARACTERS_MAX
from worker.investigate.capture_import.heads import BEGINNING, HEAD, QUOTE
from worker.investigate.capture_import.json_repair.text_mending import closing_smart_quote
from worker.investigate.capture_import.log_lines import LogLine

_BETWEEN: Final = " \t\r\n,[]"
_BEGIN: Final = re.compile(rf"\{{(?=\s*{QUOTE})|\{{(?=[\s,]*$)")
"""A brace before a name, or at the end of a line: `{code}` in prose is no object. Of an object in a list that is cut
off behind its brace a comma follows."""
_LIST_OF_VALUES: Final = re.compile(r'\s*\{\s*"(?:data|results|events|logs|hits|Records)"\s*:\s*\[')
"""The head of an answer of Datadog's and CloudWatch's APIs; what it lists is read one by one."""
_BEHIND_LIST: Final = re.compile(r'[\s\],]*"(?:links|meta|statistics|page)"\s*:\s*')
"""What stands in such an answer behind its list."""
_MARKS: Final = re.compile(r'["\\“”„‟{}]')
_STRING_END: Final = re.compile(r'["\\]')
_HEAD: Final = re.compile(rf"[\[,]?\s{{0,3}}{HEAD}")
"""The beginning of a log line, a message or an event at the beginning of a line."""
_JSON_LIKE: Final = re.compile(r"\s*(?:[\"“”„‟{}\[\],:]|-?\d|true|false|null|$)")
_COMPACT: Final = re.compile(rf"\{{{QUOTE}")
"""The beginning of an object on one line."""
_MACRO: Final = re.compile(r"\s*(?:\{[a-z][\w:=|#. -]*\}|```|~~~)", re.IGNORECASE)
"""A macro of a wiki, or the end of a code block."""
_FRAGMENT: Final = re.compile(r'["“”][\w@.-]+["“”]\s*:.*["“”][\w@.-]+["“”]\s*:.*\}', re.DOTALL)
_WIDTH_MIN: Final = 40
_WIDTH_MAX: Final = 512
"""The widths at which viewers wrap."""
_FIELD: Final = re.compile(rf"{QUOTE}[\w@.-]+{QUOTE}\s*:\s*$")
"""A field's name: the object behind it is the value of an object whose beginning is lost."""


class FoundText(Struct, frozen=True, kw_only=True):
    """A text that begins with an object's brace. `line`: of its beginning. `lines`: the number of each of its lines;
    in a note, lines between them may be none of its text."""

    line: int
    text: str
    lines: tuple[int, ...] = ()


class Fragment(Struct, frozen=True, kw_only=True):
    """Lines that hold parts of objects without their beginnings, and no other object between them."""

    line: int
    last_line: int


class PassedOver(Struct, frozen=True, kw_only=True):
    """A line in which a record begins that nothing was made of."""

    line: int


class TooLong(Struct, frozen=True, kw_only=True):
    """An object that is longer than `worker.captures.CHARACTERS_MAX`, which is passed over until `last_line`."""

    line: int
    last_line: int


Found = FoundText | Fragment | TooLong | PassedOver


class ValueScanner:
    """Takes lines and yields what it finds in them. `end_part` ends a part of the document, as a code block."""

    def __init__(self) -> None:
        self._held: list[str] = []
        self._lines: list[int] = []
        self._first_line = 0
        self._length = 0
        self._depth = 0
        self._quote = ""
        self._last_char = ""
        self._fragment: tuple[int, int] | None = None
        self._is_escaped = False
        self._is_listed = False

    def feed(self, line: LogLine) -> Iterator[Found]:
        """Take a line."""
        text = line.text
        if self._held:
            if not self._ends_before(line):
                self._add_lines(line.line, text)
                yield from self._continue(line.line, text)
                return
            yield from self._hand_on()
        head = _LIST_OF_VALUES.match(text)
        self._is_listed |= head is not None
        yield from self._fresh(line.line, text, head.end() if head is not None else 0)

    @property
    def held_lines(self) -> int:
        """How many of the lines that were taken last are held; of the first maybe only its end."""
        return len(self._held)

    def end_part(self) -> Iterator[Found]:
        """Hand on what is held."""
        yield from self._end_fragment()
        yield from self._hand_on()

    def _hand_on(self) -> Iterator[Found]:
        if self._held:
            text, line, lines = "".join(self._held), self._first_line, tuple(self._lines)
            self._let_go()
            yield FoundText(line=line, text=text.lstrip(" \t"), lines=lines)

    def _let_go(self) -> None:
        self._held, self._lines, self._length, self._depth, self._quote = [], [], 0, 0, ""

    def _add_lines(self, line: int, text: str) -> None:
        self._lines += range(line, line + text.rstrip("\n").count("\n") + 1)

    def _ends_before(self, line: LogLine) -> bool:
        """Whether the held object ends before this line, which belongs to another or to the prose."""
        text = line.text
        if line.has_prefix and text.startswith(("{", "[{")):
            return True
        if _HEAD.match(text):
            # A field's value begins a line only where a viewer wrapped it, or is indented with the lines before it.
            is_value = self._quote == "" and self._last_char == ":" and len(self._held) > 1
            is_indented = any(line[:1].isspace() for line in self._held[1:])
            return not is_value or is_indented or _is_object(text.strip(_BETWEEN))
        if _COMPACT.match(text):
            return _COMPACT.match(self._held[0]) is not None and not self._may_be_wrapped(text)
        if text.strip() == "{":
            return self._begins_another(text)
        if _MACRO.match(text) or _has_record_behind_prose(text):
            return True
        return self._quote == "" and _JSON_LIKE.match(text) is None and not self._may_be_wrapped(text)

    def _may_be_wrapped(self, text: str) -> bool:
        """Whether the held lines have one length, as a viewer that wraps at a width makes them, and this one fits."""
        # A prefix may have stood before the first line.
        width, *others = {len(line) for line in self._held[1:]} or {len(self._held[0])}
        return not others and _WIDTH_MIN < width <= _WIDTH_MAX and len(text) <= width

    def _begins_another(self, text: str) -> bool:
        """Whether a line with nothing but a brace begins the next object, not a value in the held one."""
        if _indentation(text) > _indentation(self._held[0]):
            return False
        is_flat = len(self._held) > 1 and not any(line[:1].isspace() for line in self._held[1:])
        return self._quote != "" or not is_flat or self._last_char not in ":,[{"

    def _fresh(self, line: int, text: str, at: int) -> Iterator[Found]:
        """Take a line where nothing is held."""
        while True:
            found = _BEGIN.search(text, at)
            if found is None:
                if _FRAGMENT.search(text, at):
                    self._add_fragment(line)
                return
            if self._is_fragment(text[at : found.start()]):
                self._add_fragment(line)
            else:
                yield from self._end_fragment()
            begin = found.start()
            rest = text[begin:].rstrip(_BETWEEN)
            if rest.endswith("}") and len(rest) <= CHARACTERS_MAX and _is_object(rest):
                yield FoundText(line=line, text=rest)
                return
            self._depth, self._quote = 0, ""
            end = self._track(text, begin)
            if end < 0:
                # The held text keeps its indentation for the comparison with later lines.
                indentation = text[:begin] if not text[:begin].strip() else ""
                self._held, self._first_line = [indentation + text[begin:]], line
                self._add_lines(line, self._held[0])
                self._length = len(self._held[0])
                self._last_char = text.rstrip()[-1:]
                yield from self._check_length()
                return
            yield FoundText(line=line, text=text[begin:end])
            at = end

    def _is_fragment(self, before: str) -> bool:
        """Whether the text before an object is a part of another one."""
        if self._is_listed and _BEHIND_LIST.fullmatch(before):
            return False
        # A brace directly before another one is all that is left of an object.
        is_cut = before.rstrip().endswith("{")
        return is_cut or _FRAGMENT.search(before) is not None or _FIELD.search(before) is not None

    def _add_fragment(self, line: int) -> None:
        self._fragment = (line if self._fragment is None else self._fragment[0], line)

    def _end_fragment(self) -> Iterator[Found]:
        """Tell the fragments that follow each other."""
        if self._fragment is not None:
            first, last = self._fragment
            self._fragment = None
            yield Fragment(line=first, last_line=last)

    def _continue(self, line: int, text: str) -> Iterator[Found]:
        end = self._track(text, 0)
        if end < 0:
            self._held.append(text)
            self._length += len(text)
            self._last_char = text.rstrip()[-1:] or self._last_char
            yield from self._check_length()
            return
        self._held.append(text[:end])
        yield from self._hand_on()
        yield from self._fresh(line, text, end)

    def _check_length(self) -> Iterator[Found]:
        if self._length > CHARACTERS_MAX:
            yield TooLong(line=self._first_line, last_line=self._lines[-1])
            self._let_go()

    def _track(self, text: str, at: int) -> int:
        """Follow quotes and braces from `at`. Returns where the outermost brace closes, -1 if it stays open."""
        if self._is_escaped and self._held:
            at += 1
        self._is_escaped = False
        while True:
            at = self._after_string(text, at)
            found = None if at < 0 else _MARKS.search(text, at)
            if found is None:
                return -1
            at = found.end()
            match found.group():
                case "{":
                    self._depth += 1
                case "}":
                    self._depth -= 1
                    if self._depth == 0:
                        return at
                case "\\":
                    at += 1
                case quote:
                    self._quote = quote

    def _after_string(self, text: str, at: int) -> int:
        """Where the text ends in which `at` stands; `at` outside texts, -1 where it does not end on this line."""
        if self._quote == "":
            return at
        if self._quote != '"':
            end = closing_smart_quote(text, at - 1)
            self._quote = self._quote if end < 0 else ""
            return end
        while (found := _STRING_END.search(text, at)) is not None:
            at = found.end()
            if found.group() == '"':
                self._quote = ""
                return at
            at += 1
            # The break of a wrapped line stands between the backslash and its character.
            self._is_escaped = text[found.end() :] in ("\n", "\r\n")
        return -1


def _indentation(text: str) -> int:
    # A viewer may have made the blanks no-break blanks.
    return len(text) - len(text.lstrip())


def _has_record_behind_prose(text: str) -> bool:
    """Whether words and then a whole record stand on the line: `audit: {…}`. In a damaged text that runs into the line,
    no quote and no brace says that it ended."""
    found = BEGINNING.search(text)
    if found is None:
        return False
    before = text[: found.start()].strip(_BETWEEN)
    return before != "" and _FIELD.search(before) is None and _is_object(text[found.start() :].rstrip(_BETWEEN))


def _is_object(text: str) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False
