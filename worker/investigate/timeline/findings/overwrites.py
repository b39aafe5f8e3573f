"""Syncs that overwrote a newer write: `UPDATE_LOST` and `STALE_COMPARISON`.

A sync copies a field from one record to the other. It may overwrite an outside write of the other record only if the
write that it copies is newer, and a write is newer if its writer knew the other one (docs/rules.md, *Who is newer*):

| the sync writes | it copies the other record's last write of the field | the overwritten write is newer if |
|---|---|---|
| the conversation | a work-item's, which knew conversation revision k | its revision is above k |
| the work-item | a conversation's, at revision c | its writer knew c, or a later revision |

`paused`, and `status` of a closed conversation, always are the conversation's. A work-item in ivr that was never queued
takes no queue away, whatever its writer knew.
"""

from bisect import bisect_left
from collections.abc import Iterator
from datetime import datetime
from enum import Enum

from msgspec import Struct

from commands.work_item import Status
from sync.conversation import FIELDS, Field
from sync.gates import Policy
from worker.investigate.timeline.answers import agree
from worker.investigate.timeline.entry import TimelineEntry
from worker.investigate.timeline.findings.facts import TimelineFacts, is_before, lapse, named, shown_value
from worker.investigate.timeline.timeline import (
    OVERWROTE,
    Citation,
    FindingKind,
    OpenQuestion,
    TimelineFinding,
    TimelineLimits,
    cite,
    key_of,
)


class _Newer(Enum):
    OVERWRITTEN = "overwritten"
    COPIED = "copied"
    UNKNOWN = "unknown"


class _Overwrite(Struct, frozen=True, kw_only=True):
    """A sync that changed a field of an outside write. `copied`: the place of the write whose value it copied."""

    place: int
    field: Field
    overwritten: int
    copied: int | None


class _Judgement(Struct, frozen=True, kw_only=True):
    """Who was newer, why, and what the capture lacks."""

    newer: _Newer
    because: str = ""
    missing: tuple[str, ...] = ()


def overwrites(facts: TimelineFacts, limits: TimelineLimits) -> Iterator[TimelineFinding | OpenQuestion]:
    """The findings of every sync and field."""
    for place, sync in enumerate(facts.entries):
        if not sync.is_sync or sync.state is None or sync.before is None:
            continue
        for field in FIELDS:
            if not sync.changed(field) or sync.follows_from_closing(field):
                continue
            overwrite = _overwrite(facts, place, field)
            stale = _outdated(facts, place, field)
            if isinstance(overwrite, OpenQuestion):
                yield overwrite
            elif overwrite is not None:
                judged = list(_judged(facts, overwrite, limits))
                yield from judged
                if any(each.kind is FindingKind.STALE_COMPARISON for each in judged):
                    continue
            if stale is not None:
                yield stale


def _overwrite(facts: TimelineFacts, place: int, field: Field) -> _Overwrite | OpenQuestion | None:
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
            f"{named(sync)} set {field} to {shown_value(field, sync)}, and the write of the value that it overwrote is "
            "not captured.",
            (missing or f"{sync.side} revisions before {sync.rev}",),
        )
    other = facts.other_record(place)
    copied = None if other is None else _copied(facts, place, other, field)
    return _Overwrite(place=place, field=field, overwritten=last, copied=copied)


def _copied(facts: TimelineFacts, place: int, other: str, field: Field) -> int | None:
    """The place of the other record's last write of the field before the sync, if the sync carries its value."""
    sync = facts.entries[place]
    copied = facts.last_change(other, field, place)
    if copied is None:
        return None
    theirs = facts.entries[copied].state
    return copied if theirs is not None and sync.state is not None and agree(field, sync.state, theirs) else None


def _judged(
    facts: TimelineFacts, overwrite: _Overwrite, limits: TimelineLimits
) -> Iterator[TimelineFinding | OpenQuestion]:
    sync, written = facts.entries[overwrite.place], facts.entries[overwrite.overwritten]
    judgement = (
        _judge_conversation_sync(facts, overwrite)
        if sync.side == "conversation"
        else _judge_item_sync(facts, overwrite)
    )
    field = overwrite.field
    match judgement.newer:
        case _Newer.COPIED:
            return
        case _Newer.UNKNOWN:
            text = (
                f"{named(sync)} set {field} to {shown_value(field, sync)} over {shown_value(field, written)} of "
                f"{named(written)}: the capture does not show which of the two is newer."
            )
            yield _question(facts, overwrite.place, field, text, judgement.missing)
        case _Newer.OVERWRITTEN:
            evidence = _evidence(facts, overwrite)
            yield from _lost(facts, overwrite, judgement, limits, evidence)
            yield TimelineFinding(
                kind=FindingKind.STALE_COMPARISON,
                text=f"{named(sync)} rests on a stale comparison: {judgement.because}.",
                field=field,
                since=written.at,
                until=sync.at,
                evidence=evidence,
                missing=judgement.missing,
            )


