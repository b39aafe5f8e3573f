"""Waiting times: the waits of work-items in queues (docs/events.md, *Waiting times*).

A wait begins at `lastRevision.enteredQueueAt`. It ends when the work-item leaves the status queued for routed or for
assigned. Each such end has one record, in the collection `waits`. A work-item that is put back keeps its place, so its
wait goes on, and has another record when it ends again.

The waits are read from snapshots, not from the order in which events come: a snapshot shows the wait that ended last,
long after its end. So a repeated or late event tells nothing new, and a later event replaces a lost one.

| in `lastRevision` | meaning |
|---|---|
| `enteredQueueAt` | the work-item entered the queue |
| `queueTime` | it left the status queued; so many milliseconds had passed |
| `routedAt` | it was offered to an agent, the last time |
| `acceptedAt` | it was assigned |

A work-item that left queued for ivr and was assigned later has waited for nobody: its `acceptedAt` is another time than
that at which it left queued. Only the event of the write itself is sure: its `changes` say that the status was queued.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from commands.instant import parse_instant
from commands.timings import elapsed_ms
from commands.work_item import Status
from handlers.events.event import Event
from handlers.ports import Document, DocumentWrite, PairWaits, WaitSighting
from sync.state.sync_state import RecordedWait

_DURATION_MS_MAX: Final = 1_000 * 60 * 60 * 24 * 3_650
"""Ten years: a longer wait is no time that a queue took."""
_ENTERED_MAX: Final = datetime(9_900, 1, 1, tzinfo=UTC)
"""A wait that began later may end beyond the range of times."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def waits_of_event(event: Event) -> tuple[WaitSighting, ...]:
    """The waits that a work-item's event shows: that of the snapshot, and the one before a return to the queue."""
    if event.side != "work-item" or not event.supported:
        return ()
    change = event.status_change
    if event.data["attributes"]["status"] == Status.QUEUED:
        if change is None:
            return ()
        # The snapshot has a new `lastRevision`; the one before may be of a wait whose own event is lost.
        found = _sighting(event.document_id, change.last_revision, change.queue, event.org, rev=event.rev)
    else:
        left = change.queue if change is not None and change.status == Status.QUEUED else None
        found = _of_snapshot(event.document_id, event.data, event.org, rev=event.rev, left=left)
    return () if found is None else (found,)


def wait_of_document(document: Document, *, left: str | None = None) -> WaitSighting | None:
    """The wait that ended last of those that a stored work-item shows; None if it shows none.

    `left`: the queue in which the work-item was queued before the write that made this document, and that took it out
    of queued. None for every other document.
    """
    key, rev, org = document.get("_id"), document.get("rev"), document.get("org")
    if not isinstance(key, str) or not isinstance(rev, int):
        return None
    return _of_snapshot(key, document, org if isinstance(org, str) else None, rev=rev, left=left)


def is_recorded(sighting: WaitSighting, recorded: RecordedWait | None) -> bool:
    """Whether the sighting tells nothing that is not recorded."""
    return recorded is not None and recorded.id == sighting.id and recorded.rev <= sighting.rev


def best_sightings(sightings: Iterable[WaitSighting]) -> tuple[WaitSighting, ...]:
    """One sighting a wait, the one that knows best."""
    best: dict[str, WaitSighting] = {}
    for sighting in sightings:
        other = best.get(sighting.id)
        if other is None or sighting.rev < other.rev:
            best[sighting.id] = sighting
    return tuple(best.values())


