"""Which sync answers which write.

A sync of a conversation answers a write of its work-item, and the other way round. The evidence, the strongest first:

| basis | the sync and the write belong together because |
|---|---|
| audit | an audit line names the event of the write and the revision that the sync was written against |
| trace | both events carry one trace id: a sync takes over the trace of the event that caused it |
| inferred | the write is the last outside write before the sync after which the other record had the sync's value |
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from sync.conversation import Field
from sync.gates import Side
from worker.investigate.timeline.entry import AuditEntry, RecordState, TimelineEntry
from worker.investigate.timeline.timeline import AnswerBasis, SyncAnswer, key_of

_LOOKED_BACK_MAX: Final = 200
"""How many outside writes of the other record an inference looks back."""
_Cause = tuple[TimelineEntry | None, AnswerBasis | None]


def answers_of(entries: Sequence[TimelineEntry], audits: Sequence[AuditEntry]) -> Iterator[SyncAnswer]:
    """The answer of each sync, in the order of `entries`."""
    by_event = {each.event_id: each for each in entries if each.event_id is not None}
    recorded = _by_recorded_rev(audits)
    by_trace: dict[str, TimelineEntry] = {}
    latest: dict[Side, deque[TimelineEntry]] = {
        "conversation": deque(maxlen=_LOOKED_BACK_MAX),
        "work-item": deque(maxlen=_LOOKED_BACK_MAX),
    }
    for entry in entries:
        if not entry.is_sync:
            if entry.trace_id is not None:
                by_trace[entry.trace_id] = entry
            latest[entry.side].append(entry)
            continue
        places = tuple(
            place for place in recorded.get((entry.side, entry.rev - 1), ()) if _records(audits[place], entry)
        )
        lines = [audits[place] for place in places]
        other = latest["work-item" if entry.side == "conversation" else "conversation"]
        cause, basis = _named_cause(lines, by_event) or _traced_cause(entry, by_trace) or _inferred_cause(entry, other)
        conversation_rev, work_item_rev = _compared_revisions(entry, lines)
        yield SyncAnswer(
            sync=key_of(entry),
            cause=None if cause is None else key_of(cause),
            basis=basis,
            conversation_rev=conversation_rev,
            work_item_rev=work_item_rev,
            audits=places,
        )


def _by_recorded_rev(audits: Sequence[AuditEntry]) -> dict[tuple[Side, int], list[int]]:
    """The places of the audit lines, by the side and the revision that they wrote against."""
    found: dict[tuple[Side, int], list[int]] = {}
    for place, audit in enumerate(audits):
        sides: tuple[tuple[Side, Mapping[str, Any] | None], ...] = (
            ("conversation", audit.updated_conversation),
            ("work-item", audit.updated_work_item),
        )
        for side, updated in sides:
            rev = None if updated is None else updated.get("rev")
            if isinstance(rev, int):
                found.setdefault((side, rev), []).append(place)
    return found


def _records(audit: AuditEntry, sync: TimelineEntry) -> bool:
    """Whether the audit line, which wrote against the revision before the sync, names no other record or trace."""
    if sync.side == "work-item" and audit.work_item_id not in (None, sync.document_id):
        return False
    return None in (audit.trace_id, sync.trace_id) or audit.trace_id == sync.trace_id


def _named_cause(audits: Sequence[AuditEntry], by_event: Mapping[str, TimelineEntry]) -> _Cause | None:
    for audit in audits:
        if audit.event_id is not None:
            # Where the event is not in the capture, no other one is the cause.
            return by_event.get(audit.event_id), AnswerBasis.AUDIT
    return None


def _traced_cause(sync: TimelineEntry, by_trace: Mapping[str, TimelineEntry]) -> _Cause | None:
    cause = None if sync.trace_id is None else by_trace.get(sync.trace_id)
    return None if cause is None else (cause, AnswerBasis.TRACE)


def _inferred_cause(sync: TimelineEntry, other: deque[TimelineEntry]) -> _Cause:
    for entry in reversed(other):
        if _carries(sync, entry):
            return entry, AnswerBasis.INFERRED
    return None, None


def _carries(sync: TimelineEntry, cause: TimelineEntry) -> bool:
    """Whether the sync gave a field the value that the other record had after the write."""
    ours, theirs = sync.state, cause.state
    if ours is None or theirs is None:
        return False
    return any(agree(field, ours, theirs) for field in sync.changed_fields or () if sync.changed(field))


def agree(field: Field, one: RecordState, other: RecordState) -> bool:
    """Whether the two records have the same value. A work-item's assignee is one of the conversation's users."""
    if field == "assignee":
        return (not one.assignees and not other.assignees) or not set(one.assignees).isdisjoint(other.assignees)
    return one.value(field) == other.value(field)


def _compared_revisions(sync: TimelineEntry, audits: Sequence[AuditEntry]) -> tuple[int | None, int | None]:
    """The revisions of the conversation and of the work-item that the sync was decided on, where a source says."""
    for audit in audits:
        if audit.is_own:
            return audit.conversation_rev, audit.work_item_rev
    if sync.side == "conversation":
        return (sync.rev - 1 if audits else None), None
    for reason in sync.reasons:
        data = reason.meta.get("data")
        if isinstance(data, Mapping):
            resource = data.get("resource")
            known = resource.get("rev") if isinstance(resource, Mapping) else None
            own = data.get("rev")
            return (known if isinstance(known, int) else None), (own if isinstance(own, int) else None)
    return None, (sync.rev - 1 if audits else None)
