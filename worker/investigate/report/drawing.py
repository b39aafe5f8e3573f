"""A timeline as rows and lines: what the templates draw.

The rows run down in the order of the timeline, the conversation's on the left, the work-items' on the right. A sync's
line runs in a *track* between the two: from the write that it answers to the sync. A row may be as high as its text
needs, because each row draws its own part of the lines that pass it. Time is compressed: a longer pause is a higher
row, by steps.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from urllib.parse import quote

from msgspec import Struct

from commands.instant import format_instant
from sync.gates import Side
from worker.investigate.report.shown_values import shown_value
from worker.investigate.timeline.entry import AuditEntry, ChangedValue, EntryReason, TimelineEntry
from worker.investigate.timeline.findings.facts import duration_text
from worker.investigate.timeline.timeline import (
    EntryKey,
    FindingKind,
    OpenQuestion,
    SyncAnswer,
    Timeline,
    TimelineFinding,
    key_of,
)

TRACKS: Final = 6
"""How many lines run side by side; more share a track."""
_PAUSES: Final = tuple(timedelta(seconds=seconds) for seconds in (0.25, 1, 10, 60, 600, 3_600, 86_400))
"""The least pause of each step; a shorter one is not drawn."""
_SUMMARIZED_MAX: Final = 4
"""How many changes a row shows; the revision's own block has them all."""

Mark = Literal["lost", "overwrote", "cited", ""]


class Line(Struct, frozen=True, kw_only=True):
    """The part of a sync's line in one row, in percent of the row: `(x, y)` from where, to where."""

    start: tuple[int, int]
    end: tuple[int, int]
    lost: bool
    number: int


class Change(Struct, frozen=True, kw_only=True):
    """A field before and after a write, in words."""

    name: str
    before: str
    after: str


class Link(Struct, frozen=True, kw_only=True):
    """Another revision of the drawing: its name, its address within the page (None: it is not drawn)."""

    text: str
    anchor: str | None


class Step(Struct, frozen=True, kw_only=True):
    """One revision. `mark`: the worst that a finding says of it. `pause`: the time since the row before it, and
    `pause_step` how high it is drawn, from 0 (not at all)."""

    anchor: str
    side: Side
    title: str
    document_id: str
    writer: str
    is_sync: bool
    at: str
    clock: str
    pause: str
    pause_step: int
    pause_lines: tuple[Line, ...]
    lines: tuple[Line, ...]
    event_id: str | None
    event_name: str | None
    trace_id: str | None
    changes: tuple[Change, ...] | None
    other_changes: tuple[str, ...]
    reasons: tuple[str, ...]
    answers: Link | None
    answered_by: tuple[Link, ...]
    basis: str
    known: str
    audits: tuple[str, ...]
    findings: tuple[int, ...]
    mark: Mark
    place: str

    @property
    def shown_changes(self) -> tuple[Change, ...]:
        """The changes that the row shows."""
        return (self.changes or ())[:_SUMMARIZED_MAX]


class Finding(Struct, frozen=True, kw_only=True):
    """A finding, or a question that the capture leaves open, in words. `number` counts from 1."""

    number: int
    kind: str
    text: str
    grave: bool
    evidence: tuple[tuple[str, Link], ...]
    missing: tuple[str, ...]


class Drawing(Struct, frozen=True, kw_only=True):
    """A pair, drawn. `stays`: rows of record, status, since, until and duration. `gaps`: the missing revisions."""

    conversation_id: str
    work_items: tuple[str, ...]
    steps: tuple[Step, ...]
    findings: tuple[Finding, ...]
    questions: tuple[Finding, ...]
    stays: tuple[tuple[str, str, str, str, str], ...]
    gaps: tuple[str, ...]
    contradictions: tuple[str, ...]
    tracks: int
    left_out: int = 0

    @property
    def summary(self) -> str:
        """What the drawing shows, in one sentence."""
        syncs = sum(step.is_sync for step in self.steps)
        lost = sum(step.mark == "lost" for step in self.steps)
        told = f"{len(self.steps)} revisions, {syncs} of them syncs"
        return (
            f"{told}; {lost} {'update was' if lost == 1 else 'updates were'} lost"
            if lost
            else f"{told}; no lost update is shown"
        )


