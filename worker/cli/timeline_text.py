"""A timeline on a terminal: findings first, then the revisions as a table, readable at 80 columns."""

import os
from collections.abc import Iterator
from datetime import date, datetime
from io import StringIO
from typing import Final, TextIO

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from commands.instant import format_instant
from worker.investigate.timeline.captured_pairs import FindingCounts
from worker.investigate.timeline.entry import AuditEntry
from worker.investigate.timeline.harmless import harmless
from worker.investigate.timeline.timeline import FindingKind, Timeline, key_of
from worker.investigate.timeline.wording import (
    EntryWords,
    audit_lines,
    citation_text,
    counted,
    gap_text,
    in_order_with_audits,
    stay_text,
)

_COLUMNS_IN_A_FILE: Final = 100
_STYLES: Final = {
    FindingKind.UPDATE_LOST: "bold red",
    FindingKind.STALE_COMPARISON: "red",
    FindingKind.OUT_OF_STEP: "yellow",
    FindingKind.ASSIGNED_WITHOUT_QUEUE: "yellow",
    FindingKind.COMPLETED_WITHOUT_AGENT: "yellow",
    FindingKind.FIELDS_DROPPED: "yellow",
    FindingKind.BOUNCE: "cyan",
}


class TimelineText:
    """Prints timelines to a stream, in colour where it is a terminal. A file gets lines of `COLUMNS` or 100."""

    def __init__(self, to: TextIO) -> None:
        self._to = to
        self._held: StringIO | None = None
        if to.isatty():
            self._console = Console(file=to, highlight=False, markup=False, emoji=False)
        else:
            self._held = StringIO()
            columns = os.environ.get("COLUMNS", "")
            width = int(columns) if columns.isdecimal() and int(columns) else _COLUMNS_IN_A_FILE
            self._console = Console(file=self._held, width=width, color_system=None, highlight=False, markup=False)

    def timeline(self, timeline: Timeline) -> None:
        """One pair."""
        self._head(timeline)
        self._findings(timeline)
        self._list("missing revisions", [gap_text(each) for each in timeline.gaps])
        self._list("contradictions", list(timeline.contradictions))
        self._table(timeline)
        for side in ("conversation", "work-item"):
            stays = [stay_text(each, timeline) for each in timeline.stays if each.side == side]
            self._list(f"time in each status of the {side}", stays)
        self._line("")
        self._release()

    def _release(self) -> None:
        """Write the held lines without the blanks with which rich fills a line."""
        if self._held is not None:
            self._to.writelines(f"{line.rstrip()}\n" for line in self._held.getvalue().splitlines())
            self._held.seek(0)
            self._held.truncate()

    def summary(self, counts: FindingCounts) -> None:
        """A last line for all pairs."""
        kinds = ", ".join(f"{kind} {count:,}" for kind, count in counts.by_kind.most_common())
        self._line(
            f"{counts.pairs:,} pairs, {counts.pairs_with_findings:,} with findings"
            f"{f': {kinds}' if kinds else ''}; {counts.questions:,} without a verdict"
        )
        self._release()

    def _head(self, timeline: Timeline) -> None:
        self._line(f"conversation {timeline.conversation_id}", "bold")
        for item in timeline.work_items:
            self._line(f"work-item    {item}", "bold")
        times = [each.at for each in timeline.entries if each.at is not None]
        span = f", {format_instant(min(times))} to {format_instant(max(times))}" if times else ""
        self._line(f"{counted(len(timeline.entries), 'revision')}, {counted(len(timeline.audits), 'audit line')}{span}")

    def _findings(self, timeline: Timeline) -> None:
        self._line("")
        self._line("findings" if timeline.findings else "findings: none", "bold")
        for number, finding in enumerate(timeline.findings, start=1):
            self._line(f"{number}. {finding.kind.value}", _STYLES[finding.kind], indent=2)
            self._line(finding.text, indent=5)
            for citation in finding.evidence:
                self._line(f"- {citation_text(citation)}", "dim", indent=5)
            for each in finding.missing:
                self._line(f"missing: {each}", indent=5)
        if timeline.questions:
            self._line("")
            self._line("no verdict", "bold")
            for question in timeline.questions:
                self._line(f"? {question.kind.value}", "magenta", indent=2)
                self._line(question.text, indent=5)
                for each in question.missing:
                    self._line(f"missing: {each}", indent=5)

    def _table(self, timeline: Timeline) -> None:
        table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
        for name in ("time", "revision", "by"):
            table.add_column(name, no_wrap=name == "time", overflow="fold")
        table.add_column("what", ratio=1, overflow="fold")
        for row in _rows(timeline):
            table.add_row(*row)
        self._line("")
        self._line("revisions", "bold")
        self._console.print(Padding(table, (0, 0, 0, 2)))

    def _list(self, heading: str, lines: list[str]) -> None:
        if lines:
            self._line("")
            self._line(heading, "bold")
            for line in lines:
                self._line(line, indent=2)

    def _line(self, text: str, style: str = "", *, indent: int = 0) -> None:
        line = Text(harmless(text), style=style, overflow="fold")
        self._console.print(Padding(line, (0, 0, 0, indent)) if indent else line)


def _rows(timeline: Timeline) -> Iterator[tuple[Text, Text, Text, Text]]:
    words = EntryWords(timeline)
    day: date | None = None
    for each in in_order_with_audits(timeline):
        time, day = _time(each.at, day)
        if isinstance(each, AuditEntry):
            lines = list(audit_lines(each))
            yield time, Text("audit line", style="dim"), Text(), _text(lines, "dim")
            continue
        by = Text(harmless(each.client or "-"))
        if each.is_sync:
            by.append("\nsync", style="cyan")
        yield time, Text(harmless(words.revision(key_of(each)))), by, _text(list(words.lines(each)), "")


def _time(at: datetime | None, day: date | None) -> tuple[Text, date | None]:
    """The time of a row, below the date where that is another than the row's before."""
    if at is None:
        return Text("?"), day
    iso = format_instant(at)
    today, clock = iso[:10], iso[11:-1]
    return Text(clock if day == at.date() else f"{today}\n{clock}"), at.date()


def _text(lines: list[str], style: str) -> Text:
    return Text("\n".join(map(harmless, lines)), style=style, overflow="fold")
