"""Lanes and receivers: batches by conversation, and no message lost in an outage or an unexpected error."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from handlers.planning.endings import own_sync_ending
from tests.handlers.events.own_syncs.comparison import own_sync
from tests.handlers.wire_events import notification, read, text
from tests.worker.consumer.consumer_bench import FOREIGN, PLANNING, ConsumerBench, body, own
from tests.worker.stand_ins.fake_clock import FakeClock, run_ready_tasks, until
from worker.errors import QueueAway
from worker.ports.aws_calls import RefusedEntry
from worker.telemetry.metrics import Metric

SIDES = ("conversation", "work-item")


@pytest.fixture
async def bench() -> AsyncIterator[ConsumerBench]:
    bench = ConsumerBench(FakeClock())
    yield bench
    await bench.stop()


async def test_a_conversation_keeps_to_its_lane_and_its_order(bench: ConsumerBench) -> None:
    for rev in range(1, 4):
        for conversation in ("c1", "c2", "c3"):
            bench.queue.send(body(conversation, rev))
    bench.start()
    await bench.drained()
    for conversation in ("c1", "c2", "c3"):
        met = [event for batch in bench.handler.batches for event in batch if event.startswith(conversation)]
        assert met == [f"{conversation}-{rev}" for rev in (1, 2, 3)]
    assert len(bench.audits) == 9
    assert sorted(bench.offered) == sorted(f"a-{audit['event']['id']}" for audit in bench.audits)
    assert bench.recorder.counts[Metric.RECEIVED.value] == 9


async def test_a_lane_takes_all_waiting_entries_up_to_its_maximum() -> None:
    bench = ConsumerBench(FakeClock(), lanes=1, batch_max=15)
    bench.handler.gate = asyncio.Event()
    for rev in range(1, 32):
        bench.queue.send(body("c1", rev))
    bench.start()
    await until(lambda: len(bench.in_flight) == 31)
    bench.handler.gate.set()
    await bench.drained()
    assert [len(batch) for batch in bench.handler.batches] == [15, 15, 1]
    await bench.stop()


async def test_malformed_and_unsupported_messages_do_not_wait_for_the_store(bench: ConsumerBench) -> None:
    bench.handler.gate = asyncio.Event()
    bench.queue.send(body("c1"))
    bench.queue.send("{nonsense")
    bench.queue.send(FOREIGN)
    bench.start()
    # The event's lane waits for the store. The lanes of the other two do not.
    await until(lambda: bench.queue.left == ["m1"])
    assert [letter.attributes["error_code"]["StringValue"] for letter in bench.queue.dead] == ["NOT_JSON"]
    await until(lambda: bench.recorder.total(Metric.UNSUPPORTED) == 1)
    (audit,) = bench.audits
    assert audit["reasons"] == [{"action": "SKIP_SYNC", "code": "UNSUPPORTED_EVENT", "meta": {}}]
    bench.handler.gate.set()
    await bench.drained()


@pytest.mark.parametrize("fifo", [False, True])
async def test_own_syncs_end_without_the_handler(fifo: bool) -> None:
    """On a FIFO queue each keeps its place in its group; on both kinds none is part of a batch."""
    bench = ConsumerBench(FakeClock(), fifo=fifo, lanes=1)
    for side in ("conversation", "work-item"):
        message = own_sync(side)
        bench.queue.send(text(notification(message)), group="c-1")
        bench.queue.send(text(message), group="c-1")
    bench.start()
    await bench.drained()
    assert bench.handler.batches == []
    assert bench.recorder.total(Metric.BATCH_SIZE) == 0
    assert bench.recorder.total(Metric.OUTCOME) == 4
    assert bench.recorder.total(Metric.LAG) == 4
    whole = [own_sync_ending(read(own_sync(side)), planning=PLANNING).audit.as_wire() for side in SIDES]
    names = [line["event"]["name"] for line in whole]
    assert sorted(audit["event"]["name"] for audit in bench.audits) == sorted([*names, *names])
    for line in whole:
        told = [audit for audit in bench.audits if audit["event"] == line["event"]]
        assert [{name: audit[name] for name in line if name not in {"dd", "lagMs"}} for audit in told] == [
            {name: value for name, value in line.items() if name not in {"dd", "lagMs"}}
        ] * 2
    await bench.stop()


async def test_on_a_fifo_queue_an_own_sync_waits_for_the_message_before_it() -> None:
    bench = ConsumerBench(FakeClock(), fifo=True, lanes=1)
    bench.handler.contend("c-1")
    bench.queue.send(body("c-1", 7), group="c-1")
    bench.queue.send(text(own_sync()), group="c-1")
    bench.start()
    await until(lambda: bench.handler.retried == ["c-1"])
    assert bench.queue.left == ["m1", "m2"]
    bench.handler.release("c-1")
    await bench.drained()
    assert [audit["event"]["rev"] for audit in bench.audits] == [7, 2]
    await bench.stop()


async def test_while_the_store_is_away_nothing_is_settled_and_receiving_pauses() -> None:
    bench = ConsumerBench(FakeClock())
    bench.handler.away = 10
    bench.queue.send(body("c1"))
    bench.start()
    await run_ready_tasks()
    bench.queue.send(body("c2"))
    # The long poll under way returns its message. The next one waits for the store.
    await bench.clock.advance(5)
    assert bench.queue.left == ["m1", "m2"]
    assert not bench.health.report()["checks"]["store"]["ok"]
    assert bench.recorder.counts[Metric.STORE_PAUSE.value] == 1
    assert [action for action, _ in bench.queue.calls if action != "receive"] == []
    polls = len(bench.queue.calls)
    await bench.clock.advance(5)
    assert len(bench.queue.calls) == polls
    await bench.clock.advance(60)
    await bench.drained()
    assert bench.health.report()["ready"]
    assert bench.queue.dead == []
    assert bench.recorder.counts[Metric.STORE_PAUSE.value] == 1
    await bench.stop()


async def test_lanes_resume_when_another_part_finds_the_store_back() -> None:
    bench = ConsumerBench(FakeClock())
    bench.handler.away = 1
    bench.queue.send(body("c1"))
    bench.start()
    await run_ready_tasks()
    assert bench.queue.left == ["m1"]
    bench.store_availability.mark_back()
    await bench.drained()
    await bench.stop()


async def test_an_unexpected_error_sends_back_its_own_conversation_only() -> None:
    bench = ConsumerBench(FakeClock(), lanes=1)
    bench.handler.faulty = {"c2"}
    for conversation in ("c1", "c2", "c3"):
        bench.queue.send(body(conversation))
    bench.start()
    await until(lambda: bench.queue.left == ["m2"])
    outcomes = {audit["conversationId"]: audit["outcome"] for audit in bench.audits}
    assert outcomes == {"c1": "skipped", "c2": "failed", "c3": "skipped"}
    fault = next(said for said in bench.recorder.lines if said["msg"] == "a batch met a fault in our code")
    assert fault["error"] == "KeyError"
    assert any("handle" in frame for frame in fault["stack"])
    assert "words" not in str(bench.recorder.lines)
    await bench.stop()


async def test_an_unexpected_error_leaves_the_endings_that_events_have() -> None:
    """On a FIFO queue a sync of our own shares its conversation's lane, and ends before the store is asked."""
    bench = ConsumerBench(FakeClock(), fifo=True, lanes=1)
    bench.handler.gate = asyncio.Event()
    bench.handler.faulty = {"c1"}
    bench.queue.send(own("c1"), group="c1")
    bench.queue.send(body("c1", 2), group="c1")
    bench.start()
    await until(lambda: len(bench.in_flight) == 2)
    bench.handler.gate.set()
    await until(lambda: bench.queue.left == ["m2"])
    assert [(audit["event"]["rev"], audit["outcome"]) for audit in bench.audits] == [(1, "skipped"), (2, "failed")]
    assert bench.recorder.total(Metric.BATCH_FAULT) == 1
    await bench.stop()