def draw(timeline: Timeline, *, steps_max: int) -> Drawing:
    """The drawing of a timeline: its first `steps_max` revisions, and every finding."""
    entries = timeline.entries[:steps_max]
    rows = {key_of(entry): row for row, entry in enumerate(entries)}
    titles = _titles(timeline)
    arrows = _arrows(timeline, rows)
    marks, cited = _marks(timeline.findings)
    tracks = _tracks(arrows)
    lines_in, lines_above = _drawn_lines(arrows, tracks, marks, entries)
    answers = {answer.sync: answer for answer in timeline.answers}
    answered: dict[EntryKey, list[EntryKey]] = {}
    for each in timeline.answers:
        if each.cause is not None:
            answered.setdefault(each.cause, []).append(each.sync)

    def link(key: EntryKey) -> Link:
        return Link(text=titles.get(key, f"{key.side} {key.rev}"), anchor=_anchor(key) if key in rows else None)

    steps: list[Step] = []
    previous: datetime | None = None
    for row, entry in enumerate(entries):
        key = key_of(entry)
        answer = answers.get(key)
        pause, pause_step = _pause(previous, entry.at)
        steps.append(
            Step(
                anchor=_anchor(key),
                side=entry.side,
                title=titles[key],
                document_id=entry.document_id,
                writer=_writer(entry),
                is_sync=entry.is_sync,
                at="" if entry.at is None else format_instant(entry.at),
                clock="unknown time" if entry.at is None else f"{entry.at:%H:%M:%S}.{entry.at.microsecond // 1000:03}",
                pause=pause,
                pause_step=pause_step,
                pause_lines=tuple(lines_above[row]),
                lines=tuple(lines_in[row]),
                event_id=entry.event_id,
                event_name=entry.name,
                trace_id=entry.trace_id,
                changes=None if entry.changes is None else tuple(_change(each) for each in entry.changes),
                other_changes=entry.other_changes,
                reasons=tuple(_reason(each) for each in entry.reasons),
                answers=None if answer is None or answer.cause is None else link(answer.cause),
                answered_by=tuple(link(sync) for sync in answered.get(key, ())),
                basis="" if answer is None or answer.basis is None else answer.basis.value,
                known=_known(entry, answer),
                audits=tuple(_audit(timeline.audits[place]) for place in answer.audits) if answer is not None else (),
                findings=tuple(cited.get(key, ())),
                mark=marks.get(key, "cited" if key in cited else ""),
                place=f"{entry.file}:{entry.line}" if entry.file else "",
            )
        )
        previous = entry.at or previous
    return Drawing(
        conversation_id=timeline.conversation_id,
        work_items=timeline.work_items,
        steps=tuple(steps),
        findings=tuple(_finding(number, each, link) for number, each in enumerate(timeline.findings, start=1)),
        questions=tuple(_finding(number, each, link) for number, each in enumerate(timeline.questions, start=1)),
        stays=tuple(
            (
                _record(timeline, stay.side, stay.document_id),
                stay.status,
                "before the capture" if stay.entered_at is None else format_instant(stay.entered_at),
                "to the end of the capture" if stay.left_at is None else format_instant(stay.left_at),
                _stay_length(stay.ms, exact=stay.exact),
            )
            for stay in timeline.stays
        ),
        gaps=tuple(
            f"{_record(timeline, gap.side, gap.document_id)}: "
            + (f"revision {gap.first}" if gap.first == gap.last else f"revisions {gap.first} to {gap.last}")
            + (" (before the first captured one)" if gap.leading else "")
            for gap in timeline.gaps
        ),
        contradictions=timeline.contradictions,
        tracks=max(tracks, default=0) + 1,
        left_out=len(timeline.entries) - len(entries),
    )


