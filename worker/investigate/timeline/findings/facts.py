"""What the findings ask of a timeline: who changed a field last, which revisions are missing, the pair at a place."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from commands.instant import format_instant
from sync.conversation import FIELDS, Field
from worker.investigate.timeline.entry import TimelineEntry
from worker.investigate.timeline.timeline import EntryKey, RevisionGap, SyncAnswer, Timeline, key_of

_GAPS_SHOWN: Final = 5


class TimelineFacts:
    """A timeline without its findings, indexed. A *place* is an index of `Timeline.entries`."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        self.entries: Sequence[TimelineEntry] = timeline.entries
        self.answers: Mapping[EntryKey, SyncAnswer] = {answer.sync: answer for answer in timeline.answers}
        self.place_of: Mapping[EntryKey, int] = {key_of(each): place for place, each in enumerate(timeline.entries)}
        self._changes: dict[tuple[str, Field], list[int]] = {}
        self._places: dict[str, list[int]] = {}
        self._gaps: dict[str, list[RevisionGap]] = {}
        for gap in timeline.gaps:
            self._gaps.setdefault(gap.document_id, []).append(gap)
        self._several_items = len(timeline.work_items) > 1
        self.latest_item: list[str | None] = []
        """By place: the work-item of the last work-item entry at or before it."""
        item: str | None = None
        for place, entry in enumerate(timeline.entries):
            item = entry.document_id if entry.side == "work-item" else item
            self.latest_item.append(item)
            self._places.setdefault(entry.document_id, []).append(place)
            for field in FIELDS:
                if entry.creation or entry.changed(field):
                    self._changes.setdefault((entry.document_id, field), []).append(place)

    def entries_of(self, document_id: str) -> Sequence[int]:
        """The places of a record's entries."""
        return self._places.get(document_id, ())

    def changes_of(self, document_id: str, field: Field) -> Sequence[int]:
        """The places of the writes that changed a field of a record, its creation among them."""
        return self._changes.get((document_id, field), ())

    def last_change(self, document_id: str, field: Field, before: int) -> int | None:
        """The place of the last write before a place that changed the field, or created the record."""
        return _last_below(self.changes_of(document_id, field), before)

    def last_entry(self, document_id: str, before: int) -> int | None:
        """The place of the record's last entry before a place."""
        return _last_below(self.entries_of(document_id), before)

    def entry_of(self, key: EntryKey) -> TimelineEntry:
        """The entry with this key."""
        return self.entries[self.place_of[key]]

    def last_entry_at(self, document_id: str, key: EntryKey) -> TimelineEntry | None:
        """The record's last entry at the place of an entry, or before it."""
        place = self.last_entry(document_id, self.place_of[key] + 1)
        return None if place is None else self.entries[place]

    def other_record(self, place: int) -> str | None:
        """The record that a sync at this place copies: the conversation, or the pair's work-item then."""
        entry = self.entries[place]
        if entry.side == "work-item":
            return self.timeline.conversation_id
        answer = self.answers.get(key_of(entry))
        cause = None if answer is None else answer.cause
        return cause.document_id if cause is not None and cause.side == "work-item" else self.latest_item[place]

    def missing_between(self, document_id: str, first: int, last: int) -> str | None:
        """The revisions of a record from `first` to `last` that are not captured, in words; None if all are."""
        gaps = self._gaps.get(document_id, ())
        begin = bisect_left(gaps, first, key=lambda gap: gap.last)
        end = bisect_right(gaps, last, key=lambda gap: gap.first)
        found = [(max(gap.first, first), min(gap.last, last)) for gap in gaps[begin : min(end, begin + _GAPS_SHOWN)]]
        if not found:
            return None
        side = "conversation" if document_id == self.timeline.conversation_id else "work-item"
        runs = ", ".join(f"{low}" if low == high else f"{low} to {high}" for low, high in found)
        more = f" and {end - begin - _GAPS_SHOWN} more runs" if end - begin > _GAPS_SHOWN else ""
        is_one = len(found) == 1 and found[0][0] == found[0][1]
        return f"{side} revision{'' if is_one else 's'} {runs}{more}{self.of_item(document_id)}"

    def known_rev(self, place: int) -> int | None:
        """The conversation revision that a work-item's write knew; of a sync, the revision it was decided on."""
        entry = self.entries[place]
        if not entry.is_sync or entry.known_conversation_rev is not None:
            return entry.known_conversation_rev
        answer = self.answers.get(key_of(entry))
        if answer is None:
            return None
        if answer.conversation_rev is not None:
            return answer.conversation_rev
        return answer.cause.rev if answer.cause is not None and answer.cause.side == "conversation" else None

    def of_item(self, document_id: str) -> str:
        """` of w-2`, to follow a revision of this record where the pair has several work-items; else nothing."""
        is_told = self._several_items and document_id != self.timeline.conversation_id
        return f" of {document_id}" if is_told else ""

    def label(self, entry: TimelineEntry) -> str:
        """`conversation 7`, `work-item 2`; `work-item 2 of w-2` where the pair has several work-items."""
        return f"{entry.label}{self.of_item(entry.document_id)}"

    def named(self, entry: TimelineEntry) -> str:
        """`conversation 6 by workflow`, `work-item 4 (sync)`."""
        by = f" by {entry.client}" if entry.client and not entry.is_sync else ""
        return f"{self.label(entry)}{by}{' (sync)' if entry.is_sync else ''}"


def _last_below(places: Sequence[int], limit: int) -> int | None:
    number = bisect_left(places, limit)
    return places[number - 1] if number else None


def is_before(one: TimelineEntry, other: TimelineEntry) -> bool:
    """Whether the first write was earlier by the clocks of both writers. False where a time is missing."""
    return one.at is not None and other.at is not None and one.at < other.at


def shown_value(field: Field, entry: TimelineEntry) -> str:
    """The value of a field after a write, in the words of its record."""
    assert entry.state is not None, "the entry of a captured event has a state"
    value = entry.state.value(field)
    is_conversation = entry.side == "conversation"
    match field:
        case "assignee":
            return ", ".join(entry.state.assignees) or "nobody"
        case "queue":
            return entry.state.queue or "no queue"
        case "status":
            closed = "deleted" if entry.state.deleted else "done" if is_conversation else "completed"
            return closed if value else f"not {closed}"
        case "ended":
            ended = "ended" if is_conversation else "wrap-up"
            return ended if value else f"not {ended}"
        case "paused":
            paused = "snoozed" if is_conversation else "paused"
            return paused if value else f"not {paused}"


def lapse(since: datetime | None, until: datetime | None) -> str:
    """The time between two instants: `105 ms`, `12.5 s`, `3 min 20 s`, `5 h 2 min`. Clocks may differ, so a negative
    one is `0 ms`."""
    if since is None or until is None:
        return "an unknown time"
    return duration_text(until - since)


def duration_text(duration: timedelta) -> str:
    """A duration in the two largest units."""
    ms = max(0, duration // timedelta(milliseconds=1))
    seconds = ms // 1000
    if seconds < 1:
        return f"{ms} ms"
    if seconds < 60:
        return f"{ms / 1000:.1f} s"
    if seconds < 3_600:
        return f"{seconds // 60} min {seconds % 60} s"
    if seconds < 86_400:
        return f"{seconds // 3_600} h {seconds // 60 % 60} min"
    return f"{seconds // 86_400} d {seconds // 3_600 % 24} h"


def at_text(instant: datetime | None) -> str:
    """The instant, or that it is unknown."""
    return "at an unknown time" if instant is None else f"at {format_instant(instant)}"
