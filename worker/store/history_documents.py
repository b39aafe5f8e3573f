"""The documents of the kept audit and of the kept timings, read as strictly as every stored document is."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import orjson
from msgspec import field

from commands.instant import parse_instant
from handlers.documents.stored_forms import Form, Id, Org, Revision, UnreadableDocument, form_of, unreadable
from worker.ports.history import HistoryPage, KeptDecision, KeptTiming, PageMark, TimeWindow

Kept = TypeVar("Kept", KeptDecision, KeptTiming)
Document = Mapping[str, Any]


def decision_of(document: Document) -> KeptDecision:
    """The decision of a document of `sync_audit`. Raises UnreadableDocument."""
    form = form_of(document, _DecisionForm)
    try:
        record = orjson.loads(form.record)
    except orjson.JSONDecodeError:
        try:
            # Numbers beyond 64 bits and half a surrogate pair were written by the standard library.
            record = json.loads(form.record)
        except (ValueError, RecursionError):
            record = None
    if not isinstance(record, dict):
        raise unreadable(document, ("record",), "the JSON text of an audit record")
    return KeptDecision(id=form.id, at=_aware(form.at), conversation_id=form.conversation_id, record=record)


def timing_of(document: Document) -> KeptTiming:
    """The timings of a document of `work_item_revisions`. Raises UnreadableDocument."""
    form = form_of(document, _TimingForm)
    at = form.created_at or parse_instant(form.updated_at or "")
    if at is None:
        raise unreadable({"createdAt": None, **document}, ("createdAt",), "a date")
    return KeptTiming(
        id=form.id,
        at=_aware(at),
        conversation_id=form.conversation_id,
        work_item_id=form.work_item_id,
        rev=form.rev,
        last_revision=form.last_revision or {},
    )


def page_of(
    documents: Sequence[Document], limit: int, read: Callable[[Document], Kept], time: str
) -> HistoryPage[Kept]:
    """The page of at most `limit` of the documents, which are in the order of the page and one more if there are more.

    `time`: the name of the document's field of the time.
    """
    records: list[Kept] = []
    faults: list[str] = []
    shown = documents[:limit]
    for document in shown:
        try:
            records.append(read(document))
        except UnreadableDocument as fault:
            faults.append(str(fault))
    is_last = len(documents) <= limit or not shown
    mark = None if is_last else _last_mark(shown, time)
    return HistoryPage(records=tuple(records), next=mark, unreadable=tuple(faults))


def _last_mark(documents: Sequence[Document], time: str) -> PageMark | None:
    """The mark behind the last of the documents. One without a usable time or id would end the paging."""
    for document in reversed(documents):
        at, key = document.get(time), document["_id"]
        if isinstance(at, datetime) and isinstance(key, str):
            return PageMark(at=_aware(at), id=key)
    return None


def is_within(document: Document, time: str, window: TimeWindow, after: PageMark | None) -> bool:
    """Whether a document's time lies within the window, and the document behind the mark."""
    at = document.get(time)
    if not isinstance(at, datetime):
        return False
    if (window.begin is not None and at < window.begin) or (window.end is not None and at >= window.end):
        return False
    return after is None or (at, document["_id"]) < (after.at, after.id)


def _aware(at: datetime) -> datetime:
    return at if at.tzinfo is not None else at.replace(tzinfo=UTC)


class _DecisionForm(Form, kw_only=True):
    id: Id = field(name="_id")
    conversation_id: Id
    org: Org | None = None
    at: datetime
    record: str


class _TimingForm(Form, kw_only=True):
    id: Id = field(name="_id")
    conversation_id: Id
    work_item_id: Id
    org: Org | None = None
    rev: Revision
    last_revision: dict[str, Any] | None = None
    created_at: datetime | None = None
    updated_at: str | None = None
