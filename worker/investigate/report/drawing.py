"""A timeline as rows and lines: what the templates draw.

The rows run down in the order of the timeline, the conversation's on the left, the work-items' on the right. A sync's
line runs in a *track* between the two: from the write that it answers to the sync. A row may be as high as its text
needs, because each row draws its own part of the lines that pass it. Time is compressed: a longer pause is a higher
row, by steps.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import PurePath
from typing import Final, Literal
from urllib.parse import quote

from msgspec import Struct
from msgspec.structs import replace

from commands.instant import format_instant
from sync.gates import Side
from worker.investigate.report.shown_values import shown_value
from worker.investigate.report.tracks import Arrow, Line, arrows_of, drawn_lines, tracks_of
from worker.investigate.timeline.entry import AuditEntry, ChangedValue, EntryReason, TimelineEntry
from worker.investigate.timeline.findings.facts import duration_text
from worker.investigate.timeline.timeline import (
    OVERWROTE,
    EntryKey,
    FindingKind,
    OpenQuestion,
    RevisionGap,
    StatusStay,
    SyncAnswer,
    Timeline,
    TimelineFinding,
    key_of,
)
from worker.investigate.timeline.wording import NOT_LOOKED_FOR, counted

_PAUSES: Final = tuple(timedelta(seconds=seconds) for seconds in (0.25, 1, 10, 60, 600, 3_600, 86_400))
"""The least pause of each step; a shorter one is not drawn."""
_SUMMARIZED_MAX: Final = 4
"""How many changes a row shows; the revision's own block has them all."""

Mark = Literal["lost", "overwrote", "cited", ""]


class Change(Struct, frozen=True, kw_only=True):
    """A field before and after a write, in words."""

    name: str
    before: str
    after: str


class RevisionLink(Struct, frozen=True, kw_only=True):
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
    answers: RevisionLink | None
    answered_by: tuple[RevisionLink, ...]
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


class DrawnFinding(Struct, frozen=True, kw_only=True):
    """A finding, or a question that the capture leaves open, in words. `number` counts from 1."""

    number: int
    kind: str
    text: str
    grave: bool
    evidence: tuple[tuple[str, RevisionLink], ...]
    missing: tuple[str, ...]


class Drawing(Struct, frozen=True, kw_only=True):
    """A pair, drawn. `stays`: rows of record, status, since, until and duration. `gaps`: the missing revisions."""

    conversation_id: str
    work_items: tuple[str, ...]
    steps: tuple[Step, ...]
    findings: tuple[DrawnFinding, ...]
    questions: tuple[DrawnFinding, ...]
    stays: tuple[tuple[str, str, str, str, str], ...]
    gaps: tuple[str, ...]
    contradictions: tuple[str, ...]
    tracks: int
    left_out: int = 0

    @property
    def _are_revisions(self) -> bool:
        """Whether the pair has revisions, drawn or left out."""
        return bool(self.steps or self.left_out)

    @property
    def no_findings(self) -> str:
        """What stands in the place of findings where there are none."""
        if not self._are_revisions:
            return NOT_LOOKED_FOR.replace("`", "")
        return "None is certain: see the open questions." if self.questions else "None."

    @property
    def summary(self) -> str:
        """What the drawing shows, in one sentence."""
        if not self._are_revisions:
            return "no revision is captured"
        if not self.steps:
            return f"{counted(self.left_out, 'revision')}, none of them drawn"
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
    names = _Names(timeline, {key_of(entry) for entry in entries})
    arrows = arrows_of(timeline, {key_of(entry): row for row, entry in enumerate(entries)})
    tracks = tracks_of(arrows)
    return Drawing(
        conversation_id=timeline.conversation_id,
        work_items=timeline.work_items,
        steps=tuple(_steps(timeline, entries, names, arrows, tracks)),
        findings=tuple(_finding(number, each, names) for number, each in enumerate(timeline.findings, start=1)),
        questions=tuple(_finding(number, each, names) for number, each in enumerate(timeline.questions, start=1)),
        stays=tuple(_stay(each, names) for each in timeline.stays),
        gaps=tuple(_gap(each, names) for each in timeline.gaps),
        contradictions=timeline.contradictions,
        tracks=max(tracks, default=0) + 1,
        left_out=len(timeline.entries) - len(entries),
    )


class _Names:
    """What records and revisions are called, and where the drawn ones stand in the page."""

    def __init__(self, timeline: Timeline, drawn: Collection[EntryKey]) -> None:
        self._are_several = len(timeline.work_items) > 1
        self._drawn = drawn

    def record(self, side: Side, document_id: str) -> str:
        """`conversation`, or `work-item`; with its id where the pair has several."""
        return f"work-item {document_id}" if side == "work-item" and self._are_several else side

    def revision(self, key: EntryKey) -> str:
        """`conversation 7`, `work-item 2`; with the work-item's id where the pair has several, as in the findings."""
        of_item = f" of {key.document_id}" if key.side == "work-item" and self._are_several else ""
        return f"{key.side} {key.rev}{of_item}"

    def link(self, key: EntryKey) -> RevisionLink:
        """A link to the revision, without an address where it is not drawn."""
        return RevisionLink(text=self.revision(key), anchor=_anchor(key) if key in self._drawn else None)


