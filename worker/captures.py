"""Capture files: NDJSON, one JSON array, or JSON values one after another, of any of the five event shapes.

A file is read line by line, so NDJSON of any size takes the memory of one line. A value may span several lines. Text
that is no JSON object is a fault with file and line, and reading goes on after it. A line that is an event by itself
ends an unfinished value before it.

This file only finds where each value begins and ends. Whoever takes the value reads its text as the worker reads a
message's body (`handlers.events.envelope.unwrap_text`), so both give the same verdict. A fault found here has the code
that the worker would give.
"""

import gzip
import json
import shlex
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import orjson
from msgspec import Struct
from msgspec.structs import replace

from handlers.events.envelope import DEFAULT_LIMITS
from handlers.events.event import Malformed, RejectionCode
from handlers.events.json_text import parse_rounded, too_deep
from sync.audit import AUDIT_MESSAGE

CHARACTERS_MAX: Final = 8_388_608
"""The length of one value; an event is shorter."""
STANDARD_INPUT: Final = "standard input"
"""The file name of standard input in faults and messages."""

UNREAD_SHOWN_MAX: Final = 10
"""So many faults of a run are printed; the others are counted. A note of many lines would hide everything else."""

_GZIP_MAGIC: Final = b"\x1f\x8b"
_BETWEEN: Final = " \t\r\n,[]"
"""The characters between two values. They include those of an array, so an array needs no code of its own."""
_DECODER: Final = json.JSONDecoder(parse_int=float)
"""Finds the end of a value. It takes more than JSON: NaN, half surrogate pairs, numbers of any size. No value that it
makes is kept, and `int` would refuse a number of more than 4,300 digits."""


_DAMAGE: Final = frozenset({RejectionCode.NOT_JSON, RejectionCode.NOT_AN_EVENT})
"""What an import may mend. A worker would dead-letter an event of any other fault, and no import makes it another."""


class CaptureFault(Struct, frozen=True, kw_only=True):
    """A part of a capture that could not be read. `line` 0: the file as a whole.

    `is_damage`: an import of the file may find an event there.
    """

    file: str
    line: int
    message: str
    is_damage: bool = True

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.message}"


class Capture(Struct, frozen=True, kw_only=True):
    """The JSON text of one captured object, and the line on which it begins."""

    file: str
    line: int
    text: str

    def fault(self, message: str) -> CaptureFault:
        """A fault at this place."""
        return CaptureFault(file=self.file, line=self.line, message=message)

    def rejection(self, malformed: Malformed) -> CaptureFault:
        """The fault of a captured value that no event can be read from."""
        fault = self.fault(_rejection(malformed.code, malformed.reason))
        return fault if malformed.code in _DAMAGE else replace(fault, is_damage=False)


class UnreadParts:
    """What a run could not read of its input: the first faults are printed as they come, the others counted.

    `print_line` takes a line for standard error. `count`: how many faults there were, files that cannot be opened
    included.
    """

    def __init__(self, print_line: Callable[[str], None]) -> None:
        self.count = 0
        self._print_line = print_line
        self._places = 0
        self._damaged_file = ""

    def add(self, fault: CaptureFault) -> None:
        """Take the next fault."""
        self.count += 1
        if fault.line:
            self._places += 1
        if fault.line and fault.is_damage:
            self._damaged_file = self._damaged_file or fault.file
        # The command line names few files, so each that cannot be opened is told.
        if not fault.line or self._places <= UNREAD_SHOWN_MAX:
            self._print_line(str(fault))

    def summary(self) -> str | None:
        """How many parts could not be read, and the remedy if there is one; None where the lines above say it all."""
        more = self._places - UNREAD_SHOWN_MAX
        parts = "1 part" if self._places == 1 else f"{self._places:,} parts"
        shown = f", the {UNREAD_SHOWN_MAX} above and {more:,} more" if more > 0 else ""
        if not self._damaged_file:
            return f"{parts} could not be read{shown}" if shown else None
        file = "-" if self._damaged_file == STANDARD_INPUT else shlex.quote(self._damaged_file)
        return (
            f"{parts} could not be read{shown}: `routing-sync import {file} -o events.ndjson` "
            "finds the events in logs and notes, and repairs damaged ones"
        )


def read_captures(path: Path) -> Iterator[Capture | CaptureFault]:
    """The values of a file in order, gzip or not. A file that cannot be opened or unpacked is one fault."""
    try:
        with path.open("rb") as raw:
            yield from captures_of(str(path), gzip.GzipFile(fileobj=raw) if raw.peek(2)[:2] == _GZIP_MAGIC else raw)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        yield CaptureFault(file=str(path), line=0, message=f"the gzip file is damaged: {error}: fetch it again")
    except OSError as error:
        yield CaptureFault(file=str(path), line=0, message=f"cannot be read: {error.strerror}")


def captures_of(file: str, lines: Iterable[bytes]) -> Iterator[Capture | CaptureFault]:
    """The values of `lines` in order; `file` is the name that faults show."""
    scanner = _Scanner(file)
    for number, raw in enumerate(lines, start=1):
        try:
            text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            yield from scanner.give_up()
            yield CaptureFault(file=file, line=number, message=_rejection(RejectionCode.NOT_JSON, "not UTF-8"))
            continue
        yield from scanner.feed(text, number)
    yield from scanner.give_up()