def _judge_conversation_sync(facts: TimelineFacts, overwrite: _Overwrite) -> _Judgement:
    """Whether the work-item's write that the sync copied knew the conversation's write that it overwrote."""
    written, field = facts.entries[overwrite.overwritten], overwrite.field
    if overwrite.copied is None:
        return _Judgement(newer=_Newer.UNKNOWN, missing=("the work-item's write whose value the sync copied",))
    copied = facts.entries[overwrite.copied]
    knew = facts.known_rev(overwrite.copied)
    last = facts.last_entry(copied.document_id, overwrite.place)
    gap = None if last is None else facts.missing_between(copied.document_id, copied.rev + 1, facts.entries[last].rev)
    if gap is not None:
        return _Judgement(newer=_Newer.UNKNOWN, missing=(gap,))
    item = copied if last is None else facts.entries[last]
    if field == "queue" and _was_never_queued(item, facts.entries[overwrite.place]):
        because = f"{item.label} was in ivr and never queued, so it takes no queue away"
        return _Judgement(newer=_Newer.OVERWRITTEN, because=because)
    cause = _cause(facts, overwrite.place)
    if knew is not None and knew >= written.rev:
        return _Judgement(newer=_Newer.COPIED)
    answered = cause if cause is not None and cause.side == "work-item" else copied
    if knew is not None:
        what = f"whose writer knew conversation {max(knew, answered.known_conversation_rev or 0)}"
        because = f"it answers {named(answered)}, {what}, and {named(written)} had changed {field} since"
        return _Judgement(newer=_Newer.OVERWRITTEN, because=because)
    says = f"which conversation revision {copied.label} knew"
    if not is_before(copied, written):
        return _Judgement(newer=_Newer.UNKNOWN, missing=(says,))
    because = (
        f"it copies {field} of {named(copied)}, which was written {lapse(copied.at, written.at)} before "
        f"{named(written)} and so did not know it"
    )
    return _Judgement(newer=_Newer.OVERWRITTEN, because=because, missing=(f"{says}: the clocks of both writers tell",))


def _was_never_queued(item: TimelineEntry, sync: TimelineEntry) -> bool:
    """Whether the sync took the conversation's queue for a work-item that queue rules had yet to look at, which rule A6
    does not allow (docs/rules.md). Policy `causal` looks: it was decided on a later revision of the work-item, whose
    clock is behind."""
    state = item.state
    if any(reason.meta.get("policy") == Policy.CAUSAL for reason in sync.reasons) or state is None:
        return False
    takes = sync.state is not None and sync.state.queue is None
    return takes and state.status == Status.IVR and not state.queued_count


def _judge_item_sync(facts: TimelineFacts, overwrite: _Overwrite) -> _Judgement:
    """Whether the work-item's write that the sync overwrote knew the conversation's write that it copied."""
    sync, written, field = facts.entries[overwrite.place], facts.entries[overwrite.overwritten], overwrite.field
    is_closing = field == "status" and sync.state is not None and sync.state.closed
    if field == "paused" or is_closing:
        return _Judgement(newer=_Newer.COPIED)
    knew = written.known_conversation_rev
    compared = facts.known_rev(overwrite.place)
    if overwrite.copied is None:
        if compared is not None and knew is not None and compared <= knew:
            because = (
                f"it was decided on conversation {compared}, and {named(written)} already knew conversation {knew}"
            )
            return _Judgement(newer=_Newer.OVERWRITTEN, because=because)
        gap = facts.missing_between(facts.timeline.conversation_id, (knew or 0) + 1, compared or 2**53)
        lacks = gap or "the conversation's revisions before it"
        return _Judgement(newer=_Newer.UNKNOWN, missing=(f"{lacks}, one of which may have changed {field}",))
    copied = facts.entries[overwrite.copied]
    if copied.is_sync:
        return _judge_echo(facts, overwrite, copied, written)
    if knew is not None:
        if knew < copied.rev:
            return _Judgement(newer=_Newer.COPIED)
        because = f"it carries {field} of {named(copied)}, and {named(written)} knew conversation {knew}"
        return _Judgement(newer=_Newer.OVERWRITTEN, because=because)
    if is_before(written, copied):
        return _Judgement(newer=_Newer.COPIED)
    return _Judgement(newer=_Newer.UNKNOWN, missing=(f"which conversation revision {written.label} knew",))