class _Arrow(Struct, frozen=True, kw_only=True):
    cause: EntryKey
    sync: EntryKey
    first: int
    last: int


def _arrows(timeline: Timeline, rows: Mapping[EntryKey, int]) -> Sequence[_Arrow]:
    """The lines whose two ends are drawn, by their first row."""
    found = [
        _Arrow(
            cause=answer.cause,
            sync=answer.sync,
            first=min(rows[answer.cause], rows[answer.sync]),
            last=max(rows[answer.cause], rows[answer.sync]),
        )
        for answer in timeline.answers
        if answer.cause is not None and answer.cause in rows and answer.sync in rows
    ]
    return sorted(found, key=lambda arrow: (arrow.first, arrow.last))


def _tracks(arrows: Sequence[_Arrow]) -> Sequence[int]:
    """The track of each line: the first one that is free from its first row on; else the one that is free soonest."""
    free_from = [0] * TRACKS
    tracks: list[int] = []
    for arrow in arrows:
        free = [track for track, row in enumerate(free_from) if row <= arrow.first]
        track = free[0] if free else min(range(TRACKS), key=free_from.__getitem__)
        free_from[track] = max(free_from[track], arrow.last)
        tracks.append(track)
    return tracks


def _drawn_lines(
    arrows: Sequence[_Arrow], tracks: Sequence[int], marks: Mapping[EntryKey, Mark], entries: Sequence[TimelineEntry]
) -> tuple[Sequence[Sequence[Line]], Sequence[Sequence[Line]]]:
    """By row: the parts of the lines in it, and those that come to it from above.

    Lines that share a track coincide, and one of them is drawn, a lost update's before others: so a row has a few lines
    however many syncs answer one write.
    """
    rows: list[dict[tuple[tuple[int, int], tuple[int, int]], Line]] = [{} for _ in entries]
    above: list[dict[int, Line]] = [{} for _ in entries]
    width = max(tracks, default=0) + 1
    numbered = [(marks.get(arrow.sync) == "overwrote", number) for number, arrow in enumerate(arrows)]
    for lost, number in sorted(numbered, key=lambda each: not each[0]):
        arrow, x = arrows[number], _track_x(tracks[number], width)
        for row in range(arrow.first, arrow.last + 1):
            edge = 0 if entries[row].side == "conversation" else 100
            start = (edge, 50) if row == arrow.first else (x, 0)
            end = (edge, 50) if row == arrow.last else (x, 100)
            if (start, end) not in rows[row]:
                rows[row][start, end] = Line(start=start, end=end, lost=lost, number=number)
            if row > arrow.first and x not in above[row]:
                above[row][x] = Line(start=(x, 0), end=(x, 100), lost=lost, number=number)
    return [_by_number(each.values()) for each in rows], [_by_number(each.values()) for each in above]


def _by_number(lines: Iterable[Line]) -> Sequence[Line]:
    return tuple(sorted(lines, key=lambda line: line.number))


def _track_x(track: int, tracks: int) -> int:
    return 100 * (track + 1) // (tracks + 1)


def _marks(findings: Sequence[TimelineFinding]) -> tuple[dict[EntryKey, Mark], dict[EntryKey, list[int]]]:
    """The mark of the lost writes and of the syncs that overwrote them; the numbers of the findings that cite each."""
    marks: dict[EntryKey, Mark] = {}
    cited: dict[EntryKey, list[int]] = {}
    for number, finding in enumerate(findings, start=1):
        for citation in finding.evidence:
            if citation.side is None or citation.document_id is None or citation.rev is None:
                continue
            key = EntryKey(side=citation.side, document_id=citation.document_id, rev=citation.rev)
            cited.setdefault(key, []).append(number)
            if finding.kind is FindingKind.UPDATE_LOST:
                if citation.role == OVERWROTE:
                    marks[key] = "overwrote"
                elif citation is finding.evidence[0]:
                    marks.setdefault(key, "lost")
    return marks, cited