def is_audit_line(text: str) -> bool:
    """Whether a captured object is an audit line. `import` leaves them among the events, for `timeline`."""
    if AUDIT_MESSAGE not in text:
        return False
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return isinstance(value, dict) and value.get("msg") == AUDIT_MESSAGE


def is_question(text: str) -> bool:
    """Whether a captured object is a question of `decide`, or the pair in one: it has the keys of both records."""
    if '"workItem"' not in text:
        return False
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return isinstance(value, dict) and {"conversation", "workItem"} <= value.keys()


class _Scanner:
    """Finds the values in lines of text; holds the lines of a value that is not finished yet."""

    def __init__(self, file: str) -> None:
        self._file = file
        self._held: list[str] = []
        self._length = 0
        self._first_line = 0
        self._skipping = False

    def feed(self, text: str, line: int) -> Iterator[Capture | CaptureFault]:
        if self._held and _is_event_line(text):
            yield from self.give_up()
        if self._skipping and not text.startswith(("{", "[")):
            return
        self._skipping = False
        if not self._held:
            self._first_line = line
        self._held.append(text)
        self._length += len(text)
        if self._length > CHARACTERS_MAX:
            yield from self._drop(self._first_line, _TOO_LONG)
        # An object ends with a bracket, so a later line without one cannot finish it.
        elif len(self._held) == 1 or text.rstrip(_BETWEEN).endswith("}"):
            yield from self._take()

    def give_up(self) -> Iterator[CaptureFault]:
        """Drop the held lines: the value in them will not be finished."""
        if self._held:
            yield from self._drop(self._first_line, _UNFINISHED)
            self._skipping = False

    def _take(self) -> Iterator[Capture | CaptureFault]:
        text, position = "".join(self._held), 0
        while True:
            position += len(text) - position - len(text[position:].lstrip(_BETWEEN))
            line = self._first_line + text.count("\n", 0, position)
            if position == len(text):
                self._held, self._length = [], 0
                return
            try:
                is_object, end = _next_value(text, position)
            except json.JSONDecodeError as error:
                if error.pos >= len(text.rstrip()):
                    self._held, self._length, self._first_line = [text[position:]], len(text) - position, line
                else:
                    where = self._first_line + error.lineno - 1
                    reason = f"{error.msg} (column {error.colno})"
                    yield from self._drop(where, _rejection(RejectionCode.NOT_JSON, reason))
                return
            except RecursionError:
                yield from self._drop(line, _too_deep(text[position:].rstrip(_BETWEEN)))
                return
            capture = Capture(file=self._file, line=line, text=text[position:end])
            yield capture if is_object else capture.fault(_NO_OBJECT)
            position = end

    def _drop(self, line: int, message: str) -> Iterator[CaptureFault]:
        # The remaining lines of the dropped value are not values: skip to the next line that begins one.
        self._skipping = len(self._held) > 1
        self._held, self._length = [], 0
        yield CaptureFault(file=self._file, line=line, message=message)


def _next_value(text: str, position: int) -> tuple[bool, int]:
    """Whether the value at `position` is an object, and where it ends. Raises JSONDecodeError and RecursionError."""
    rest = text[position:].rstrip(_BETWEEN)
    if rest.startswith("{") and rest.endswith("}"):
        try:
            # Nearly always the rest is one object. The fast parser takes a third of the other one's time.
            orjson.loads(rest)
        except orjson.JSONDecodeError:
            pass
        else:
            return True, position + len(rest)
    value, end = _DECODER.raw_decode(text, position)
    return isinstance(value, dict), end


def _too_deep(rest: str) -> str:
    """The rejection of a text on which the decoder ran out of stack. The text may be no JSON nearer than that depth, or
    farther: the worker's own parser tells which of the two it meets first."""
    found = parse_rounded(rest, "the value", depth_max=DEFAULT_LIMITS.depth_max)
    rejection = found if isinstance(found, Malformed) else _DEEP
    return _rejection(rejection.code, rejection.reason)


def _is_event_line(text: str) -> bool:
    """Whether the line alone is an object with the keys of one of the five shapes."""
    line = text.rstrip(" \t\r\n,]")
    if not (line.startswith("{") and line.endswith("}")):
        return False
    try:
        value = _DECODER.decode(line)
    except (ValueError, RecursionError):
        return False
    return "Body" in value or "Message" in value or "body" in value or ("data" in value and "name" in value)


def _rejection(code: RejectionCode, reason: str) -> str:
    return f"{code.value}: {reason}"


_DEEP: Final = too_deep("the value", DEFAULT_LIMITS.depth_max)
_TOO_LONG: Final = _rejection(RejectionCode.TOO_LARGE, f"longer than {CHARACTERS_MAX} characters")
_UNFINISHED: Final = _rejection(RejectionCode.NOT_JSON, "the value is not finished")
_NO_OBJECT: Final = _rejection(RejectionCode.NOT_AN_EVENT, "an event is a JSON object")
