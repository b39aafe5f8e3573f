"""Small, complete documents and plans for the store's tests."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec.structs import replace

from commands.session import Session, SessionEntry, SessionMove, SessionPlace, SessionSlot
from handlers.ports import Announcement, Document, DocumentWrite, LoadRequest, Pair, Plan, WaitSighting
from handlers.routing.waiting_times import wait_record
from sync.state.sync_state import SyncState
from tests.worker.store.store_bench import Bench

T0 = datetime(2024, 5, 6, 7, 8, 9, 123_000, tzinfo=UTC)


def conversation(key: str, rev: int = 1, **attributes: Any) -> dict[str, Any]:
    return {
        "_id": key,
        "org": "o1",
        "rev": rev,
        "type": "conversation",
        "attributes": {"status": "open", **attributes},
        "relationships": {},
    }


def work_item(
    key: str, conversation_id: str, rev: int = 1, *, active: bool = True, **attributes: Any
) -> dict[str, Any]:
    return {
        "_id": key,
        "org": "o1",
        "rev": rev,
        "conversationId": conversation_id,
        "active": active,
        "workItemNumber": 1,
        "type": "work_item",
        "attributes": {"status": "queued" if active else "completed", **attributes},
        "relationships": {},
    }


def in_queue(document: Mapping[str, Any], queue: str) -> dict[str, Any]:
    return {**document, "relationships": {"queue": {"data": {"id": queue, "type": "queue"}}}}


def changed(document: Document, **attributes: Any) -> dict[str, Any]:
    """The next revision; an attribute with the value None is removed."""
    after = {**document["attributes"], **attributes}
    kept = {name: value for name, value in after.items() if value is not None}
    return {**document, "rev": document["rev"] + 1, "attributes": kept}


def nested(levels: int) -> Any:
    """A value of alternating objects and lists."""
    value: Any = 1
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


def announcement(key: str, conversation_id: str = "c1", at: datetime = T0) -> Announcement:
    return Announcement(id=key, conversation_id=conversation_id, side="work-item", message="{}", created_at=at)


def wait(
    item: str = "w1",
    *,
    queue: str = "q1",
    org: str | None = "o1",
    ended_s: float = 30,
    seconds: float = 30,
    rev: int = 3,
) -> WaitSighting:
    """A wait that ended so many seconds after `T0`."""
    entered_at = T0 + timedelta(seconds=ended_s - seconds)
    duration_ms = round(seconds * 1_000)
    return WaitSighting(
        id=f"{item}:{entered_at.timestamp()}:{duration_ms}",
        rev=rev,
        work_item=item,
        queue=queue,
        org=org,
        entered_at=entered_at,
        duration_ms=duration_ms,
    )


def wait_write(sighting: WaitSighting, conversation_id: str = "c1") -> DocumentWrite:
    """The write of the wait's record, where none is stored."""
    return DocumentWrite(before=None, after=wait_record(conversation_id, sighting))


def place(session: str, slot: SessionSlot = SessionSlot.WORK_ITEMS, size: int = 1) -> SessionPlace:
    return SessionPlace(session=session, slot=slot, item_size=size)


def move(item: str, leave: SessionPlace | None, take: SessionPlace | None) -> SessionMove:
    return SessionMove(work_item=item, leave=leave, take=take)


def session(key: str, user: str, **fields: Any) -> Session:
    return Session(id=key, user=user, capacity=3, **fields)


def held(item: str, size: int = 1) -> SessionEntry:
    return SessionEntry(id=item, item_size=size)


def first_plan(key: str = "c1", **fields: Any) -> Plan:
    """A plan that creates a conversation, its work-item, its state and all their records."""
    item = f"w-{key}"
    return replace(
        Plan(
            conversation_id=key,
            conversation=DocumentWrite(before=None, after=conversation(key)),
            work_items=(DocumentWrite(before=None, after=work_item(item, key)),),
            state=SyncState(version=1, work_item=item, conversation_observed=((1, 1),)),
            revisions=({"_id": f"{item}:1", "workItemId": item},),
            moves=(move(item, None, place("s1")),),
            announcements=(announcement(f"a-{key}-1", key),),
        ),
        **fields,
    )


def next_plan(pair: Pair, **attributes: Any) -> Plan:
    """A plan that changes a loaded conversation, announces it, and pauses its work-item on the session."""
    before = pair.conversation
    assert before is not None
    key, rev = before["_id"], before["rev"] + 1
    item = f"w-{key}"
    return Plan(
        conversation_id=key,
        conversation=DocumentWrite(before=before, after=changed(before, **{"status": "snoozed", **attributes})),
        state=replace(pair.state, version=pair.state.version + 1),
        revisions=({"_id": f"{item}:{rev}", "workItemId": item},),
        moves=(move(item, place("s1"), place("s1", SessionSlot.PAUSED_WORK_ITEMS)),),
        announcements=(announcement(f"a-{key}-{rev}", key, T0 + timedelta(minutes=rev)),),
    )


def state_plan(key: str = "c1", version: int = 1, **fields: Any) -> Plan:
    """A plan that writes the state, and those other parts that the test names."""
    return replace(Plan(conversation_id=key, state=SyncState(version=version)), **fields)


async def loaded(bench: Bench, key: str = "c1") -> Pair:
    return (await bench.store.load([LoadRequest(conversation_id=key)]))[key]
