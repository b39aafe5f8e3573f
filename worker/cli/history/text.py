"""A timeline on a terminal: findings first, then the revisions as a table, readable at 80 columns.

The lines are laid out here and not by rich's tables, which take five milliseconds a revision: ten minutes for 100,000.
"""

import os
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from typing import Final, TextIO

import typer
from rich.cells import cell_len, chop_cells
from rich.console import Console

from commands.instant import format_instant
from worker.investigate.timeline.captured_pairs import FindingCounts
from worker.investigate.timeline.entry import AuditEntry
from worker.investigate.timeline.harmless import harmless
from worker.investigate.timeline.timeline import FindingKind, Timeline, key_of
from worker.investigate.timeline.wording import (
    NOT_LOOKED_FOR,
    EntryWords,
    audit_lines,
    counted,
    gap_text,
    in_order_with_audits,
)

_COLUMNS_IN_A_FILE: Final = 100
_COLUMNS_MIN: Final = 60
_WIDTHS: Final = (12, 15, 14)
"""The columns time, revision and by; the rest of the line says what the write did."""
_COLOURS: Final = {
    FindingKind.UPDATE_LOST: "red",
    FindingKind.STALE_COMPARISON: "red",
    FindingKind.ASSIGNED_WITHOUT_QUEUE: "yellow",
    FindingKind.FIELDS_DROPPED: "yellow",
    FindingKind.COMPLETED_WITHOUT_AGENT: "yellow",
    FindingKind.OUT_OF_STEP: "yellow",
    FindingKind.BOUNCE: "cyan",
}


class TimelineText:
    """Prints timelines to a stream, in colour where it is a terminal. A file gets lines of `COLUMNS` or 100."""

    def __init__(self, to: TextIO) -> None:
        self._to = to
        console = Console(file=to)
        columns = console.width if to.isatty() else _columns_of_a_file()
        self._columns = max(columns, _COLUMNS_MIN)
        self._in_colour = console.color_system is not None

    def timeline(self, timeline: Timeline) -> None:
        """One pair."""
        words = EntryWords(timeline)
        self._head(timeline)
        self._findings(timeline, words)
        self._list("missing revisions", [gap_text(each) for each in timeline.gaps])
        self._list("contradictions", list(timeline.contradictions))
        self._heading("revisions")
        for cells, colour in _rows(timeline, words):
            self._row(cells, colour)
        for side in ("conversation", "work-item"):
            stays = [words.stay(each) for each in timeline.stays if each.side == side]
            self._list(f"time in each status of the {side}", stays)
        self._to.write("\n")

    def summary(self, counts: FindingCounts) -> None:
        """A last line for all pairs."""
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in counts.by_kind.most_common())
        self._line(
            f"{counted(counts.pairs, 'pair')}, {counts.pairs_with_findings:,} with findings"
            f"{f': {kinds}' if kinds else ''}; {counts.questions:,} without a verdict"
        )

    def _head(self, timeline: Timeline) -> None:
        self._line(f"conversation {timeline.conversation_id}", bold=True)
        for item in timeline.work_items:
            self._line(f"work-item    {item}", bold=True)
        times = [each.at for each in timeline.entries if each.at is not None]
        span = f", {format_instant(min(times))} to {format_instant(max(times))}" if times else ""
        self._line(f"{counted(len(timeline.entries), 'revision')}, {counted(len(timeline.audits), 'audit line')}{span}")

    def _findings(self, timeline: Timeline, words: EntryWords) -> None:
        self._heading("findings" if timeline.findings or not timeline.entries else "findings: none")
        if not timeline.entries:
            self._line(NOT_LOOKED_FOR, indent=2)
        for number, finding in enumerate(timeline.findings, start=1):
            self._line(f"{number}. {finding.kind.value}", indent=2, colour=_COLOURS[finding.kind], bold=True)
            self._line(finding.text, indent=5)
            for citation in finding.evidence:
                self._line(f"- {words.citation(citation)}", indent=5, hanging=2, dim=True)
            for each in finding.missing:
                self._line(f"missing: {each}", indent=5, hanging=2)
        if timeline.questions:
            self._heading("no verdict")
        for question in timeline.questions:
            self._line(f"? {question.kind.value}", indent=2, colour="magenta", bold=True)
            self._line(question.text, indent=5)
            for each in question.missing:
                self._line(f"missing: {each}", indent=5, hanging=2)

    def _list(self, heading: str, lines: Sequence[str]) -> None:
        if lines:
            self._heading(heading)
            for line in lines:
                self._line(line, indent=2, hanging=2)

    def _heading(self, text: str) -> None:
        self._to.write("\n")
        self._line(text, bold=True)

    def _line(
        self,
        text: str,
        *,
        indent: int = 0,
        hanging: int = 0,
        colour: str | None = None,
        bold: bool = False,
        dim: bool = False,
    ) -> None:
        """A text, wrapped; `hanging`: so many more blanks before its further lines."""
        styled = self._in_colour and (colour is not None or bold or dim)
        lines = wrapped(harmless(text), self._columns - indent - hanging)
        for number, line in enumerate(lines):
            shown = typer.style(line, fg=colour, bold=bold or None, dim=dim or None) if styled else line
            self._to.write(f"{' ' * (indent + (hanging if number else 0))}{shown}\n")

    def _row(self, cells: Sequence[Sequence[str]], colour: str | None) -> None:
        """A row of the table. A cell is a list of lines; each is wrapped in its column."""
        widths = (*_WIDTHS, self._columns - 2 - sum(_WIDTHS) - 2 * len(_WIDTHS))
        columns = [
            [part for line in lines for part in wrapped(harmless(line), width)]
            for lines, width in zip(cells, widths, strict=True)
        ]
        for number in range(max(map(len, columns))):
            parts = [column[number] if number < len(column) else "" for column in columns]
            line = "".join(
                f"{part}{' ' * (width - cell_len(part) + 2)}" for part, width in zip(parts, widths, strict=True)
            ).rstrip()
            self._to.write(f"  {typer.style(line, fg=colour) if self._in_colour and colour else line}\n")


