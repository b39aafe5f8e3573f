"""The records of waits in a plan and in a loaded pair: one suite for both stores."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

import pytest
from msgspec.structs import replace

from handlers.batch_handler import BatchHandler
from handlers.options import Options
from handlers.ports import CommitResult, DocumentWrite, LoadRequest, Pair, PairWaits
from handlers.routing.waiting_times import wait_of_document, wait_record
from sync.state.sync_state import RecordedWait, SyncState
from tests.handlers.routing.queue_history import CONVERSATION, QueueHistory, counted
from tests.handlers.small_ports import HandClock
from tests.worker.stand_ins.fake_clock import MiddleChance
from tests.worker.store.plans import T0, first_plan, loaded, state_plan, wait, wait_write, work_item
from tests.worker.store.store_bench import Bench, ids
from worker.runtime.clock import ObjectIds, SystemClock
from worker.store.documents import Collection

COMMITTED, CONFLICT = CommitResult.COMMITTED, CommitResult.CONFLICT
WAIT: Final = wait()


async def _waits(bench: Bench, *sightings: Any) -> PairWaits:
    [pair] = (await bench.store.load([LoadRequest(conversation_id="c1", waits=sightings)])).values()
    assert pair.waits is not None
    return pair.waits


async def test_a_record_is_written_with_the_rest_of_its_plan(bench: Bench) -> None:
    assert await bench.store.commit([first_plan(waits=(wait_write(WAIT),))]) == [COMMITTED]
    [record] = await bench.documents(Collection.WAITS)
    assert record == {
        "_id": WAIT.id, "org": "o1", "queue": "q1", "workItemId": "w1", "conversationId": "c1",
        "enteredQueueAt": T0, "endedAt": T0 + timedelta(seconds=30), "durationMs": 30_000, "rev": 3,
    }  # fmt: skip


async def test_a_plan_that_writes_a_wait_without_a_state_is_a_defect(bench: Bench) -> None:
    with pytest.raises(ValueError, match="c1 writes and leaves the sync state"):
        await bench.store.commit([state_plan(state=None, waits=(wait_write(WAIT),))])


async def test_a_record_that_stands_already_is_a_conflict_of_its_plan_alone(bench: Bench) -> None:
    await bench.store.commit([state_plan("c1", waits=(wait_write(WAIT),))])
    again = state_plan("c1", version=2, waits=(wait_write(WAIT),))
    other = state_plan("c2", waits=(wait_write(wait("w2"), "c2"),))
    assert await bench.store.commit([again, other]) == [CONFLICT, COMMITTED]
    assert await ids(bench, Collection.WAITS) == sorted([WAIT.id, wait("w2").id])


async def test_a_record_is_changed_only_while_it_has_the_revision_that_was_read(bench: Bench) -> None:
    await bench.store.commit([state_plan(waits=(wait_write(WAIT),))])
    stored = (await _waits(bench, WAIT)).recorded[WAIT.id]
    better = wait_record("c1", replace(WAIT, rev=2, queue="q2"))
    write = DocumentWrite(before=stored, after=better)
    assert await bench.store.commit([state_plan(version=2, waits=(write,))]) == [COMMITTED]
    assert await bench.documents(Collection.WAITS) == [better]
    assert await bench.store.commit([state_plan(version=3, waits=(write,))]) == [CONFLICT]


# Loading


async def test_a_request_without_waits_loads_none(bench: Bench) -> None:
    await bench.store.commit([first_plan(waits=(wait_write(WAIT),))])
    assert (await loaded(bench)).waits is None


async def test_a_wait_is_loaded_with_its_record_if_there_is_one(bench: Bench) -> None:
    await bench.store.commit([first_plan(waits=(wait_write(WAIT),))])
    other = wait("w1", ended_s=50)
    waits = await _waits(bench, WAIT, other, replace(other, rev=2, queue="q2"))
    assert waits.sightings == (WAIT, replace(other, rev=2, queue="q2"))
    assert {key: record["rev"] for key, record in waits.recorded.items()} == {WAIT.id: 3}


@pytest.mark.parametrize(("rev", "known"), [(2, False), (3, True), (4, True)])
async def test_a_wait_that_the_state_names_is_left_out(bench: Bench, rev: int, known: bool) -> None:
    await bench.store.commit([state_plan(state=SyncState(version=1, recorded_wait=RecordedWait(id=WAIT.id, rev=3)))])
    assert await _waits(bench, replace(WAIT, rev=rev)) == PairWaits(
        sightings=() if known else (replace(WAIT, rev=rev),)
    )


async def test_the_wait_that_a_stored_work_item_shows_is_loaded(bench: Bench) -> None:
    item = _with_wait(work_item("w1", "c1", status="assigned"))
    await bench.put(work_items=[item])
    shown = wait_of_document(item)
    assert shown is not None
    assert await _waits(bench) == PairWaits(sightings=(shown,))
    # Its own event knows better.
    told = replace(shown, rev=1)
    assert await _waits(bench, told) == PairWaits(sightings=(told,))


def _with_wait(item: Mapping[str, Any]) -> dict[str, Any]:
    last = {"enteredQueueAt": "2024-05-06T07:08:09.123Z", "queueTime": 5_000, "routedAt": "2024-05-06T07:08:14.123Z"}
    return {
        **item,
        "attributes": {**item["attributes"], "lastRevision": last},
        "relationships": {"queue": {"data": {"id": "q1", "type": "queue"}}},
    }


async def test_several_conversations_keep_their_waits_apart(bench: Bench) -> None:
    await bench.store.commit([first_plan(waits=(wait_write(WAIT),))])
    other = wait("w2", queue="q2")
    requests = [
        LoadRequest(conversation_id="c1", waits=(WAIT,)),
        LoadRequest(conversation_id="c2", waits=(other,)),
        LoadRequest(conversation_id="c3", waits=()),
        LoadRequest(conversation_id="c4"),
    ]
    pairs: Mapping[str, Pair] = await bench.store.load(requests)
    assert [pair.waits and (pair.waits.sightings, list(pair.waits.recorded)) for pair in pairs.values()] == [
        ((WAIT,), [WAIT.id]), ((other,), []), ((), []), None,
    ]  # fmt: skip


# Two workers on one database


async def test_workers_that_handle_the_same_events_at_once_record_each_wait_once(bench: Bench) -> None:
    history = QueueHistory()
    for update, seconds in (({"queue": "q-1"}, 0), ({"assignedTo": "u-1"}, 33), ({"assignedTo": None}, 9)):
        assert history.write(update, after_ms=seconds * 1_000) is not None
    assert history.write({"routed": {"to": "u-1"}}, after_ms=25_000) is not None
    workers = [
        BatchHandler(
            store=bench.store, clock=clock, ids=ObjectIds(), chance=MiddleChance(), options=Options(waiting_times=True)
        )
        for clock in (SystemClock(), SystemClock(), SystemClock())
    ]
    events = history.events
    deliveries = (events, events[::-1], events[2:])
    await asyncio.gather(*(worker.handle(each) for worker, each in zip(workers, deliveries, strict=True)))
    assert counted(await bench.documents(Collection.WAITS)) == history.waits
    assert (await bench.store.load([LoadRequest(conversation_id=CONVERSATION)]))[CONVERSATION].state.recorded_wait


async def test_events_that_are_delivered_again_leave_one_record(bench: Bench) -> None:
    """As after a worker that was killed between the commit and the settling."""
    history = QueueHistory()
    history.write({"queue": "q-1"})
    history.write({"assignedTo": "u-1"}, after_ms=33_000)
    handler = BatchHandler(
        store=bench.store,
        clock=HandClock(),
        ids=ObjectIds(),
        chance=MiddleChance(),
        options=Options(waiting_times=True),
    )
    for _ in range(3):
        await handler.handle(history.events)
    assert counted(await bench.documents(Collection.WAITS)) == history.waits
