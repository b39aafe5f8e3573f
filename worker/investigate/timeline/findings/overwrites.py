"""Syncs that overwrote a newer write: `UPDATE_LOST` and `STALE_COMPARISON`.

`newer_write.py` judges which of two writes is newer.
"""

from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime

from sync.conversation import FIELDS, Field
from worker.investigate.timeline.answers import agree
from worker.investigate.timeline.entry import TimelineEntry
from worker.investigate.timeline.findings.facts import TimelineFacts, is_before, lapse, shown_value
from worker.investigate.timeline.findings.newer_write import (
    FieldOverwrite,
    NewerWrite,
    OverwriteJudgement,
    cause_of,
    judged,
)
from worker.investigate.timeline.timeline import (
    DECIDED_WITHOUT,
    OVERWROTE,
    Citation,
    FindingKind,
    OpenQuestion,
    TimelineFinding,
    TimelineLimits,
    changed_role,
    cite,
    key_of,
)


def overwrites(facts: TimelineFacts, limits: TimelineLimits) -> Iterator[TimelineFinding | OpenQuestion]:
    """The findings of every sync and field."""
    for place, sync in enumerate(facts.entries):
        if not sync.is_sync or sync.state is None or sync.before is None:
            continue
        for field in FIELDS:
            if not sync.changed(field) or sync.follows_from_closing(field):
                continue
            overwrite = _overwrite_of(facts, place, field)
            stale = _outdated(facts, place, field)
            if isinstance(overwrite, OpenQuestion):
                yield overwrite
            elif overwrite is not None:
                found = list(_findings(facts, overwrite, limits))
                yield from found
                if any(each.kind is FindingKind.STALE_COMPARISON for each in found):
                    continue
            if stale is not None:
                yield stale


def _overwrite_of(facts: TimelineFacts, place: int, field: Field) -> FieldOverwrite | OpenQuestion | None:
    sync = facts.entries[place]
    last = facts.last_change(sync.document_id, field, place)
    if last is None:
        return None
    written = facts.entries[last]
    if written.is_sync or written.creation or written.state is None or sync.before is None:
        # The first value replaces none, so it is no update; and what a sync wrote is no outside write.
        return None
    if written.state.value(field) != sync.before.value(field):
        missing = facts.missing_between(sync.document_id, written.rev + 1, sync.rev - 1)
        return _question(
            facts,
            place,
            field,
            f"{facts.named(sync)} set {field} to {shown_value(field, sync)}, and the write of the value that it "
            "overwrote is not captured.",
            (missing or f"{sync.side} revisions before {sync.rev}{facts.of_item(sync.document_id)}",),
        )
    other = facts.other_record(place)
    copied = None if other is None else _copied(facts, place, other, field)
    return FieldOverwrite(place=place, field=field, overwritten=last, copied=copied)


def _copied(facts: TimelineFacts, place: int, other: str, field: Field) -> int | None:
    """The place of the other record's last write of the field before the sync, if the sync carries its value."""
    sync = facts.entries[place]
    copied = facts.last_change(other, field, place)
    if copied is None:
        return None
    theirs = facts.entries[copied].state
    return copied if theirs is not None and sync.state is not None and agree(field, sync.state, theirs) else None


def _findings(
    facts: TimelineFacts, overwrite: FieldOverwrite, limits: TimelineLimits
) -> Iterator[TimelineFinding | OpenQuestion]:
    sync, written = facts.entries[overwrite.place], facts.entries[overwrite.overwritten]
    judgement = judged(facts, overwrite)
    field = overwrite.field
    match judgement.newer:
        case NewerWrite.COPIED:
            return
        case NewerWrite.UNKNOWN:
            text = (
                f"{facts.named(sync)} set {field} to {shown_value(field, sync)} over {shown_value(field, written)} of "
                f"{facts.named(written)}: the capture does not show which of the two is newer."
            )
            yield _question(facts, overwrite.place, field, text, judgement.missing)
        case NewerWrite.OVERWRITTEN:
            evidence = _evidence(facts, overwrite)
            yield from _lost(facts, overwrite, judgement, limits, evidence)
            yield TimelineFinding(
                kind=FindingKind.STALE_COMPARISON,
                text=f"{facts.named(sync)} rests on a stale comparison: {judgement.because}.",
                field=field,
                since=written.at,
                until=sync.at,
                evidence=evidence,
                missing=judgement.missing,
            )


def _evidence(facts: TimelineFacts, overwrite: FieldOverwrite) -> tuple[Citation, ...]:
    sync, written, field = facts.entries[overwrite.place], facts.entries[overwrite.overwritten], overwrite.field
    cited = {key_of(written): cite(written, changed_role(field)), key_of(sync): cite(sync, OVERWROTE)}
    if overwrite.copied is not None:
        copied = facts.entries[overwrite.copied]
        cited.setdefault(key_of(copied), cite(copied, f"last write of {field} on the other side"))
    cause = cause_of(facts, overwrite.place)
    if cause is not None:
        cited.setdefault(key_of(cause), cite(cause, "the write that the sync answers"))
    return tuple(cited.values()) + audit_citations(facts, sync)


