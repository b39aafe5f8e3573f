"""Re-enactment: a captured outside write, repeated on the simulated document, where our own syncs stand in between.

The write keeps its ids, its client, its reasons and its time. It sets the names in the event's `changes` to the values
of the event's snapshot, and leaves the rest of the document as it is. An update without `changes` does not say what it
changed, so its write sets the whole document to the event's snapshot.

Revisions are those of the simulated document. So a conversation revision that a work-item's write names is translated:
to the simulated revision of the newest captured write up to the named revision, or to the initial revision where there
is no such write.
"""

from array import array
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from commands.instant import format_instant
from handlers.documents.document import changes_between, document_from_snapshot, snapshot_of
from handlers.documents.document_mapping import conversation_of, work_item_of
from handlers.documents.stored_forms import UnreadableDocument
from handlers.events.event import Event, Malformed, UnsupportedEvent
from handlers.events.parser import read_object
from handlers.ports import Document
from worker.errors import NotReenacted

_LEVELS = ("attributes", "relationships")


class Revisions:
    """The captured revisions of one document's outside writes, each with its simulated revision.

    `start`: the document's revision before the capture, 0 where there was no document.
    """

    def __init__(self, start: int = 0, pairs: Iterable[tuple[int, int]] = ()) -> None:
        self._start = start
        self._captured = array("q")
        self._simulated = array("q")
        for captured, simulated in pairs:
            self.add(captured, simulated)

    def add(self, captured: int, simulated: int) -> None:
        """Add a write: its captured and its simulated revision."""
        place = bisect_right(self._captured, captured)
        self._captured.insert(place, captured)
        self._simulated.insert(place, simulated)

    def has(self, captured: int) -> bool:
        """Whether the write was re-enacted before."""
        place = bisect_right(self._captured, captured)
        return place > 0 and self._captured[place - 1] == captured

    def translated(self, rev: int) -> int:
        """The simulated revision of the newest write up to `rev`, or the initial revision; at least 1."""
        place = bisect_right(self._captured, rev)
        # A work-item may be written before its conversation exists. 0 is not a revision, so 1 is the lowest result.
        return self._simulated[place - 1] if place else max(self._start, 1)


class ReenactedWrite(Struct, frozen=True, kw_only=True):
    """A write in the simulation: the document after it, and the event that announces it, read from `message`."""

    event: Event
    document: Document
    message: Mapping[str, Any]


def reenact(
    captured: Event, raw: Mapping[str, Any], before: Document | None, *, revisions: Revisions, at: datetime
) -> ReenactedWrite:
    """The captured write on the document `before`, or as the first write where that is None.

    `revisions` are the conversation's. `at` is the time of the write where the event has no `publishedAt`. Raises
    NotReenacted where the result is no event of a pair.
    """
    written_at = format_instant(captured.published_at or at)
    data = _created(captured, revisions) if before is None else _changed(captured, raw, before)
    data["attributes"]["updatedAt"] = written_at
    changes = raw.get("changes") if before is None else changes_between(before, data)
    message = {
        "id": captured.id,
        "name": captured.name,
        "partition": captured.partition,
        "body": {
            **raw,
            "data": data,
            "changes": changes,
            "routingReasons": _translated(raw.get("routingReasons"), revisions),
        },
        "publishedAt": written_at,
        "version": 3,
        "dd": captured.trace,
    }
    event = read_object(message)
    if isinstance(event, Malformed | UnsupportedEvent):
        why = event.reason if isinstance(event, Malformed) else "it belongs to no conversation there"
        raise NotReenacted(
            f"the write of {captured.document_id} rev {captured.rev} cannot be re-enacted without the syncs before it: "
            f"{why}: `replay observe` takes it as it was captured"
        )
    document = document_from_snapshot(data, org=captured.org, rev=event.rev, deletion=captured.deletion)
    return ReenactedWrite(event=event, document=document, message=message)


def start_of(event: Event, raw: Mapping[str, Any]) -> Document | None:
    """The document before the event's write, or None where the write created it."""
    if event.name.endswith(".create") or event.rev == 1:
        return None
    data: dict[str, Any] = dict(event.data)
    for level in _LEVELS:
        data[level] = _with(data.get(level) or {}, level, raw, lambda _, change: change.get("before"))
    data["attributes"]["rev"] = event.rev - 1
    if event.deletion:
        data["attributes"].pop("deleted", None)
    try:
        start = document_from_snapshot(data, org=event.org, rev=event.rev - 1)
        conversation_of(start) if event.side == "conversation" else work_item_of(start)
    except (UnreadableDocument, KeyError, ValueError, TypeError):
        # The `changes` lack values that the document needs, so it keeps the values after the write.
        attributes = {**event.data["attributes"], "rev": event.rev - 1}
        return document_from_snapshot({**event.data, "attributes": attributes}, org=event.org, rev=event.rev - 1)
    return start


def _created(captured: Event, revisions: Revisions) -> dict[str, Any]:
    data = dict(captured.data)
    attributes = dict(data["attributes"])
    if captured.side == "work-item" and attributes.get("resourceRev") is not None:
        attributes["resourceRev"] = revisions.translated(attributes["resourceRev"])
    return {**data, "attributes": attributes}


def _changed(captured: Event, raw: Mapping[str, Any], before: Document) -> dict[str, Any]:
    data = snapshot_of(before)
    for level in _LEVELS:
        old, after = data.get(level) or {}, captured.data.get(level) or {}
        if captured.changed_fields is None:
            # The revision that the creator of a work-item knew was translated when the work-item was created.
            data[level] = {**after, **{name: old[name] for name in ("resourceRev",) if name in old}}
        else:
            data[level] = _with(old, level, raw, lambda name, _, after=after: after.get(name))
    data["attributes"]["rev"] = before["rev"] + 1
    return data


def _with(names: Mapping[str, Any], level: str, raw: Mapping[str, Any], value_of: Any) -> dict[str, Any]:
    """`names` with `value_of(name, change)` for each name in the event's `changes`; None removes the name."""
    changed = dict(names)
    for name, change in ((raw.get("changes") or {}).get(level) or {}).items():
        value = value_of(name, change)
        if value is None:
            changed.pop(name, None)
        else:
            changed[name] = value
    return changed


def _translated(reasons: Any, revisions: Revisions) -> Any:
    """The routing reasons with the conversation revisions in them translated."""
    if not reasons:
        return reasons
    return [
        {**reason, "meta": _translated_meta(reason["meta"], revisions)}
        if isinstance(reason.get("meta"), Mapping)
        else reason
        for reason in reasons
    ]


def _translated_meta(meta: Mapping[str, Any], revisions: Revisions) -> dict[str, Any]:
    translated = dict(meta)
    match meta:
        case {"conversationRev": int(rev)}:
            translated["conversationRev"] = revisions.translated(rev)
    match meta:
        case {"data": {"resource": {"rev": int(rev), **resource}, **data}}:
            translated["data"] = {**data, "resource": {**resource, "rev": revisions.translated(rev)}}
    return translated