def _steps(
    timeline: Timeline,
    entries: Sequence[TimelineEntry],
    names: _Names,
    arrows: Sequence[Arrow],
    tracks: Sequence[int],
) -> Iterator[Step]:
    marks, cited = _marks(timeline.findings)
    overwrote = {key for key, mark in marks.items() if mark == "overwrote"}
    lines_in, lines_above = drawn_lines(arrows, tracks, overwrote, entries)
    answers = {answer.sync: answer for answer in timeline.answers}
    answered: dict[EntryKey, list[EntryKey]] = {}
    for each in timeline.answers:
        if each.cause is not None:
            answered.setdefault(each.cause, []).append(each.sync)
    previous: datetime | None = None
    for row, entry in enumerate(entries):
        key = key_of(entry)
        answer = answers.get(key)
        pause, pause_step = _pause(previous, entry.at)
        yield Step(
            anchor=_anchor(key),
            side=entry.side,
            title=names.revision(key),
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
            answers=None if answer is None or answer.cause is None else names.link(answer.cause),
            answered_by=tuple(names.link(sync) for sync in answered.get(key, ())),
            basis="" if answer is None or answer.basis is None else answer.basis.value,
            known=_known(entry, answer, names),
            audits=tuple(_audit(timeline.audits[place]) for place in answer.audits) if answer is not None else (),
            findings=tuple(cited.get(key, ())),
            mark=marks.get(key, "cited" if key in cited else ""),
            place=_place(entry.file, entry.line),
        )
        previous = entry.at or previous


def _stay(stay: StatusStay, names: _Names) -> tuple[str, str, str, str, str]:
    """Record, status, since, until and duration."""
    return (
        names.record(stay.side, stay.document_id),
        stay.status,
        "before the capture" if stay.entered_at is None else format_instant(stay.entered_at),
        "to the end of the capture" if stay.left_at is None else format_instant(stay.left_at),
        _stay_length(stay.ms, exact=stay.exact),
    )


def _gap(gap: RevisionGap, names: _Names) -> str:
    missing = f"revision {gap.first}" if gap.first == gap.last else f"revisions {gap.first} to {gap.last}"
    before = " (before the first captured one)" if gap.leading else ""
    return f"{names.record(gap.side, gap.document_id)}: {missing}{before}"


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


def _finding(number: int, finding: TimelineFinding | OpenQuestion, names: _Names) -> DrawnFinding:
    evidence: list[tuple[str, RevisionLink]] = []
    for each in finding.evidence:
        if each.side is not None and each.document_id is not None and each.rev is not None:
            evidence.append(
                (each.role, names.link(EntryKey(side=each.side, document_id=each.document_id, rev=each.rev)))
            )
        else:
            where = f"audit line {_place(each.file, each.line)}".rstrip()
            evidence.append((each.role, RevisionLink(text=where, anchor=None)))
    return DrawnFinding(
        number=number,
        kind=finding.kind.value.replace("_", " ").lower(),
        text=finding.text,
        grave=finding.kind is FindingKind.UPDATE_LOST,
        evidence=tuple(evidence),
        missing=finding.missing,
    )


def _place(file: str, line: int) -> str:
    """The file's name and the line: a page that goes into a ticket tells nobody's folders."""
    return f"{PurePath(file).name}:{line}" if file else ""


def _anchor(key: EntryKey) -> str:
    return f"{key.side}-{quote(key.document_id, safe='')}-{key.rev}"


def _writer(entry: TimelineEntry) -> str:
    what = "deleted by " if entry.deletion else "created by " if entry.creation else "by "
    by = what + (entry.client or "an unnamed client")
    if entry.is_sync:
        return f"sync of this worker, {by}" if entry.is_own_sync else f"sync, {by}"
    return by


def _known(entry: TimelineEntry, answer: SyncAnswer | None, names: _Names) -> str:
    """The revisions that the write knew, or that the sync compared."""
    if answer is None:
        return "" if entry.known_conversation_rev is None else f"conversation {entry.known_conversation_rev}"
    known = [] if answer.conversation_rev is None else [f"conversation {answer.conversation_rev}"]
    if answer.work_item_rev is not None:
        item = answer.sync if entry.side == "work-item" else answer.cause
        is_item = item is not None and item.side == "work-item"
        named = names.revision(replace(item, rev=answer.work_item_rev)) if item is not None and is_item else ""
        known.append(named or f"work-item {answer.work_item_rev}")
    return ", ".join(known)


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
        _place(audit.file, audit.line),
    ]
    return " · ".join(part for part in parts if part)
