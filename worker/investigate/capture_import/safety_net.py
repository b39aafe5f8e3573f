"""A second look at what was read: the beginning of each record is in something that was read or told, or it is told.

| a beginning could be passed over | the second look |
|---|---|
| in a part of a note that shows no text, as the cells beyond a table's columns | `passed_over_in_note` |
| between the objects that are found in lines | `WatchedScanner` |
| in another record: in the place of a value, or under a name that stands twice | `swallowed_at` |

It does not go by how the first look reads: it compares texts with each other.
"""

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, Final

from sync.audit import AUDIT_MESSAGE
from worker.investigate.capture_import.heads import BEGINNING, EVENT_BEGINNING, QUOTE
from worker.investigate.capture_import.log_lines import LogLine
from worker.investigate.capture_import.records import names_event
from worker.investigate.capture_import.value_scanner import Found, FoundText, PassedOver, TooLong, ValueScanner

_AUDIT_MARK: Final = re.compile(rf"{QUOTE}msg{QUOTE}\s*:\s*{QUOTE}{AUDIT_MESSAGE}{QUOTE}")

_LOG_LINE_NAMES: Final = frozenset({"producer", "hostname", "pid", "level", "dd"})


class WatchedScanner:
    """A `ValueScanner`, and after each of its texts the beginnings that it passed over."""

    def __init__(self, scanner: ValueScanner | None = None) -> None:
        self._scanner = scanner if scanner is not None else ValueScanner()
        self._lines: list[LogLine] = []
        self._found: list[str] = []
        self._looked_until = 0

    def feed(self, line: LogLine) -> Iterator[Found]:
        """Take a line."""
        self._lines.append(line)
        yield from self._watched(self._scanner.feed(line))

    def end_part(self) -> Iterator[Found]:
        """Hand on what is held."""
        yield from self._watched(self._scanner.end_part())

    def _watched(self, found: Iterator[Found]) -> Iterator[Found]:
        for one in found:
            if isinstance(one, FoundText):
                self._found.append(one.text)
            elif isinstance(one, TooLong):
                self._lines, self._found, self._looked_until = [], [], 0
            yield one
        held = self._scanner.held_lines
        if held == 0 or held < len(self._lines):
            yield from self._look(held)

    def _look(self, held: int) -> Iterator[PassedOver]:
        """Look between the texts that were found. The last `held` lines are looked at when the scanner is done with
        them."""
        text = "".join(line.text for line in self._lines)
        ends = list(accumulate(len(line.text) for line in self._lines))
        decided = len(self._lines) - held
        at = self._looked_until
        until = ends[decided - 1] if decided else 0
        gaps: list[tuple[int, int]] = []
        for found in self._found:
            begin = text.find(found, at)
            if begin >= 0:
                gaps.append((at, begin))
                at = begin + len(found)
        for begin, end in (*gaps, (at, until)):
            for one in BEGINNING.finditer(text, begin, end) if end > begin else ():
                yield PassedOver(line=self._lines[bisect_right(ends, one.start())].line)
        self._lines, self._found, self._looked_until = self._lines[decided:], [], max(0, at - until)


def passed_over_in_note(raw: Sequence[tuple[int, str]], given: Iterable[Sequence[tuple[int, str]]]) -> Iterator[int]:
    """The lines of a note that have more beginnings than the same lines of its parts have."""
    read: Counter[int] = Counter()
    for part in given:
        read.update(_lines_of_beginnings(part))
    written = Counter(_lines_of_beginnings(raw))
    for line in sorted(written):
        if written[line] > read[line]:
            yield line


def _lines_of_beginnings(lines: Sequence[tuple[int, str]]) -> Iterator[int]:
    ends = list(accumulate(len(text) for _, text in lines))
    for found in BEGINNING.finditer("".join(text for _, text in lines)):
        yield lines[bisect_right(ends, found.start())][0]


def swallowed_at(text: str, value: Mapping[str, Any]) -> int:
    """Where another record begins inside a record's text; -1 where none does. `value`: the record as it was read."""
    layers = list(_layers(value))
    if _hold_two_records(layers):
        inner = BEGINNING.search(text, 1)
        return 1 if inner is None else inner.start()
    named = value.get("event")
    own = sum(map(names_event, layers)) + (isinstance(named, dict) and names_event(named))
    beginnings = [found.start() for found in EVENT_BEGINNING.finditer(text)]
    if len(beginnings) > own:
        return max(1, beginnings[own])
    marks = [found.start() for found in _AUDIT_MARK.finditer(text)] if AUDIT_MESSAGE in text else []
    if len(marks) <= (value.get("msg") == AUDIT_MESSAGE):
        return -1
    before = [found.start() for found in BEGINNING.finditer(text, 1, marks[-1])]
    return before[-1] if before else 1


def _layers(value: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A log line, the message in it, and the event in that."""
    yield value
    while isinstance(value := value.get("body"), dict):  # type: ignore[assignment]
        yield value


def _hold_two_records(layers: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a log line stands in another one, or a message in another: the outer one is cut off before its body."""
    around = layers[:-1]
    return any(map(_is_log_line, around[1:])) or sum(map(names_event, around)) > 1


def _is_log_line(value: Mapping[str, Any]) -> bool:
    # A message that lost its closing brace has the fields of the log line around it, too.
    return not names_event(value) and not _LOG_LINE_NAMES.isdisjoint(value)