def _judge_echo(
    facts: TimelineFacts, overwrite: _Overwrite, copied: TimelineEntry, written: TimelineEntry
) -> _Judgement:
    """The copied value came from the work-item itself, by a sync of the conversation: who wrote it there?"""
    origin = _cause(facts, facts.last_change(copied.document_id, overwrite.field, overwrite.place) or 0)
    if origin is None or origin.document_id != written.document_id:
        return _Judgement(newer=_Newer.UNKNOWN, missing=(f"the work-item's write that {copied.label} answers",))
    if origin.rev >= written.rev:
        return _Judgement(newer=_Newer.COPIED)
    because = (
        f"it carries back {overwrite.field} of {named(origin)} by way of {named(copied)}, and {named(written)} had "
        "changed it since"
    )
    return _Judgement(newer=_Newer.OVERWRITTEN, because=because)


def _cause(facts: TimelineFacts, place: int) -> TimelineEntry | None:
    answer = facts.answers.get(key_of(facts.entries[place]))
    return None if answer is None or answer.cause is None else facts.entry_of(answer.cause)


def _evidence(facts: TimelineFacts, overwrite: _Overwrite) -> tuple[Citation, ...]:
    sync, written, field = facts.entries[overwrite.place], facts.entries[overwrite.overwritten], overwrite.field
    cited = {key_of(written): cite(written, f"changed {field}"), key_of(sync): cite(sync, OVERWROTE)}
    if overwrite.copied is not None:
        copied = facts.entries[overwrite.copied]
        cited.setdefault(key_of(copied), cite(copied, f"last write of {field} on the other side"))
    cause = _cause(facts, overwrite.place)
    if cause is not None:
        cited.setdefault(key_of(cause), cite(cause, "the write that the sync answers"))
    return tuple(cited.values()) + audit_citations(facts, sync)


def audit_citations(facts: TimelineFacts, sync: TimelineEntry) -> tuple[Citation, ...]:
    """The audit lines that record a sync, as evidence."""
    answer = facts.answers.get(key_of(sync))
    lines = [] if answer is None else [facts.timeline.audits[place] for place in answer.audits]
    return tuple(
        Citation(
            role=f"audit line of {sync.label}",
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
    overwrite: _Overwrite,
    judgement: _Judgement,
    limits: TimelineLimits,
    evidence: tuple[Citation, ...],
) -> Iterator[TimelineFinding]:
    sync, written, field = facts.entries[overwrite.place], facts.entries[overwrite.overwritten], overwrite.field
    changes = facts.changes_of(sync.document_id, field)
    number = bisect_left(changes, overwrite.place) + 1
    end = facts.entries[changes[number]] if number < len(changes) else None
    until = None if end is None else end.at
    after = "Nothing in the capture restores it."
    if end is not None:
        restored = _value(field, end) == _value(field, written)
        if restored and _within(sync.at, until, limits.out_of_step_s):
            return
        did = "restored it" if restored else f"set it to {shown_value(field, end)}"
        after = f"{named(end)} {did} {lapse(sync.at, until)} later."
    yield TimelineFinding(
        kind=FindingKind.UPDATE_LOST,
        text=f"{named(written)} set {field} to {shown_value(field, written)}; {named(sync)} set it to "
        f"{shown_value(field, sync)} {lapse(written.at, sync.at)} later. The update is lost: {judgement.because}. "
        f"{after}",
        field=field,
        since=sync.at,
        until=until,
        evidence=evidence if end is None else (*evidence, cite(end, "ended it")),
        missing=judgement.missing,
    )


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
        text=f"{named(sync)} rests on a stale comparison: it was decided on {newer.side} {compared}, and "
        f"{named(newer)} had set {field} to {shown_value(field, newer)} {lapse(newer.at, sync.at)} before.",
        field=field,
        since=newer.at,
        until=sync.at,
        evidence=(cite(newer, f"changed {field}"), cite(sync, "was decided without it"), *audit_citations(facts, sync)),
        missing=(f"whether {newer.label} was before {sync.label}: the clocks of both writers tell",),
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
