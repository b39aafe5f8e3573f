"""What the store says of a pair: the kept audit, the kept timings, both records as they are now, the sync state."""

from collections.abc import Callable, Iterable, Sequence
from typing import Final

from msgspec import Struct

from commands.instant import format_instant
from handlers.documents.document_mapping import conversation_of, work_item_of
from handlers.documents.stored_forms import UnreadableDocument
from handlers.ports import Document, LoadRequest, Store
from sync.state.sync_state import SyncState
from worker.investigate.explain.record_source import CLIENT, TellingRecord
from worker.investigate.timeline.entry import TimelineEntry
from worker.ports.history import KeptTiming, PageMark, PairHistory

DECISIONS_MAX: Final = 5_000
TIMINGS_MAX: Final = 1_000


class StoredPast(Struct, frozen=True, kw_only=True):
    """What was read. `missing`: what the store does not say, or cannot be read, a sentence each.

    `documents`: those that can be read. `known`: the store has the conversation, a work-item, or a record of it.
    """

    records: tuple[TellingRecord, ...] = ()
    timings: tuple[KeptTiming, ...] = ()
    documents: tuple[Document, ...] = ()
    missing: tuple[str, ...] = ()
    known: bool = False


async def read_past(
    conversation_id: str,
    *,
    store: Store,
    history: PairHistory,
    audit_days: int,
    org: str | None = None,
    decisions_max: int = DECISIONS_MAX,
) -> StoredPast:
    """The past of a conversation, its latest `decisions_max` decisions. `audit_days`: the setting.

    Raises StoreAway.
    """
    missing: list[str] = []
    pair = (await store.load([LoadRequest(conversation_id=conversation_id)]))[conversation_id]
    if pair.unreadable is not None:
        missing.append(f"{pair.unreadable}")
    records = await _decisions(conversation_id, history, org, decisions_max, missing)
    documents = [each for each in (pair.conversation, *pair.work_items) if each is not None]
    readable = [each for each in documents if _is_readable(each, missing)]
    named = [pair.state.work_item, *(each["_id"] for each in pair.work_items)]
    named += [each.record.get("workItemId") for each in records]
    timings = await _timings([each for each in named if isinstance(each, str)], history, org, missing)
    if not records:
        missing.insert(0, _no_records(audit_days))
    elif audit_days == 0:
        latest = format_instant(records[0].at)
        missing.append(f"AUDIT_DAYS is 0: no decision is kept any more, the last one is of {latest}")
    if pair.conversation is None:
        missing.append(f"conversation {conversation_id} is not stored")
    missing += _unobserved(pair.conversation, pair.state, documents)
    return StoredPast(
        records=tuple(records),
        timings=tuple(timings),
        documents=tuple(readable),
        missing=tuple(missing),
        known=bool(documents or records or pair.state.version),
    )


def timing_entries(timings: Iterable[KeptTiming]) -> list[TimelineEntry]:
    """The revisions of which only the timings are kept: this worker wrote them, and what they changed is not known."""
    return [
        TimelineEntry(
            side="work-item",
            document_id=each.work_item_id,
            rev=each.rev,
            at=each.at,
            client=CLIENT,
            changes=None,
            other_changes=("lastRevision",),
            changed_fields=None,
        )
        for each in timings
    ]


def _no_records(audit_days: int) -> str:
    if audit_days == 0:
        return "AUDIT_DAYS is 0: no decision is kept: name the workers' log with --logs FILE"
    return (
        f"no decision is kept: AUDIT_DAYS keeps them for {audit_days} days, of the workers that have it set: "
        "name the workers' log with --logs FILE"
    )


async def _decisions(
    conversation_id: str, history: PairHistory, org: str | None, decisions_max: int, missing: list[str]
) -> list[TellingRecord]:
    """The latest first."""
    records: list[TellingRecord] = []
    mark: PageMark | None = None
    while len(records) < decisions_max:
        page = await history.decisions(conversation_id, org=org, after=mark)
        records += [TellingRecord(at=each.at, record=each.record) for each in page.records]
        missing += page.unreadable
        mark = page.next
        if mark is None:
            return records
    missing.append(f"more than {decisions_max:,} decisions are kept: those before {format_instant(records[-1].at)}")
    return records


async def _timings(ids: Sequence[str], history: PairHistory, org: str | None, missing: list[str]) -> list[KeptTiming]:
    timings: list[KeptTiming] = []
    mark: PageMark | None = None
    while len(timings) < TIMINGS_MAX:
        page = await history.timings(ids, org=org, after=mark)
        timings += page.records
        missing += page.unreadable
        mark = page.next
        if mark is None:
            return timings
    missing.append(f"more than {TIMINGS_MAX:,} timings are kept: those before {format_instant(timings[-1].at)}")
    return timings


def _is_readable(document: Document, missing: list[str]) -> bool:
    read: Callable[[Document], object] = work_item_of if "conversationId" in document else conversation_of
    try:
        read(document)
    except UnreadableDocument as fault:
        missing.append(str(fault))
        return False
    return True


def _unobserved(conversation: Document | None, state: SyncState, documents: Iterable[Document]) -> list[str]:
    """The stored revisions whose events no worker has seen."""
    if state.version == 0:
        return ["the pair has no sync state: no event of it was handled, or it ended more than STATE_DAYS ago"]
    items = [each for each in documents if each["_id"] == state.work_item]
    sides = [("conversation", conversation, state.conversation_observed)]
    sides += [("work-item", each, state.work_item_observed) for each in items]
    found: list[str] = []
    for side, document, observed in sides:
        rev = None if document is None else document.get("rev")
        if isinstance(rev, int) and not any(first <= rev <= last for first, last in observed):
            found.append(
                f"{side} revision {rev} is stored, and its event was not handled yet: lost, late, or under way"
            )
    return found
