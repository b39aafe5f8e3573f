"""The explanation of a conversation: the answer, what is missing, and the timeline (docs/explain.md)."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import orjson
from msgspec import Struct

from commands.instant import format_instant
from worker.investigate.explain.answer import Answer, AnswerKind, answer_of
from worker.investigate.explain.log_files import LoggedPast
from worker.investigate.explain.lost_update import finding_wire
from worker.investigate.explain.record_source import TellingRecord, audits_of, entries_of
from worker.investigate.explain.stored_past import StoredPast, timing_entries
from worker.investigate.timeline.builder import build_timeline
from worker.investigate.timeline.entry import TimelineEntry
from worker.investigate.timeline.timeline import Timeline
from worker.investigate.timeline.wire import timeline_wire


class Explanation(Struct, frozen=True, kw_only=True):
    """`answer` speaks of the time `at`, None: of now. `missing`: what the answer and the timeline lack."""

    answer: Answer
    timeline: Timeline
    missing: tuple[str, ...] = ()
    at: datetime | None = None

    @property
    def is_answered(self) -> bool:
        """Whether anything is known of who changed the pair."""
        return self.answer.kind is not AnswerKind.UNKNOWN


def explain(
    conversation_id: str,
    stored: StoredPast | None,
    logged: LoggedPast | None,
    *,
    at: datetime | None = None,
    now: datetime | None = None,
) -> Explanation:
    """The explanation out of the store, of logs, or of both. `now`: of the store's reading; None: there was none."""
    stored_past, logged_past = stored or StoredPast(), logged or LoggedPast()
    records = _each_once([*stored_past.records, *logged_past.records])
    entries = _whole_first(
        logged_past.entries, entries_of(records, stored_past.documents), timing_entries(stored_past.timings)
    )
    audits = [*logged_past.audits, *audits_of(records)]
    timeline = build_timeline(conversation_id, entries, audits, captured_until=now)
    missing = [*stored_past.missing, *logged_past.missing]
    if at is not None:
        missing += _outside(at, timeline, records, now)
    answer = answer_of(timeline, records, at=at)
    return Explanation(answer=answer, timeline=timeline, missing=tuple(dict.fromkeys(missing)), at=at)


def _outside(at: datetime, timeline: Timeline, records: Iterable[TellingRecord], now: datetime | None) -> Iterator[str]:
    """What is not known of a time that lies outside what was read."""
    times = [*(each.at for each in timeline.entries if each.at is not None), *(each.at for each in records)]
    oldest, latest = min(times, default=None), max(times, default=None)
    if oldest is None or latest is None:
        yield f"what is kept and logged says nothing, and {format_instant(at)} was asked for"
    elif at < oldest:
        told = f"nothing before {format_instant(oldest)}"
        yield f"what is kept and logged says {told}, and {format_instant(at)} was asked for"
    elif now is not None and at > now:
        yield f"{format_instant(at)} has not come yet: the answer is as of {format_instant(now)}"
    elif now is None and at > latest:
        yield f"the files say nothing of it after {format_instant(latest)}, and {format_instant(at)} was asked for"


def explanation_wire(explanation: Explanation) -> dict[str, Any]:
    """The explanation as data that JSON holds."""
    answer = explanation.answer
    entry = answer.entry
    return {
        "answer": {
            "kind": answer.kind.value,
            "text": answer.text,
            "agents": list(answer.agents),
            "at": None if answer.at is None else format_instant(answer.at),
            "revision": None if entry is None else {"side": entry.side, "id": entry.document_id, "rev": entry.rev},
            "rule": answer.rule,
            "policy": answer.policy,
            "trigger": answer.trigger,
            "eventId": answer.event_id,
            "client": answer.client,
            "apiClient": answer.api_client,
            "traceId": answer.trace_id,
            "finding": finding_wire(answer.lost),
        },
        "at": None if explanation.at is None else format_instant(explanation.at),
        "missing": list(explanation.missing),
        "timeline": timeline_wire(explanation.timeline),
    }


def _each_once(records: Iterable[TellingRecord]) -> list[TellingRecord]:
    """The records by time. One that is kept and stands in a log is one."""
    kept: dict[bytes, TellingRecord] = {}
    for each in records:
        record = each.record
        key = [record.get(name) for name in ("trigger", "outcome", "conversationRev", "workItemRev", "written")]
        kept.setdefault(orjson.dumps([each.event.get("id"), *key], default=str), each)
    return sorted(kept.values(), key=lambda each: each.at)


def _whole_first(*sources: Iterable[TimelineEntry]) -> list[TimelineEntry]:
    """The entries of each source that no source before it tells of."""
    found: dict[tuple[str, str, int], TimelineEntry] = {}
    for entry in (each for source in sources for each in source):
        found.setdefault((entry.side, entry.document_id, entry.rev), entry)
    return list(found.values())