def _columns_of_a_file() -> int:
    columns = os.environ.get("COLUMNS", "")
    return int(columns) if columns.isdecimal() and len(columns) < 5 else _COLUMNS_IN_A_FILE


def wrapped(text: str, width: int) -> list[str]:
    """The text in lines of so many columns of a terminal. A word that is wider than a line is cut."""
    if _fits(text, width):
        return [text]
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        longer = f"{line} {word}" if line else word
        if _fits(longer, width):
            line = longer
            continue
        if line:
            lines.append(line)
        *full, line = [word] if _fits(word, width) else chop_cells(word, width)
        lines.extend(full)
    return [*lines, line]


def _fits(text: str, width: int) -> bool:
    return len(text) <= width and (text.isascii() or cell_len(text) <= width)


def _rows(timeline: Timeline, words: EntryWords) -> Iterator[tuple[tuple[Sequence[str], ...], str | None]]:
    """The cells of each row, and its colour."""
    day: date | None = None
    for each in in_order_with_audits(timeline):
        time, day = _time(each.at, day)
        if isinstance(each, AuditEntry):
            yield (time, ["audit line"], [], list(audit_lines(each))), "bright_black"
            continue
        by = [each.client or "-", *(["sync"] if each.is_sync else [])]
        colour = "cyan" if each.is_sync else None
        yield (time, [words.revision(key_of(each))], by, list(words.lines(each))), colour


def _time(at: datetime | None, day: date | None) -> tuple[Sequence[str], date | None]:
    """The time of a row, below the date where that is another than the row's before."""
    if at is None:
        return ["?"], day
    iso = format_instant(at)
    clock = iso[11:-1]
    return ([clock] if day == at.date() else [iso[:10], clock]), at.date()
