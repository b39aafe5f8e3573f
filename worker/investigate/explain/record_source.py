"""Audit records as the entries of a timeline: what the kept audit, or a log, tells of a pair's revisions.

A record tells of the event that caused the decision, with the shared fields that its write changed, and of each write
that the decision made. `recorded_values.py` has the values between.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from commands.instant import format_instant, parse_instant
from commands.reason import ReasonAction
from handlers.ports import Document
from sync.gates import Side
from worker.investigate.explain.recorded_values import RecordedValues
from worker.investigate.timeline.captured import audit_entry_of
from worker.investigate.timeline.entry import AuditEntry, ChangedValue, EntryReason, TimelineEntry

CLIENT: Final = "routing-worker"
_SYNCS: Final = {ReasonAction.SYNC_CONVERSATION.value, ReasonAction.SYNC_WORK_ITEM.value}
_OF_SIDE: Final[Mapping[Side, frozenset[str]]] = {
    "conversation": frozenset({ReasonAction.SYNC_CONVERSATION, ReasonAction.UNASSIGN_CONVERSATION}),
    "work-item": frozenset({
        ReasonAction.SYNC_WORK_ITEM, ReasonAction.UPDATE_COMMAND, ReasonAction.CREATE_WORK_ITEM,
        ReasonAction.QUEUE_WORK_ITEM,
    }),
}  # fmt: skip


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
    def conversation_rev(self) -> int | None:
        """The conversation's revision as read."""
        return _whole(self.record.get("conversationRev"))

    @property
    def work_item_rev(self) -> int | None:
        """The work-item's revision as read."""
        return _whole(self.record.get("workItemRev"))

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
        values = RecordedValues(side, list(revisions.values()), now.get(document_id))
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


def _trace(record: Mapping[str, Any]) -> str | None:
    dd = record.get("dd")
    return _text(dd.get("trace_id")) if isinstance(dd, Mapping) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None
