"""A timeline as JSON (docs/timeline.md, *The JSON shape*). Times are ISO 8601 in UTC, durations milliseconds."""

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from commands.instant import format_instant
from worker.investigate.timeline.captured_pairs import CapturedPairs, FindingCounts
from worker.investigate.timeline.entry import AuditEntry, EntryReason, RecordState, TimelineEntry
from worker.investigate.timeline.timeline import (
    WIRE_VERSION,
    Citation,
    EntryKey,
    OpenQuestion,
    RevisionGap,
    StatusStay,
    SyncAnswer,
    Timeline,
    TimelineFinding,
)


def timeline_wire(timeline: Timeline) -> dict[str, Any]:
    """The timeline as data that JSON holds."""
    return {name: list(value) if isinstance(value, map) else value for name, value in _parts(timeline)}


def timeline_json(timeline: Timeline) -> Iterator[str]:
    """`{"timeline": …}` as JSON, in small parts: of a pair with 100,000 revisions the whole takes 600 MB as data and as
    text. The escapes of `json` keep a captured text from steering a terminal; orjson has none."""
    encode = json.JSONEncoder(separators=(",", ":")).encode
    before = '{"timeline":{'
    for name, value in _parts(timeline):
        yield f"{before}{encode(name)}:"
        before = ","
        if isinstance(value, map):
            yield "["
            for number, each in enumerate(value):
                yield f",{encode(each)}" if number else encode(each)
            yield "]"
        else:
            yield encode(value)
    yield "}}"


def _parts(timeline: Timeline) -> Iterator[tuple[str, Any]]:
    """The keys and their values; a list that grows with the timeline is a `map`, which makes one item at a time."""
    yield "version", WIRE_VERSION
    yield "conversationId", timeline.conversation_id
    yield "workItemIds", list(timeline.work_items)
    yield "capturedUntil", _instant(timeline.captured_until)
    yield "findings", map(_finding, timeline.findings)
    yield "questions", map(_question, timeline.questions)
    yield "entries", map(_entry, timeline.entries)
    yield "audits", map(_audit, timeline.audits)
    yield "answers", map(_answer, timeline.answers)
    yield "durations", map(_stay, timeline.stays)
    yield "gaps", map(_gap, timeline.gaps)
    yield "duplicates", timeline.duplicates
    yield "contradictions", list(timeline.contradictions)


def _instant(instant: datetime | None) -> str | None:
    return None if instant is None else format_instant(instant)


def _entry(entry: TimelineEntry) -> dict[str, Any]:
    changes = entry.changes
    return {
        "side": entry.side,
        "id": entry.document_id,
        "rev": entry.rev,
        "at": _instant(entry.at),
        "publishedAt": _instant(entry.published_at),
        "eventId": entry.event_id,
        "name": entry.name,
        "client": entry.client,
        "isSync": entry.is_sync,
        "isOwnSync": entry.is_own_sync,
        "creation": entry.creation,
        "deletion": entry.deletion,
        "state": _state(entry.state),
        "before": _state(entry.before),
        "changes": None
        if changes is None
        else [{"name": each.name, "before": each.before, "after": each.after} for each in changes],
        "otherChanges": list(entry.other_changes),
        "changedFields": None if entry.changed_fields is None else sorted(entry.changed_fields),
        "reasons": [_reason(each) for each in entry.reasons],
        "knownConversationRev": entry.known_conversation_rev,
        "traceId": entry.trace_id,
        **_place(entry.file, entry.line),
    }


def _state(state: RecordState | None) -> dict[str, Any] | None:
    if state is None:
        return None
    return {
        "status": state.status,
        "assignees": list(state.assignees),
        "queue": state.queue,
        "ended": state.ended,
        "paused": state.paused,
        "deleted": state.deleted,
    }


def _reason(reason: EntryReason) -> dict[str, Any]:
    return {"action": reason.action, "code": reason.code, "meta": dict(reason.meta)}


def _place(file: str, line: int) -> dict[str, Any]:
    return {"file": file, "line": line} if file else {"file": None, "line": None}


def _audit(audit: AuditEntry) -> dict[str, Any]:
    return {
        "at": _instant(audit.at),
        "isOwn": audit.is_own,
        "workItemId": audit.work_item_id,
        "event": {"id": audit.event_id, "rev": audit.event_rev},
        "trigger": audit.trigger,
        "outcome": audit.outcome,
        "direction": audit.direction,
        "policy": audit.policy,
        "updatedConversation": _mapping(audit.updated_conversation),
        "updatedWorkItem": _mapping(audit.updated_work_item),
        "before": _mapping(audit.before),
        "reasons": [_reason(each) for each in audit.reasons],
        "suppressed": [dict(each) for each in audit.suppressed],
        "conversationRev": audit.conversation_rev,
        "workItemRev": audit.work_item_rev,
        "traceId": audit.trace_id,
        "client": audit.client,
        **_place(audit.file, audit.line),
    }


def _mapping(value: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if value is None else dict(value)


def _key(key: EntryKey | None) -> dict[str, Any] | None:
    return None if key is None else {"side": key.side, "id": key.document_id, "rev": key.rev}


def _answer(answer: SyncAnswer) -> dict[str, Any]:
    return {
        "sync": _key(answer.sync),
        "cause": _key(answer.cause),
        "basis": None if answer.basis is None else answer.basis.value,
        "conversationRev": answer.conversation_rev,
        "workItemRev": answer.work_item_rev,
        "audits": list(answer.audits),
    }


def _stay(stay: StatusStay) -> dict[str, Any]:
    return {
        "side": stay.side,
        "id": stay.document_id,
        "status": stay.status,
        "firstRev": stay.first_rev,
        "lastRev": stay.last_rev,
        "enteredAt": _instant(stay.entered_at),
        "leftAt": _instant(stay.left_at),
        "ms": stay.ms,
        "exact": stay.exact,
    }


def _gap(gap: RevisionGap) -> dict[str, Any]:
    return {"side": gap.side, "id": gap.document_id, "first": gap.first, "last": gap.last, "leading": gap.leading}


def _finding(finding: TimelineFinding) -> dict[str, Any]:
    return {
        "kind": finding.kind.value,
        "field": finding.field,
        "text": finding.text,
        "since": _instant(finding.since),
        "until": _instant(finding.until),
        "evidence": [_citation(each) for each in finding.evidence],
        "missing": list(finding.missing),
    }


def _question(question: OpenQuestion) -> dict[str, Any]:
    return {
        "kind": question.kind.value,
        "field": question.field,
        "text": question.text,
        "evidence": [_citation(each) for each in question.evidence],
        "missing": list(question.missing),
    }


def _citation(citation: Citation) -> dict[str, Any]:
    return {
        "role": citation.role,
        "side": citation.side,
        "id": citation.document_id,
        "rev": citation.rev,
        "eventId": citation.event_id,
        "at": _instant(citation.at),
        **_place(citation.file, citation.line),
    }


def summary_wire(pairs: CapturedPairs, counts: FindingCounts) -> dict[str, Any]:
    """What was read, and what the timelines come to."""
    return {
        "version": WIRE_VERSION,
        "pairs": counts.pairs,
        "pairsWithFindings": counts.pairs_with_findings,
        "findings": dict(counts.by_kind),
        "questions": counts.questions,
        "events": pairs.events,
        "audits": pairs.audits,
        "passedOver": pairs.passed_over,
        "unreadable": pairs.faults,
        "capturedUntil": _instant(pairs.captured_until),
    }
