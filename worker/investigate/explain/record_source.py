"""Audit records as the entries of a timeline: what the kept audit, or a log, tells of a pair's revisions.

A record tells of the event that caused the decision, with the shared fields that its write changed, and of each write
that the decision made. The values between are known: a revision that no record tells of changed none of these fields,
or its event was lost. A field's value at a revision is that of the latest change before it, else that of the next
change after it, else that of the stored document.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from commands.instant import format_instant, parse_instant
from commands.reason import ReasonAction
from commands.work_item import STATUS_ALIASES, Status
from handlers.documents.relationships import related_id
from handlers.ports import Document
from sync.conversation import FIELDS, ConversationStatus
from sync.gates import Side
from worker.investigate.timeline.captured import audit_entry_of, state_before
from worker.investigate.timeline.entry import AuditEntry, ChangedValue, EntryReason, RecordState, TimelineEntry

CLIENT: Final = "routing-worker"
_SYNCS: Final = {ReasonAction.SYNC_CONVERSATION.value, ReasonAction.SYNC_WORK_ITEM.value}
_OF_SIDE: Final[Mapping[Side, frozenset[str]]] = {
    "conversation": frozenset({ReasonAction.SYNC_CONVERSATION, ReasonAction.UNASSIGN_CONVERSATION}),
    "work-item": frozenset({
        ReasonAction.SYNC_WORK_ITEM, ReasonAction.UPDATE_COMMAND, ReasonAction.CREATE_WORK_ITEM,
        ReasonAction.QUEUE_WORK_ITEM,
    }),
}  # fmt: skip
_NAMES: Final[Mapping[Side, tuple[str, ...]]] = {
    "conversation": ("status", "assignedUsers", "queue", "ended", "deleted"),
    "work-item": ("status", "assignedTo", "queue", "paused"),
}
_UNKNOWN: Final = object()


class TellingRecord(Struct, frozen=True, kw_only=True):
    """An audit record with its place: of the store, or of a line of a log file."""

    at: datetime
    record: Mapping[str, Any]
    file: str = ""
    line: int = 0

    @property
    def event(self) -> Mapping[str, Any]:
        """The record's `event`; empty where there is none."""
        event = self.record.get("event")
        return event if isinstance(event, Mapping) else {}

    @property
    def reasons(self) -> Sequence[Mapping[str, Any]]:
        """The record's reasons."""
        reasons = self.record.get("reasons")
        return [each for each in reasons if isinstance(each, Mapping)] if isinstance(reasons, list) else []

    @property
    def written(self) -> Sequence[Mapping[str, Any]]:
        """The writes that the decision made."""
        written = self.record.get("written")
        return [each for each in written if isinstance(each, Mapping)] if isinstance(written, list) else []


def telling_record_of_line(value: Mapping[str, Any], *, file: str, line: int) -> TellingRecord | None:
    """The record of an audit line; None for a line of the predecessor, or without a time."""
    time = value.get("time")
    at = parse_instant(time) if isinstance(time, str) else None
    return None if at is None or "outcome" not in value else TellingRecord(at=at, record=value, file=file, line=line)


def audits_of(records: Iterable[TellingRecord]) -> Iterator[AuditEntry]:
    """The records as a timeline's audit lines."""
    for each in records:
        entry = audit_entry_of({**each.record, "time": format_instant(each.at)}, file=each.file, line=each.line)
        if entry is not None:
            yield entry


def entries_of(records: Iterable[TellingRecord], stored: Iterable[Document]) -> list[TimelineEntry]:
    """The revisions that the records tell of. `stored`: the documents of both sides as they are now, checked."""
    told: dict[tuple[Side, str], dict[int, TimelineEntry]] = {}
    for each in records:
        for entry in (*_written_entries(each), *_event_entry(each)):
            revisions = told.setdefault((entry.side, entry.document_id), {})
            known = revisions.get(entry.rev)
            revisions[entry.rev] = entry if known is None else _merged(known, entry)
    now = {document["_id"]: document for document in stored}
    found: list[TimelineEntry] = []
    for (side, document_id), revisions in told.items():
        values = _Values(side, list(revisions.values()), now.get(document_id))
        found += [values.completed(entry) for entry in revisions.values()]
    return found


