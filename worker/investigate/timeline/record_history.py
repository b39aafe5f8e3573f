"""One record's entries in the order of their revisions, each revision once; what is missing, and the durations."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from sync.conversation import FIELDS
from worker.investigate.timeline.entry import ChangedValue, RecordState, TimelineEntry
from worker.investigate.timeline.timeline import RevisionGap, StatusStay

_MILLISECOND: Final = timedelta(milliseconds=1)


class RecordHistory(Struct, frozen=True, kw_only=True):
    """The entries of one record by revision. `duplicates` and `contradictions`: as in `Timeline`."""

    entries: tuple[TimelineEntry, ...]
    duplicates: int = 0
    contradictions: tuple[str, ...] = ()

    @classmethod
    def of(cls, entries: Iterable[TimelineEntry]) -> "RecordHistory":
        """The history of these entries, in any order, of one record."""
        kept: dict[int, TimelineEntry] = {}
        duplicates, contradictions = 0, []
        for entry in entries:
            if entry.rev not in kept:
                kept[entry.rev] = entry
                continue
            first = kept[entry.rev]
            duplicates += 1
            if first.state != entry.state:
                contradictions.append(
                    f"{entry.side} {entry.document_id} revision {entry.rev} is captured with two states "
                    f"({_place(first)} and {_place(entry)}): the first is shown"
                )
        ordered = [kept[rev] for rev in sorted(kept)]
        told: list[TimelineEntry] = []
        for entry in ordered:
            previous = told[-1] if told and told[-1].rev == entry.rev - 1 else None
            told.append(entry if previous is None else _completed(entry, previous))
        return cls(entries=tuple(told), duplicates=duplicates, contradictions=tuple(contradictions))

    def gaps(self) -> Iterator[RevisionGap]:
        """The missing revisions, from revision 1 to the last one captured."""
        expected = 1
        for entry in self.entries:
            if entry.rev > expected:
                yield RevisionGap(
                    side=entry.side,
                    document_id=entry.document_id,
                    first=expected,
                    last=entry.rev - 1,
                    leading=entry is self.entries[0],
                )
            expected = entry.rev + 1

    def stays(self) -> Iterator[StatusStay]:
        """The durations in each status. A status that is the same on both sides of a gap counts as one stay, which is
        not exact."""
        run: list[TimelineEntry] = []
        exact = True
        for entry in self.entries:
            if entry.state is None:
                continue
            status = status_shown(entry.state)
            if not run or run[-1].state is None or status_shown(run[-1].state) != status:
                if run:
                    adjacent = entry.rev == run[-1].rev + 1
                    yield _stay(run, entry, exact=exact and adjacent)
                starts = entry.creation or (bool(run) and entry.rev == run[-1].rev + 1) or _enters(entry)
                run, exact = [entry], starts
            else:
                exact = exact and entry.rev == run[-1].rev + 1
                run.append(entry)
        if run:
            yield _stay(run, None, exact=exact)


def status_shown(state: RecordState) -> str:
    """The status of a stay: `deleted` of a deleted conversation."""
    return "deleted" if state.deleted else state.status


def _enters(entry: TimelineEntry) -> bool:
    """Whether the write itself says that it brought the record into its status."""
    return entry.before is not None and entry.state is not None and entry.before.status != entry.state.status


def _stay(run: Sequence[TimelineEntry], end: TimelineEntry | None, *, exact: bool) -> StatusStay:
    first, last = run[0], run[-1]
    assert first.state is not None, "a run has entries with a state"
    entered = first.at if first.creation or _enters(first) or exact else None
    left = None if end is None else end.at
    return StatusStay(
        side=first.side,
        document_id=first.document_id,
        status=status_shown(first.state),
        first_rev=first.rev,
        last_rev=last.rev,
        entered_at=entered,
        left_at=left,
        ms=None if entered is None or left is None else max(0, (left - entered) // _MILLISECOND),
        exact=exact and end is not None,
    )


def _completed(entry: TimelineEntry, previous: TimelineEntry) -> TimelineEntry:
    """The entry with what the revision before it tells, where its own source did not say what the write changed."""
    if entry.before is not None or entry.creation or previous.state is None or entry.state is None:
        return entry
    before, after = previous.state, entry.state
    changed = frozenset(field for field in FIELDS if before.value(field) != after.value(field))
    return replace(
        entry,
        before=before,
        changed_fields=changed if entry.changed_fields is None else entry.changed_fields,
        changes=_differences(entry, before, after) if entry.changes is None else entry.changes,
    )


def _differences(entry: TimelineEntry, before: RecordState, after: RecordState) -> tuple[ChangedValue, ...]:
    is_conversation = entry.side == "conversation"
    found = []
    if before.status != after.status:
        found.append(ChangedValue(name="status", before=before.status, after=after.status))
    if before.assignees != after.assignees:
        name = "assignedUsers" if is_conversation else "assignedTo"
        old, new = _users(before, is_conversation), _users(after, is_conversation)
        found.append(ChangedValue(name=name, before=old, after=new))
    if before.queue != after.queue:
        found.append(ChangedValue(name="queue", before=before.queue, after=after.queue))
    if is_conversation and before.ended != after.ended:
        found.append(ChangedValue(name="ended", before=before.ended, after=after.ended))
    if not is_conversation and before.paused != after.paused:
        found.append(ChangedValue(name="paused", before=before.paused, after=after.paused))
    if before.deleted != after.deleted:
        found.append(ChangedValue(name="deleted", before=before.deleted, after=after.deleted))
    return tuple(found)


def _users(state: RecordState, is_conversation: bool) -> object:
    return list(state.assignees) if is_conversation else next(iter(state.assignees), None)


def _place(entry: TimelineEntry) -> str:
    return f"{entry.file}:{entry.line}" if entry.file else f"event {entry.event_id}"
