"""Work-items that are assigned and have no queue: `ASSIGNED_WITHOUT_QUEUE`.

The legacy funnel un-assigns a work-item by queueing it where it was (docs/commands.md). Without a queue it refuses
(`NO_QUEUE`), and its predecessor failed, so such a work-item cannot be un-assigned there.
"""

from bisect import bisect_left
from collections.abc import Iterator
from typing import Final

from commands.work_item import Status
from worker.investigate.timeline.entry import TimelineEntry
from worker.investigate.timeline.findings.facts import TimelineFacts, lapse
from worker.investigate.timeline.timeline import FindingKind, TimelineFinding, cite, key_of

_CITED_MAX: Final = 10
"""How many of the conversation's writes a finding looks at."""


def assigned_without_queue(facts: TimelineFacts) -> Iterator[TimelineFinding]:
    """The findings of each work-item, one for each time that it was so."""
    for item in facts.timeline.work_items:
        began: int | None = None
        for place in facts.entries_of(item):
            entry = facts.entries[place]
            if _is_so(entry) and began is None:
                began = place
            elif not _is_so(entry) and began is not None:
                yield _finding(facts, began, entry)
                began = None
        if began is not None:
            yield _finding(facts, began, None)


def _is_so(entry: TimelineEntry) -> bool:
    state = entry.state
    return state is not None and state.status == Status.ASSIGNED and state.queue is None


def _finding(facts: TimelineFacts, began: int, end: TimelineEntry | None) -> TimelineFinding:
    entry = facts.entries[began]
    evidence = [cite(entry, "assigned, and no queue")]
    took, remover, missing = _taken(facts, began)
    if remover is not None and remover is not entry:
        evidence.append(cite(remover, "took the queue"))
    if end is not None:
        evidence.append(cite(end, "ended it"))
    unassigned = list(_unassigned(facts, entry, end))
    asked = "" if not unassigned else f", which {facts.named(unassigned[0])} asks for"
    return TimelineFinding(
        kind=FindingKind.ASSIGNED_WITHOUT_QUEUE,
        text=f"{facts.named(entry)} is assigned to {', '.join(_users(entry)) or 'nobody'} and has no queue, "
        f"{_until(facts, entry, end)}. {took} The predecessor's queue command and the legacy funnel cannot un-assign a "
        f"work-item without a queue{asked}.",
        field="queue",
        since=entry.at,
        until=None if end is None else end.at,
        evidence=(*evidence, *(cite(each, "un-assigned the conversation meanwhile") for each in unassigned)),
        missing=missing,
    )


def _taken(facts: TimelineFacts, began: int) -> tuple[str, TimelineEntry | None, tuple[str, ...]]:
    """Which write took the queue, in words; that write, where the capture shows it; and what the capture lacks."""
    entry = facts.entries[began]
    unknown = "Which write took its queue, the capture does not show."
    place = facts.last_change(entry.document_id, "queue", began + 1)
    if place is None:
        gap = facts.missing_between(entry.document_id, 1, entry.rev)
        return unknown, None, (gap or "the work-item's earlier revisions",)
    changed = facts.entries[place]
    gap = facts.missing_between(entry.document_id, changed.rev + 1, entry.rev)
    if changed.state is None or changed.state.queue is not None:
        return unknown, None, (gap or "the work-item's earlier revisions",)
    missing = () if gap is None else (f"{gap}, in which it may have had another queue",)
    if changed.creation:
        return "It never had a queue in the capture.", None, missing
    before = None if changed.before is None else changed.before.queue
    return f"{facts.named(changed)} had taken its queue {before or 'which is not captured'}.", changed, missing


def _users(entry: TimelineEntry) -> tuple[str, ...]:
    return () if entry.state is None else entry.state.assignees


def _until(facts: TimelineFacts, entry: TimelineEntry, end: TimelineEntry | None) -> str:
    if end is None:
        return f"to the end of the capture {lapse(entry.at, facts.timeline.captured_until)} later"
    return f"until {facts.named(end)} {lapse(entry.at, end.at)} later"


def _unassigned(facts: TimelineFacts, entry: TimelineEntry, end: TimelineEntry | None) -> Iterator[TimelineEntry]:
    """The conversation's writes meanwhile that un-assigned it: what the commands then could not carry out."""
    places = facts.changes_of(facts.timeline.conversation_id, "assignee")
    first = bisect_left(places, facts.place_of[key_of(entry)])
    last = len(places) if end is None else bisect_left(places, facts.place_of[key_of(end)])
    for place in places[first : min(last, first + _CITED_MAX)]:
        write = facts.entries[place]
        if write.state is not None and not write.state.assignees and not write.creation:
            yield write
