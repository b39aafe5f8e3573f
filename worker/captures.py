"""Capture files: NDJSON, one JSON array, or JSON values one after another, of any of the five event shapes.

A file is read line by line, so NDJSON of any size takes the memory of one line. A value may span several lines. Text
that is no JSON object is a fault with file and line, and reading goes on after it. A line that is an event by itself
ends an unfinished value before it.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

CHARACTERS_MAX: Final = 8_388_608
"""The length of one value; an event is shorter."""
STANDARD_INPUT: Final = "standard input"
"""The file name of standard input in faults and messages."""

_BETWEEN: Final = " \t\r\n,[]"
"""The characters between two values. They include those of an array, so an array needs no code of its own."""
_DECODER: Final = json.JSONDecoder()


class Capture(Struct, frozen=True, kw_only=True):
    """One captured value, and the line on which it begins."""

    file: str
    line: int
    value: Mapping[str, Any]


class CaptureFault(Struct, frozen=True, kw_only=True):
    """A part of a capture that could not be read. `line` 0: the file as a whole."""

    file: str
    line: int
    message: str

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.line else self.file
        return f"{where}: {self.message}"


def read_captures(path: Path) -> Iterator[Capture | CaptureFault]:
    """The values of a file in order. A file that cannot be opened is one fault."""
    try:
        with path.open("rb") as lines:
            yield from captures_of(str(path), lines)
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
            yield CaptureFault(file=file, line=number, message="not UTF-8")
            continue
        yield from scanner.feed(text, number)
    yield from scanner.give_up()


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
            yield from self._drop(self._first_line, f"longer than {CHARACTERS_MAX} characters")
        # An object ends with a bracket, so a later line without one cannot finish it.
        elif len(self._held) == 1 or text.rstrip(_BETWEEN).endswith("}"):
            yield from self._take()

    def give_up(self) -> Iterator[CaptureFault]:
        """Drop the held lines: the value in them will not be finished."""
        if self._held:
            yield from self._drop(self._first_line, "the value is not finished")
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
                value, position = _DECODER.raw_decode(text, position)
            except json.JSONDecodeError as error:
                if error.pos >= len(text.rstrip()):
                    self._held, self._length, self._first_line = [text[position:]], len(text) - position, line
                else:
                    where = self._first_line + error.lineno - 1
                    yield from self._drop(where, f"not JSON: {error.msg} (column {error.colno})")
                return
            except RecursionError:
                yield from self._drop(line, "nested too deep")
                return
            except ValueError:
                # Python converts no text of more than 4,300 digits to an integer.
                yield from self._drop(line, "a number of too many digits")
                return
            if isinstance(value, dict):
                yield Capture(file=self._file, line=line, value=value)
            else:
                message = f"an event is a JSON object, this is a {type(value).__name__}"
                yield CaptureFault(file=self._file, line=line, message=message)

    def _drop(self, line: int, message: str) -> Iterator[CaptureFault]:
        # The remaining lines of the dropped value are not values: skip to the next line that begins one.
        self._skipping = len(self._held) > 1
        self._held, self._length = [], 0
        yield CaptureFault(file=self._file, line=line, message=message)


def _is_event_line(text: str) -> bool:
    """Whether the line alone is an object with the keys of one of the five shapes."""
    line = text.rstrip(" \t\r\n,]")
    if not (line.startswith("{") and line.endswith("}")):
        return False
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return False
    return "Body" in value or "Message" in value or "body" in value or ("data" in value and "name" in value)