def wait_writes(
    conversation_id: str, waits: PairWaits, own: Iterable[WaitSighting], recorded: RecordedWait | None
) -> tuple[tuple[DocumentWrite, ...], RecordedWait | None]:
    """The writes of the records that are missing or know less, and the wait that the state names as recorded then.

    `own`: the waits that a write of the plan itself ends. `recorded`: the wait that the state names now.
    """
    writes: list[DocumentWrite] = []
    new = (sighting for sighting in own if not is_recorded(sighting, recorded))
    for sighting in best_sightings((*waits.sightings, *new)):
        stored = waits.recorded.get(sighting.id)
        rev = sighting.rev
        stored_rev = None if stored is None else stored.get("rev")
        if isinstance(stored_rev, int) and stored_rev <= rev:
            rev = stored_rev
        else:
            writes.append(DocumentWrite(before=stored, after=wait_record(conversation_id, sighting)))
        if recorded is None or _replaces(sighting, rev, recorded):
            recorded = RecordedWait(id=sighting.id, rev=rev)
    return tuple(writes), recorded


def _replaces(sighting: WaitSighting, rev: int, recorded: RecordedWait) -> bool:
    """Whether the state names this wait from now on: the latest wait of the latest work-item saves the most reads."""
    return rev >= recorded.rev or not recorded.id.startswith(_id_prefix(sighting.work_item))


def wait_record(conversation_id: str, sighting: WaitSighting) -> dict[str, Any]:
    """The document of a wait in the collection `waits`. Times are dates, for the index that lets records expire."""
    return {
        "_id": sighting.id,
        "org": sighting.org,
        "queue": sighting.queue,
        "workItemId": sighting.work_item,
        "conversationId": conversation_id,
        "enteredQueueAt": sighting.entered_at,
        "endedAt": sighting.entered_at + timedelta(milliseconds=sighting.duration_ms),
        "durationMs": sighting.duration_ms,
        "rev": sighting.rev,
    }


def _of_snapshot(
    key: str, snapshot: Mapping[str, Any], org: str | None, *, rev: int, left: object
) -> WaitSighting | None:
    attributes = snapshot.get("attributes")
    if not isinstance(attributes, dict) or attributes.get("status") == Status.QUEUED:
        return None
    last_revision = attributes.get("lastRevision")
    if isinstance(left, str):
        return _sighting(key, last_revision, left, org, rev=rev, is_end=True)
    # A snapshot shows only that the wait ended at its revision or before.
    return _sighting(key, last_revision, _queue_of(snapshot), org, rev=rev + 1)


def _sighting(
    key: str, last_revision: object, queue: object, org: str | None, *, rev: int, is_end: bool = False
) -> WaitSighting | None:
    """The wait of a `lastRevision`, which another service may have written in any form; None if it shows none.

    `is_end`: the write itself took the work-item out of queued.
    """
    if not isinstance(last_revision, dict) or not isinstance(queue, str):
        return None
    entered_at = _instant(last_revision.get("enteredQueueAt"))
    routed_at, accepted_at = _instant(last_revision.get("routedAt")), _instant(last_revision.get("acceptedAt"))
    ended_at = routed_at or accepted_at
    if entered_at is None or ended_at is None:
        return None
    passed_ms, queue_time_ms = elapsed_ms(entered_at, ended_at), last_revision.get("queueTime")
    # Without a `queueTime`, the earliest sighting knows the first offer: a later offer has a later `routedAt`.
    duration_ms = passed_ms if queue_time_ms is None else queue_time_ms
    if not isinstance(duration_ms, int) or not 0 <= duration_ms <= _DURATION_MS_MAX or entered_at > _ENTERED_MAX:
        return None
    if not is_end and routed_at is None and passed_ms != duration_ms:
        return None
    return WaitSighting(
        id=f"{_id_prefix(key)}{elapsed_ms(_EPOCH, entered_at)}:{'-' if queue_time_ms is None else int(duration_ms)}",
        rev=rev,
        work_item=key,
        queue=queue,
        org=org,
        entered_at=entered_at,
        duration_ms=int(duration_ms),
    )


def _id_prefix(work_item: str) -> str:
    return f"{work_item}:"


def _instant(value: object) -> datetime | None:
    return parse_instant(value) if isinstance(value, str) else None


def _queue_of(snapshot: Mapping[str, Any]) -> object:
    match snapshot.get("relationships"):
        case {"queue": {"data": {"id": queue}}}:
            return queue
        case _:
            return None
