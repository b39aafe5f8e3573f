"""Entries and audit lines of one pair to its timeline."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

import msgspec
from msgspec.structs import replace

from sync.gates import Side
from worker.investigate.timeline.answers import answers_of
from worker.investigate.timeline.entry import AuditEntry, TimelineEntry
from worker.investigate.timeline.findings.finding_list import with_findings
from worker.investigate.timeline.ordering import in_order_of_time
from worker.investigate.timeline.record_history import RecordHistory
from worker.investigate.timeline.timeline import DEFAULT_TIMELINE_LIMITS, Timeline, TimelineLimits

_EARLIEST: Final = datetime.min.replace(tzinfo=UTC)


def build_timeline(
    conversation_id: str,
    entries: Iterable[TimelineEntry],
    audits: Iterable[AuditEntry] = (),
    *,
    captured_until: datetime | None = None,
    limits: TimelineLimits = DEFAULT_TIMELINE_LIMITS,
) -> Timeline:
    """The timeline of a pair.

    `entries` and `audits` are those of this conversation, in any order and with repetitions. `captured_until`: the
    latest time in the whole capture or, for a running system, now; None: the latest time of this pair.
    """
    by_record: dict[tuple[Side, str], list[TimelineEntry]] = {}
    for entry in entries:
        by_record.setdefault((entry.side, entry.document_id), []).append(entry)
    # "conversation" sorts before "work-item".
    histories = [RecordHistory.of(each) for _, each in sorted(by_record.items())]
    ordered = tuple(in_order_of_time([history.entries for history in histories]))
    recorded = _each_once(audits)
    timeline = Timeline(
        conversation_id=conversation_id,
        entries=ordered,
        audits=recorded,
        answers=tuple(answers_of(ordered, recorded)),
        stays=tuple(stay for history in histories for stay in history.stays()),
        gaps=tuple(gap for history in histories for gap in history.gaps()),
        captured_until=captured_until or latest_time(ordered, recorded),
        duplicates=sum(history.duplicates for history in histories),
        contradictions=tuple(text for history in histories for text in history.contradictions),
    )
    return with_findings(timeline, limits)


def latest_time(entries: Iterable[TimelineEntry], audits: Iterable[AuditEntry] = ()) -> datetime | None:
    """The latest time of a write, of its publication or of an audit line; None if none has one."""
    written = (at for each in entries for at in (each.at, each.published_at))
    return max((at for at in (*written, *(each.at for each in audits)) if at is not None), default=None)


def _each_once(audits: Iterable[AuditEntry]) -> tuple[AuditEntry, ...]:
    """The audit lines by time. A line that stands in two files is one line."""
    ordered = sorted(audits, key=lambda each: each.at or _EARLIEST)
    kept = {msgspec.msgpack.encode(replace(each, file="", line=0)): each for each in reversed(ordered)}
    return tuple(reversed(kept.values()))