async def test_receivers_wait_with_a_growing_delay_while_the_queue_is_away() -> None:
    clock = FakeClock()
    bench = ConsumerBench(clock)
    bench.queue.refuse("receive", *[QueueAway("connection refused")] * 5)
    bench.queue.send(body("c1"))
    bench.start()
    await until(lambda: bench.recorder.total(Metric.QUEUE_AWAY) == 1)
    assert not bench.health.report()["checks"]["queue"]["ok"]
    await clock.advance(18)
    await bench.drained()
    assert clock.slept[:5] == [0.75, 1.5, 3, 6, 6]
    assert bench.health.report()["ready"]
    await bench.stop()


async def test_fifo_a_message_that_waits_behind_one_that_goes_back_goes_back_too() -> None:
    bench = ConsumerBench(FakeClock(), fifo=True, lanes=1, batch_max=2)
    bench.handler.gate = asyncio.Event()
    bench.handler.back = {"c1-2"}
    for rev in range(1, 5):
        bench.queue.send(body("c1", rev), group="c1")
    bench.start()
    await until(lambda: len(bench.in_flight) == 4)
    bench.handler.gate.set()
    await until(lambda: len(bench.in_flight) == 0)
    assert bench.queue.left == ["m2", "m3", "m4"]
    assert bench.handler.batches == [["c1-1", "c1-2"]]
    name = f"{Metric.OUTCOME.value} event=kustomer.conversation.update outcome=retry reason=EARLIER_OF_GROUP_WENT_BACK"
    await until(lambda: bench.recorder.counts[name] == 2)
    bench.handler.back = set()
    await bench.clock.advance(60)
    await bench.drained()
    assert bench.handler.batches[1:] == [["c1-2", "c1-3"], ["c1-4"]]
    await bench.stop()


async def test_idle_waits_for_the_batch_under_way(bench: ConsumerBench) -> None:
    bench.handler.gate = asyncio.Event()
    bench.queue.send(body("c1"))
    bench.start()
    await until(lambda: len(bench.in_flight) == 1)
    idle = asyncio.ensure_future(bench.lanes.idle())
    await run_ready_tasks()
    assert not idle.done()
    bench.handler.gate.set()
    await idle
    assert bench.queue.left == []


@pytest.mark.parametrize("fifo", [False, True])
async def test_a_dead_letter_queue_that_refuses_delays_no_other_message(fifo: bool) -> None:
    bench = ConsumerBench(FakeClock(), fifo=fifo, batch_max=1)
    bench.queue.refuse("dead_letter", *[RefusedEntry(code="Throttled", reason="", final=False)] * 50)
    for sent in ("{nonsense", own("c1"), FOREIGN):
        bench.queue.send(sent)
    bench.start()
    await run_ready_tasks()
    assert bench.queue.left == ["m1"]
    await bench.stop()