def audit_citations(facts: TimelineFacts, sync: TimelineEntry) -> tuple[Citation, ...]:
    """The audit lines that record a sync, as evidence."""
    answer = facts.answers.get(key_of(sync))
    lines = [] if answer is None else [facts.timeline.audits[place] for place in answer.audits]
    return tuple(
        Citation(
            role=f"audit line of {facts.label(sync)}",
            side=None,
            document_id=None,
            rev=None,
            event_id=line.event_id,
            at=line.at,
            file=line.file,
            line=line.line,
        )
        for line in lines
    )


def _lost(
    facts: TimelineFacts,
    overwrite: FieldOverwrite,
    judgement: OverwriteJudgement,
    limits: TimelineLimits,
    evidence: tuple[Citation, ...],
) -> Iterator[TimelineFinding]:
    sync, written, field = facts.entries[overwrite.place], facts.entries[overwrite.overwritten], overwrite.field
    end, last = _end_of(facts, overwrite)
    until = None if end is None else end.at
    after = "Nothing in the capture restores it."
    restored = False
    if end is not None:
        lost = _value(field, written)
        found = None if end.before is None else end.before.value(field)
        restored = lost in (found, _value(field, end))
        if restored and _within(sync.at, until, limits.out_of_step_s):
            return
        did = "found it restored" if found == lost else f"set it to {shown_value(field, end)}"
        did = "restored it" if restored and found != lost else did
        after = f"{facts.named(end)} {did} {lapse(sync.at, until)} later."
    gap = None if restored else facts.missing_between(sync.document_id, sync.rev + 1, last.rev)
    yield TimelineFinding(
        kind=FindingKind.UPDATE_LOST,
        text=f"{facts.named(written)} set {field} to {shown_value(field, written)}; {facts.named(sync)} set it to "
        f"{shown_value(field, sync)} {lapse(written.at, sync.at)} later. The update is lost: {judgement.because}. "
        f"{after}",
        field=field,
        since=sync.at,
        until=until,
        evidence=evidence if end is None else (*evidence, cite(end, "ended it")),
        missing=judgement.missing if gap is None else (*judgement.missing, f"{gap}, which may have restored it"),
    )


def _end_of(facts: TimelineFacts, overwrite: FieldOverwrite) -> tuple[TimelineEntry | None, TimelineEntry]:
    """The record's first entry after the sync that shows another value, after its write or before it; and the last
    entry that was looked at. Before it: where revisions are missing, one of them has set that value."""
    sync = facts.entries[overwrite.place]
    wrote = _value(overwrite.field, sync)
    places = facts.entries_of(sync.document_id)
    entry = sync
    for number in range(bisect_right(places, overwrite.place), len(places)):
        entry = facts.entries[places[number]]
        was = wrote if entry.before is None else entry.before.value(overwrite.field)
        if (was, _value(overwrite.field, entry)) != (wrote, wrote):
            return entry, entry
    return None, entry


def _value(field: Field, entry: TimelineEntry) -> object:
    return None if entry.state is None else entry.state.value(field)


def _within(since: datetime | None, until: datetime | None, limit_s: float) -> bool:
    return since is not None and until is not None and (until - since).total_seconds() <= limit_s


def _outdated(facts: TimelineFacts, place: int, field: Field) -> TimelineFinding | None:
    """A sync that names the revision of the other record on which it was decided, and a later one had the field."""
    sync, other = facts.entries[place], facts.other_record(place)
    answer = facts.answers.get(key_of(sync))
    if answer is None or other is None:
        return None
    compared = answer.work_item_rev if sync.side == "conversation" else answer.conversation_rev
    last = facts.last_change(other, field, place)
    if compared is None or last is None:
        return None
    newer = facts.entries[last]
    outdated = newer.rev > compared and not newer.is_sync and not newer.creation and is_before(newer, sync)
    if not outdated or newer.state is None or sync.state is None or agree(field, sync.state, newer.state):
        return None
    return TimelineFinding(
        kind=FindingKind.STALE_COMPARISON,
        text=f"{facts.named(sync)} rests on a stale comparison: it was decided on {newer.side} {compared}, and "
        f"{facts.named(newer)} had set {field} to {shown_value(field, newer)} {lapse(newer.at, sync.at)} before.",
        field=field,
        since=newer.at,
        until=sync.at,
        evidence=(cite(newer, changed_role(field)), cite(sync, DECIDED_WITHOUT), *audit_citations(facts, sync)),
        missing=(f"whether {facts.label(newer)} was before {facts.label(sync)}: the clocks of both writers tell",),
    )


def _question(facts: TimelineFacts, place: int, field: Field, text: str, missing: tuple[str, ...]) -> OpenQuestion:
    sync = facts.entries[place]
    return OpenQuestion(
        kind=FindingKind.UPDATE_LOST,
        text=text,
        field=field,
        evidence=(cite(sync, "the sync"), *audit_citations(facts, sync)),
        missing=missing,
    )
