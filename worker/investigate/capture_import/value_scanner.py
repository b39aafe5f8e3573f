"""Finds the JSON objects in lines of text: where each begins, and where it ends or breaks off.

An object may span lines, and prose may stand around it. An object that is damaged has no certain end. It is handed on
where a line begins another one, where a line is no JSON, or where its part of the document ends.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

import orjson
from msgspec import Struct

from worker.captures import CHARACTERS_MAX
from worker.investigate.capture_import.log_lines import LogLine
from worker.investigate.capture_import.text_mending import closing_smart_quote

_BETWEEN: Final = " \t\r\n,[]"
_BEGIN: Final = re.compile(r'\{(?=\s*["“”„‟])|(?:(?<=^)|(?<=[\s,\[]))\{(?=\s*$)', re.MULTILINE)
"""A brace before a name, or alone at the end of a line: `{code}` and `f() {` in prose are no objects."""
_LIST_OF_VALUES: Final = re.compile(r'\s*\{\s*"(?:data|results|events|logs|hits|Records)"\s*:\s*\[')
"""The head of an answer of Datadog's and CloudWatch's APIs; what it lists is read one by one."""
_MARKS: Final = re.compile(r'["\\“”„‟{}]')
_STRING_END: Final = re.compile(r'["\\]')
_HEAD: Final = re.compile(
    r'[\[,]?\s{0,3}\{\s*["“”](?:dd["“”]\s*:\s*\{|level["“”]\s*:|hostname["“”]\s*:|name["“”]\s*:\s*["“]|MessageId|'
    r"ReceiptHandle|Type[\"“”]\s*:\s*[\"“]Notification|log[\"“”]\s*:|@timestamp|@message|"
    r"id[\"“”]\s*:\s*[\"“][^\"”]+[\"”]\s*,\s*[\"“]name[\"”]\s*:)"
)
"""The beginning of a log line, a message or an event at the beginning of a line."""
_JSON_LIKE: Final = re.compile(r"\s*(?:[\"“”„‟{}\[\],:]|-?\d|true|false|null|$)")
_FRAGMENT: Final = re.compile(r'["“”][\w@.-]+["“”]\s*:.*["“”][\w@.-]+["“”]\s*:.*\}', re.DOTALL)


class FoundText(Struct, frozen=True, kw_only=True):
    """A text that begins with an object's brace. `line`: of its beginning."""

    line: int
    text: str


class Fragment(Struct, frozen=True, kw_only=True):
    """A line that holds a part of an object without its beginning."""

    line: int


class TooLong(Struct, frozen=True, kw_only=True):
    """An object that is longer than `worker.captures.CHARACTERS_MAX`."""

    line: int


Found = FoundText | Fragment | TooLong


class ValueScanner:
    """Takes lines and yields what it finds in them. `end_part` ends a part of the document, as a code block."""

    def __init__(self) -> None:
        self._held: list[str] = []
        self._first_line = 0
        self._length = 0
        self._depth = 0
        self._quote = ""
        self._last_char = ""

    def scan(self, lines: Iterable[LogLine]) -> Iterator[Found]:
        """Every object of a document without parts."""
        for line in lines:
            yield from self.feed(line)
        yield from self.end_part()

    def feed(self, line: LogLine) -> Iterator[Found]:
        """Take a line."""
        text = line.text
        if self._held:
            if not self._ends_before(line):
                yield from self._continue(line.line, text)
                return
            yield from self.end_part()
        head = _LIST_OF_VALUES.match(text)
        yield from self._fresh(line.line, text, head.end() if head is not None else 0)

    def end_part(self) -> Iterator[Found]:
        """Hand on what is held."""
        if self._held:
            text, line = "".join(self._held), self._first_line
            self._held, self._length, self._depth, self._quote = [], 0, 0, ""
            yield FoundText(line=line, text=text)

    def _ends_before(self, line: LogLine) -> bool:
        """Whether the held object ends before this line, which belongs to another or to the prose."""
        text = line.text
        if line.has_prefix and text.startswith(("{", "[{")):
            return True
        if _HEAD.match(text):
            return self._last_char != ":" or self._quote != "" or _is_object(text.strip(_BETWEEN))
        if text.rstrip() == "{" and not text[:1].isspace() and self._held[0].rstrip() == "{":
            return len(self._held) > 1 and self._held[1][:1].isspace()
        return self._quote == "" and _JSON_LIKE.match(text) is None

    def _fresh(self, line: int, text: str, at: int) -> Iterator[Found]:
        """Take a line where nothing is held."""
        while True:
            found = _BEGIN.search(text, at)
            if found is None:
                if _FRAGMENT.search(text, at):
                    yield Fragment(line=line)
                return
            if _FRAGMENT.search(text[at : found.start()]):
                yield Fragment(line=line)
            begin = found.start()
            rest = text[begin:].rstrip(_BETWEEN)
            if rest.endswith("}") and len(rest) <= CHARACTERS_MAX and _is_object(rest):
                yield FoundText(line=line, text=rest)
                return
            self._depth, self._quote = 0, ""
            end = self._track(text, begin)
            if end < 0:
                self._held, self._length, self._first_line = [text[begin:]], len(text) - begin, line
                self._last_char = text.rstrip()[-1:]
                yield from self._check_length()
                return
            yield FoundText(line=line, text=text[begin:end])
            at = end

    def _continue(self, line: int, text: str) -> Iterator[Found]:
        end = self._track(text, 0)
        if end < 0:
            self._held.append(text)
            self._length += len(text)
            self._last_char = text.rstrip()[-1:] or self._last_char
            yield from self._check_length()
            return
        self._held.append(text[:end])
        yield from self.end_part()
        yield from self._fresh(line, text, end)

    def _check_length(self) -> Iterator[Found]:
        if self._length > CHARACTERS_MAX:
            yield TooLong(line=self._first_line)
            self._held, self._length, self._depth, self._quote = [], 0, 0, ""

    def _track(self, text: str, at: int) -> int:  # noqa: C901 - one case for each mark
        """Follow quotes and braces from `at`. Returns where the outermost brace closes, -1 if it stays open."""
        while True:
            if self._quote == '"':
                found = _STRING_END.search(text, at)
                if found is None:
                    return -1
                at = found.end() + (found.group() == "\\")
                if found.group() == '"':
                    self._quote = ""
                continue
            found = _MARKS.search(text, at)
            if found is None:
                return -1
            at = found.end()
            match found.group():
                case '"':
                    self._quote = '"'
                case "{":
                    self._depth += 1
                case "}":
                    self._depth -= 1
                    if self._depth == 0:
                        return at
                case "\\":
                    at += 1
                case _:
                    # The reader finds out where a text ends that does not end on its line.
                    end = closing_smart_quote(text, found.start())
                    at = end if end > 0 else len(text)


def _is_object(text: str) -> bool:
    try:
        return isinstance(orjson.loads(text), dict)
    except orjson.JSONDecodeError:
        return False
