"""The values of a record's shared fields at each revision that audit records tell of.

A revision that no record tells of changed none of these fields, or its event was lost. A field's value at a revision is
that of the latest change before it, else that of the next change after it, else that of the stored document.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from typing import Final

from msgspec.structs import replace

from commands.work_item import STATUS_ALIASES, Status
from handlers.documents.relationships import related_id
from handlers.ports import Document
from sync.conversation import FIELDS, ConversationStatus
from sync.gates import Side
from worker.investigate.timeline.captured import state_before
from worker.investigate.timeline.entry import ChangedValue, RecordState, TimelineEntry

_NAMES: Final[Mapping[Side, tuple[str, ...]]] = {
    "conversation": ("status", "assignedUsers", "queue", "ended", "deleted"),
    "work-item": ("status", "assignedTo", "queue", "paused"),
}
_UNKNOWN: Final = object()


class RecordedValues:
    """The values of one document's fields, by revision."""

    def __init__(self, side: Side, entries: Sequence[TimelineEntry], document: Document | None) -> None:
        self._side = side
        self._now = {} if document is None else _stored_values(side, document)
        self._changes: dict[str, list[ChangedValue]] = {}
        self._revs: dict[str, list[int]] = {}
        self._created = min((entry.rev for entry in entries if entry.creation), default=None)
        # The fields of a write that does not say what it changed are unknown from then on.
        self._unclear = sorted(entry.rev for entry in entries if entry.changes is None)
        for entry in sorted(entries, key=lambda each: each.rev):
            for change in entry.changes or ():
                self._changes.setdefault(change.name, []).append(change)
                self._revs.setdefault(change.name, []).append(entry.rev)

    def completed(self, entry: TimelineEntry) -> TimelineEntry:
        """The entry with its record's state after the write and before it, where they are known."""
        values = {name: self._value(name, entry.rev) for name in _NAMES[self._side]}
        state = self._state(values)
        if state is None or entry.changes is None:
            return entry
        if entry.creation:
            return replace(entry, state=state, changed_fields=frozenset(FIELDS if self._side == "work-item" else ()))
        before = state_before(self._side, state, entry.changes)
        if before is None:
            return entry
        changed = frozenset(field for field in FIELDS if before.value(field) != state.value(field))
        return replace(entry, state=state, before=before, changed_fields=changed)

    def _value(self, name: str, rev: int) -> object:
        changes, revs = self._changes.get(name, []), self._revs.get(name, [])
        place = bisect_right(revs, rev)
        since = revs[place - 1] if place else self._created
        if since is not None and since <= rev and not self._is_unclear(since, rev):
            # A creation does not name what it left empty.
            return changes[place - 1].after if place else None
        until = revs[place] if place < len(revs) else None
        if self._is_unclear(rev, None if until is None else until - 1):
            return _UNKNOWN
        return self._now.get(name, _UNKNOWN) if until is None else changes[place].before

    def _is_unclear(self, after: int, until: int | None) -> bool:
        """Whether a write behind revision `after`, up to `until`, does not say what it changed."""
        place = bisect_right(self._unclear, after)
        return place < len(self._unclear) and (until is None or self._unclear[place] <= until)

    def _state(self, values: Mapping[str, object]) -> RecordState | None:
        status, users = values["status"], values.get("assignedUsers", values.get("assignedTo"))
        queue = values["queue"]
        if _UNKNOWN in (status, users, queue) or not isinstance(status, str):
            return None
        if not (queue is None or isinstance(queue, str)):
            return None
        ids = [users] if isinstance(users, str) else users or []
        if not isinstance(ids, list) or not all(isinstance(each, str) for each in ids):
            return None
        if self._side == "conversation":
            return RecordState(
                status=status,
                assignees=tuple(ids),
                queue=queue,
                ended=values["ended"] is True,
                paused=status == ConversationStatus.SNOOZED,
                deleted=values["deleted"] is True,
            )
        known = STATUS_ALIASES.get(status)
        if known is None:
            return None
        number, count = self._now.get("number"), self._now.get("queuedCount")
        return RecordState(
            status=known.value,
            assignees=tuple(ids),
            queue=queue,
            ended=known is Status.WRAP_UP,
            paused=values["paused"] is True,
            number=number if isinstance(number, int) else 0,
            queued_count=count if isinstance(count, int) else 0,
        )


def _stored_values(side: Side, document: Document) -> dict[str, object]:
    """The values of a stored document that the worker can read, under the names of events."""
    attributes = document["attributes"]
    if side == "conversation":
        return {
            "status": attributes.get("status"),
            "assignedUsers": list(attributes.get("assignedUsers") or ()),
            "queue": related_id(document, "queue"),
            "ended": attributes.get("ended") is True,
            "deleted": attributes.get("deleted") is True,
        }
    return {
        "status": attributes.get("status"),
        "assignedTo": related_id(document, "assignedTo"),
        "queue": related_id(document, "queue"),
        "paused": attributes.get("paused") is True,
        "number": document.get("workItemNumber") or 0,
        "queuedCount": attributes.get("queuedCount") or 0,
    }
