"""Messy captures to clean ones: every source's objects, repaired where they are damaged, each event once and in order.

    source → parts → lines → objects → repaired objects → records → redacted → in order

What is told on the way, goes to an `ImportReport`: every repair, everything that is left out, and why.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, Protocol, assert_never

from msgspec import Struct
from msgspec.structs import replace

from handlers.events.envelope import DEFAULT_LIMITS
from handlers.events.event import Malformed
from handlers.events.json_text import depth_of
from worker.captures import CHARACTERS_MAX
from worker.investigate.capture_import.documents import UnreadLine, parts_of
from worker.investigate.capture_import.heads import next_beginning
from worker.investigate.capture_import.json_repair.contradicted_repairs import contradicted_repair, field_around
from worker.investigate.capture_import.json_repair.repairs import Repair, RepairKind, Unreadable
from worker.investigate.capture_import.json_repair.text_mending import wrapped_at
from worker.investigate.capture_import.json_repair.tolerant_reader import read_damaged
from worker.investigate.capture_import.log_lines import LogLine
from worker.investigate.capture_import.place import Place
from worker.investigate.capture_import.record_store import Added, AddedRecord, RecordStore
from worker.investigate.capture_import.records import NoRecord, Record, read_record
from worker.investigate.capture_import.safety_net import WatchedScanner, swallowed_at
from worker.investigate.capture_import.sources import SourceUnreadable, opened, shown_name
from worker.investigate.capture_import.value_scanner import Found, FoundText, Fragment, PassedOver, TooLong
from worker.investigate.capture_import.wrapped_texts import wrapped_texts
from worker.investigate.captured_fields import CAPTURED
from worker.investigate.json_spans import on_one_line
from worker.investigate.redaction.redactor import Redactor
from worker.investigate.soundness import has_its_lists, parsed

_BEGINNINGS_MAX: Final = 100
"""How often reading begins anew in one damaged text."""
_RESTS_MAX: Final = 20
_DEPTH_MAX: Final = 2 * DEFAULT_LIMITS.depth_max
"""How deep an object may nest: as deep as an event, and wrappers around it."""
_NESTED_MAX: Final = 4
"""How many wrappers may stand around a log line, each as text in the next."""


class ImportReport(Protocol):
    """Takes what is told. `line` 0: the file as a whole."""

    def repaired(self, file: str, line: int, repairs: Sequence[tuple[int, Repair]]) -> None:
        """A damaged object, which begins on `line`, was repaired: each repair with its own line."""

    def left_out(self, file: str, line: int, last_line: int, reason: str) -> None:
        """A part of the input, which ends on `last_line`, is not in the output."""

    def doubtful(self, file: str, line: int, added: AddedRecord) -> None:
        """An event has the id or the revision of another one, with another content."""


class ImportCounts(Struct, kw_only=True):
    """How many objects were read and what became of them."""

    events: int = 0
    audit_lines: int = 0
    duplicates: int = 0
    repaired: int = 0
    left_out: int = 0
    others: int = 0


class Importer:
    """Imports sources one after another into a store. `redactor` None: personal data stays."""

    def __init__(self, store: RecordStore, redactor: Redactor | None, report: ImportReport) -> None:
        self.counts = ImportCounts()
        self._store = store
        self._redactor = redactor
        self._report = report

    def add(self, path: Path) -> Iterator[int]:
        """Import a source; yields the number of each line that is read. Raises InputNotKept."""
        file = shown_name(path)
        try:
            with opened(path) as source:
                for part in parts_of(source, path.name):
                    if isinstance(part, UnreadLine):
                        self._left_out(Place(file, part.line), part.reason, part.last_line)
                        continue
                    scanner = WatchedScanner()
                    for line in part.lines:
                        self._take_found(scanner.feed(line), Place(file, 0))
                        yield line.line
                    self._take_found(scanner.end_part(), Place(file, 0))
        except SourceUnreadable as error:
            self._left_out(Place(file, 0), str(error))

    def _take_found(self, found: Iterator[Found], around: Place) -> None:
        for one in found:
            place = Place(around.file, around.line or one.line, around.wrappers, around.width, around.rests)
            match one:
                case FoundText(text=text, lines=lines):
                    self._take_text(text, replace(place, lines=() if around.line else lines))
                case Fragment(last_line=last_line):
                    last_line = 0 if around.line else last_line
                    self._left_out(place, "a part of an object without its beginning", last_line)
                case TooLong(last_line=last_line):
                    last_line = 0 if around.line else last_line
                    self._left_out(place, f"longer than {CHARACTERS_MAX} characters", last_line)
                case PassedOver():
                    self._left_out(place, "an event or audit line begins here, and was not read")
                case _:
                    assert_never(one)

    def _take_text(self, text: str, place: Place) -> None:
        """Take an object's text. Where it is damaged beyond repair, reading goes on at each beginning behind."""
        if (value := _sound(text)) is not None:
            record = read_record(text, value)
            if not isinstance(record, Record) or swallowed_at(text, value) < 0:
                self._take_object(text, value, record, place, ())
                return
        elif (width := wrapped_at(text)) > 0:
            self._take_unwrapped(text.replace("\n", ""), width, place)
            return
        for number in range(_BEGINNINGS_MAX):
            try:
                self._take_damaged(text, place, is_behind_damage=number > 0)
            except Unreadable as error:
                again = next_beginning(text, error.offset) if number < _BEGINNINGS_MAX - 1 else -1
                dropped = text[:again].rstrip() if again > 0 else text.rstrip()
                last_line = place.line_at(text, len(dropped))
                # In a text that was wrapped, the line of an offset is not exact.
                fault = place.line if place.width else place.line_at(text, error.offset)
                reason = error.reason if fault == place.line else f"{error.reason} (on line {fault})"
                self._left_out(place, reason, last_line)
                if again <= 0:
                    return
                text, place = text[again:], place.below(text, again)
            else:
                return

    def _take_damaged(self, text: str, place: Place, *, is_behind_damage: bool) -> None:
        """Take a text's first object, repaired, and what stands behind it. Raises Unreadable, and has taken nothing."""
        reading = read_damaged(text, of=CAPTURED, is_behind_damage=is_behind_damage)
        value = parsed(reading.text)
        record = read_record(reading.text, value)
        another = swallowed_at(text[: reading.end], value) if isinstance(record, Record) else -1
        if another >= 0:
            raise Unreadable(another, "another record begins inside it")
        repairs = tuple((place.line_at(text, repair.offset), repair) for repair in reading.repairs)
        is_event = isinstance(record, Record) and record.event_id is not None
        strange = field_around(value) if is_event and (repairs or is_behind_damage) else None
        if strange is None:
            self._take_object(reading.text, value, record, place, repairs)
        else:
            self._tell_repairs(place, repairs)
            last_line = place.line_at(text, reading.end)
            self._left_out(place, f"a closing brace is lost before {strange}", last_line)
        rest = text[reading.end :]
        if "{" not in rest:
            return
        behind = place.below(text, reading.end)
        if place.rests >= _RESTS_MAX:
            self._left_out(behind, f"more than {_RESTS_MAX} damaged objects stand in one another")
            return
        behind = replace(behind, rests=place.rests + 1)
        self._take_lines(rest, behind, first_line_is_known=place.wrappers == 0)

    def _take_unwrapped(self, text: str, width: int, place: Place) -> None:
        """Take a text that a viewer had wrapped."""
        repair = Repair(
            kind=RepairKind.LINE_BREAK,
            offset=0,
            path=(),
            assumed=f"the text is wrapped at {width} columns, and the line breaks are none of its characters",
        )
        self._report.repaired(place.file, place.line, [(place.line, repair)])
        self._take_text(text, replace(place, width=width))

    def _take_lines(self, text: str, place: Place, *, first_line_is_known: bool) -> None:
        """Take a text that may hold objects, as a wrapper's text or the rest of a damaged one."""
        scanner = WatchedScanner()
        around = Place(place.file, 0 if first_line_is_known else place.line, place.wrappers, 0, place.rests)
        for index, line in enumerate(text.split("\n")):
            number = place.lines[index] if index < len(place.lines) else place.line + index
            self._take_found(scanner.feed(LogLine(number, f"{line}\n")), around)
        self._take_found(scanner.end_part(), around)

    def _take_object(
        self,
        text: str,
        value: dict[str, Any],
        record: Record | Malformed | NoRecord,
        place: Place,
        repairs: tuple[tuple[int, Repair], ...],
    ) -> None:
        match record:
            case Record():
                self._take_record(text, value, record, place, repairs)
            case Malformed(code=code, reason=reason):
                self._tell_repairs(place, repairs)
                self._left_out(place, f"{code.value}: {reason}")
            case NoRecord():
                self._take_wrapped(text, value, place, repairs)
            case _:
                assert_never(record)

    def _take_wrapped(
        self, text: str, value: dict[str, Any], place: Place, repairs: tuple[tuple[int, Repair], ...]
    ) -> None:
        if place.wrappers >= _NESTED_MAX:
            self._left_out(place, f"more than {_NESTED_MAX} wrappers stand around it")
            return
        inner = Place(place.file, place.line, place.wrappers + 1, place.width, place.rests)
        is_wrapper = False
        for wrapped in wrapped_texts(text, value):
            is_wrapper = True
            if wrapped.is_object:
                self._take_text(wrapped.text, inner)
            else:
                self._take_lines(wrapped.text, inner, first_line_is_known=False)
        if is_wrapper:
            self._tell_repairs(place, repairs)
        elif repairs or place.width:
            self._left_out(place, "it is damaged, and no event as far as it can be read")
        else:
            self.counts.others += 1

    def _take_record(
        self,
        text: str,
        value: dict[str, Any],
        record: Record,
        place: Place,
        repairs: tuple[tuple[int, Repair], ...],
    ) -> None:
        self._tell_repairs(place, repairs)
        contradiction = contradicted_repair(value, [repair for _, repair in repairs])
        if contradiction is not None:
            self._left_out(place, contradiction)
            return
        line = on_one_line(text)
        clean = line if self._redactor is None else self._redactor.redact(line)
        added = self._store.add(record, clean, (place.file, place.line), is_repaired=bool(repairs))
        match added.added:
            case Added.DUPLICATE:
                self.counts.duplicates += 1
            case Added.DAMAGED_COPY:
                self._report.doubtful(place.file, place.line, added)
            case Added.NEW | Added.CONFLICT | Added.SAME_REVISION:
                if added.added is not Added.NEW:
                    self._report.doubtful(place.file, place.line, added)
                if record.event_id is None:
                    self.counts.audit_lines += 1
                else:
                    self.counts.events += 1
            case _:
                assert_never(added.added)

    def _tell_repairs(self, place: Place, repairs: tuple[tuple[int, Repair], ...]) -> None:
        self.counts.repaired += bool(repairs)
        if repairs:
            shown = [(line, replace(each, path=CAPTURED.shown_path(each.path))) for line, each in repairs]
            self._report.repaired(place.file, place.line, shown)

    def _left_out(self, place: Place, reason: str, last_line: int = 0) -> None:
        self.counts.left_out += 1
        self._report.left_out(place.file, place.line, max(place.line, last_line), reason)


def _sound(text: str) -> dict[str, Any] | None:
    """The object of a text that needs no repair, else None."""
    try:
        value = parsed(text)
    except ValueError:
        return None
    if not isinstance(value, dict) or _is_too_deep(text, value):
        return None
    return value if has_its_lists(value, CAPTURED) else None


def _is_too_deep(text: str, value: dict[str, Any]) -> bool:
    # A value nests at most as deep as its text has opening brackets, which take a tenth of the walk's time to count.
    is_flat = text.count("{") + text.count("[") <= _DEPTH_MAX
    return not is_flat and depth_of(value, stop_above=_DEPTH_MAX) > _DEPTH_MAX