OVERWROTE: Final = "overwrote it"
"""The role of the sync in the evidence of a lost update; the lost write is the first of the evidence."""


def _finding(number: int, finding: TimelineFinding | OpenQuestion, link: Any) -> Finding:
    evidence: list[tuple[str, Link]] = []
    for each in finding.evidence:
        if each.side is not None and each.document_id is not None and each.rev is not None:
            evidence.append((each.role, link(EntryKey(side=each.side, document_id=each.document_id, rev=each.rev))))
        else:
            where = f"audit line {each.file}:{each.line}" if each.file else "audit line"
            evidence.append((each.role, Link(text=where, anchor=None)))
    return Finding(
        number=number,
        kind=finding.kind.value.replace("_", " ").lower(),
        text=finding.text,
        grave=finding.kind is FindingKind.UPDATE_LOST,
        evidence=tuple(evidence),
        missing=finding.missing,
    )


def _titles(timeline: Timeline) -> dict[EntryKey, str]:
    return {key_of(each): f"{_record(timeline, each.side, each.document_id)} {each.rev}" for each in timeline.entries}


def _record(timeline: Timeline, side: Side, document_id: str) -> str:
    """`conversation`, or `work-item`; with its id where the pair has several."""
    return f"work-item {document_id}" if side == "work-item" and len(timeline.work_items) > 1 else side


def _anchor(key: EntryKey) -> str:
    return f"{key.side}-{quote(key.document_id, safe='')}-{key.rev}"


def _writer(entry: TimelineEntry) -> str:
    what = "deleted by " if entry.deletion else "created by " if entry.creation else "by "
    by = what + (entry.client or "an unnamed client")
    if entry.is_sync:
        return f"sync of this worker, {by}" if entry.is_own_sync else f"sync, {by}"
    return by


def _known(entry: TimelineEntry, answer: SyncAnswer | None) -> str:
    """The revisions that the write knew, or that the sync compared."""
    if answer is not None:
        compared = (("conversation", answer.conversation_rev), ("work-item", answer.work_item_rev))
        return ", ".join(f"{side} {rev}" for side, rev in compared if rev is not None)
    return "" if entry.known_conversation_rev is None else f"conversation {entry.known_conversation_rev}"


def _pause(since: datetime | None, until: datetime | None) -> tuple[str, int]:
    if since is None or until is None or until < since:
        return "", 0
    step = sum(until - since >= least for least in _PAUSES)
    return (f"{duration_text(until - since)} later", step) if step else ("", 0)


def _stay_length(ms: int | None, *, exact: bool) -> str:
    if ms is None:
        return "not captured whole"
    return duration_text(timedelta(milliseconds=ms)) + ("" if exact else ", by the captured revisions")


def _change(change: ChangedValue) -> Change:
    return Change(name=change.name, before=shown_value(change.before), after=shown_value(change.after))


def _reason(reason: EntryReason) -> str:
    named = f"{reason.action or 'no action'}, {reason.code or 'no code'}"
    return f"{named}: {shown_value(reason.meta)}" if reason.meta else named


def _audit(audit: AuditEntry) -> str:
    """The audit line in words."""
    parts = [
        "" if audit.at is None else format_instant(audit.at),
        "this worker" if audit.is_own else "its predecessor",
        audit.outcome or "",
        audit.direction or "",
        f"policy {audit.policy}" if audit.policy else "",
        f"because of event {audit.event_id}" if audit.event_id else "",
        *(f"{each.action}, {each.code}" for each in audit.reasons),
        f"{audit.file}:{audit.line}" if audit.file else "",
    ]
    return " · ".join(part for part in parts if part)
