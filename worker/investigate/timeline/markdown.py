"""A timeline as Markdown for a ticket. Nothing in it can become a heading, a link, a mention or HTML of the ticket."""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from commands.instant import format_instant
from worker.investigate.timeline.entry import AuditEntry, TimelineEntry
from worker.investigate.timeline.harmless import harmless
from worker.investigate.timeline.timeline import Timeline, key_of
from worker.investigate.timeline.wording import (
    NOT_LOOKED_FOR,
    EntryWords,
    audit_lines,
    counted,
    gap_text,
    in_order_with_audits,
)

_SPECIAL: Final = re.compile(r"([\\`*_{}\[\]<>#|~!])")


def markdown_lines(timeline: Timeline) -> Iterator[str]:
    """The lines of one pair's timeline."""
    words = EntryWords(timeline)
    items = ", ".join(timeline.work_items) or "none captured"
    yield f"## Conversation {escaped(timeline.conversation_id)}"
    yield ""
    counts = f"{counted(len(timeline.entries), 'revision')}, {counted(len(timeline.audits), 'audit line')}"
    yield f"Work-item: {escaped(items)}. {counts}."
    yield from _findings(timeline, words)
    yield from _list("Missing revisions", [gap_text(each) for each in timeline.gaps])
    yield from _list("Contradictions", list(timeline.contradictions))
    yield from _table(timeline, words)
    for side in ("conversation", "work-item"):
        stays = [words.stay(each) for each in timeline.stays if each.side == side]
        yield from _list(f"Time in each status of the {side}", stays)


def _findings(timeline: Timeline, words: EntryWords) -> Iterator[str]:
    yield ""
    yield "### Findings"
    yield ""
    if not timeline.findings:
        yield "None." if timeline.entries else NOT_LOOKED_FOR
    for number, finding in enumerate(timeline.findings, start=1):
        yield f"{number}. **{escaped(finding.kind.value)}** {escaped(finding.text)}"
        yield from (f"   - {escaped(words.citation(each))}" for each in finding.evidence)
        yield from (f"   - missing: {escaped(each)}" for each in finding.missing)
    if timeline.questions:
        yield ""
        yield "### No verdict"
        yield ""
        for question in timeline.questions:
            yield f"- **{escaped(question.kind.value)}** {escaped(question.text)}"
            yield from (f"  - missing: {escaped(each)}" for each in question.missing)


def _list(heading: str, lines: list[str]) -> Iterator[str]:
    if lines:
        yield ""
        yield f"### {heading}"
        yield ""
        yield from (f"- {escaped(line)}" for line in lines)


def _table(timeline: Timeline, words: EntryWords) -> Iterator[str]:
    yield ""
    yield "### Revisions"
    yield ""
    yield "| time | revision | by | what |"
    yield "|---|---|---|---|"
    for each in in_order_with_audits(timeline):
        if isinstance(each, AuditEntry):
            yield _row(each.at, "audit line", "", list(audit_lines(each)))
        else:
            yield _row(each.at, words.revision(key_of(each)), _by(each), list(words.lines(each)))


def _by(entry: TimelineEntry) -> str:
    return f"{entry.client or '-'}{' (sync)' if entry.is_sync else ''}"


def _row(at: datetime | None, subject: str, by: str, lines: list[str]) -> str:
    time = "?" if at is None else format_instant(at)
    return f"| {time} | {escaped(subject)} | {escaped(by)} | {'<br>'.join(map(escaped, lines))} |"


def escaped(text: str) -> str:
    """The text as plain words of a Markdown document."""
    return _SPECIAL.sub(r"\\\1", harmless(text)).replace("@", "&#64;").replace("://", ":&#47;&#47;")