def _event_entry(telling: TellingRecord) -> Iterator[TimelineEntry]:
    record, event = telling.record, telling.event
    name, rev = event.get("name"), event.get("rev")
    if not isinstance(name, str) or not isinstance(rev, int):
        return
    side: Side = "conversation" if ".conversation." in name else "work-item"
    document_id = record.get("conversationId" if side == "conversation" else "workItemId")
    if not isinstance(document_id, str):
        return
    is_own = event.get("isSync") is True and event.get("client") == CLIENT and "changes" not in event
    published = event.get("publishedAt")
    at = parse_instant(published) if isinstance(published, str) else None
    yield TimelineEntry(
        side=side,
        document_id=document_id,
        rev=rev,
        at=at or telling.at,
        published_at=at,
        event_id=_text(event.get("id")),
        name=name,
        client=_text(event.get("client")),
        is_sync=event.get("isSync") is True,
        is_own_sync=is_own,
        creation=name.endswith(".create"),
        deletion=name.endswith(".delete"),
        # Of an own sync the record of its decision tells the changes.
        changes=None if is_own or event.get("changes", 0) is None else tuple(_changed(event.get("changes"))),
        changed_fields=None,
        known_conversation_rev=_whole(event.get("knew")),
        trace_id=_trace(record),
        file=telling.file,
        line=telling.line,
    )


def _written_entries(telling: TellingRecord) -> Iterator[TimelineEntry]:
    record = telling.record
    for write in telling.written:
        side, document_id, rev = write.get("side"), write.get("id"), write.get("rev")
        if side not in ("conversation", "work-item") or not isinstance(document_id, str) or not isinstance(rev, int):
            continue
        is_sync, changes = write.get("isSync") is True, write.get("changes")
        creation = rev == 1 and side == "work-item"
        actions = _OF_SIDE[side]
        why = [each for each in telling.reasons if each.get("action") in actions]
        yield TimelineEntry(
            side=side,
            document_id=document_id,
            rev=rev,
            at=telling.at,
            event_id=_text(write.get("eventId")),
            client=CLIENT,
            is_sync=is_sync,
            is_own_sync=is_sync,
            creation=creation,
            changes=tuple(_changed(changes)),
            changed_fields=None,
            reasons=tuple(_reason(each) for each in why if not is_sync or each.get("action") in _SYNCS),
            known_conversation_rev=_whole(record.get("conversationRev")) if side == "work-item" and is_sync else None,
            trace_id=_trace(record),
            file=telling.file,
            line=telling.line,
        )


def _merged(one: TimelineEntry, other: TimelineEntry) -> TimelineEntry:
    """The two tellings of one revision: the decision that wrote it, and its event that came back."""
    wrote, came = (one, other) if one.name is None else (other, one)
    if wrote.name is not None:
        return one if one.changes is not None else other
    return replace(
        wrote, name=came.name, published_at=came.published_at, event_id=wrote.event_id or came.event_id,
        trace_id=wrote.trace_id or came.trace_id,
    )  # fmt: skip


def _changed(changes: object) -> Iterator[ChangedValue]:
    if not isinstance(changes, Mapping):
        return
    for name, change in changes.items():
        if isinstance(name, str) and isinstance(change, Mapping):
            before, after = _flat(name, change.get("before")), _flat(name, change.get("after"))
            yield ChangedValue(name=name, before=before, after=after)


def _flat(name: str, value: object) -> object:
    """A queue by its id, as a timeline has it."""
    return value.get("id") if name == "queue" and isinstance(value, Mapping) else value


def _reason(reason: Mapping[str, Any]) -> EntryReason:
    meta = reason.get("meta")
    return EntryReason(
        action=_text(reason.get("action")),
        code=_text(reason.get("code")),
        meta=meta if isinstance(meta, Mapping) else {},
    )


class _Values:
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


def _trace(record: Mapping[str, Any]) -> str | None:
    dd = record.get("dd")
    return _text(dd.get("trace_id")) if isinstance(dd, Mapping) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
