"""Lanes and receivers: batches by conversation, the store away, a fault in our code, and nothing lost over either."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.worker.consumer.consumer_bench import FOREIGN, Line, body, own
from tests.worker.fake_clock import FakeClock, breathe, until
from worker.consumer.settlement import EARLIER_WENT_BACK
from worker.errors import QueueAway
from worker.ports import RefusedEntry
from worker.telemetry.metrics import Metric


@pytest.fixture
async def line() -> AsyncIterator[Line]:
    line = Line(FakeClock())
    yield line
    await line.stop()


async def test_a_conversation_keeps_to_its_lane_and_its_order(line: Line) -> None:
    for rev in range(1, 4):
        for conversation in ("c1", "c2", "c3"):
            line.queue.send(body(conversation, rev))
    line.start()
    await line.drained()
    for conversation in ("c1", "c2", "c3"):
        met = [event for batch in line.script.batches for event in batch if event.startswith(conversation)]
        assert met == [f"{conversation}-{rev}" for rev in (1, 2, 3)]
    assert len(line.audits) == 9
    assert sorted(line.offered) == sorted(f"a-{line['event']['id']}" for line in line.audits)
    assert line.ear.counts[Metric.RECEIVED.value] == 9


async def test_a_lane_takes_all_that_waits_up_to_its_maximum() -> None:
    line = Line(FakeClock(), lanes=1, batch_max=15)
    line.script.gate = asyncio.Event()
    for rev in range(1, 32):
        line.queue.send(body("c1", rev))
    line.start()
    await until(lambda: len(line.in_flight) == 31)
    line.script.gate.set()
    await line.drained()
    assert [len(batch) for batch in line.script.batches] == [15, 15, 1]
    await line.stop()


async def test_bad_and_foreign_messages_end_at_once_and_harm_nobody(line: Line) -> None:
    line.script.gate = asyncio.Event()
    line.queue.send(body("c1"))
    line.queue.send("{nonsense")
    line.queue.send(FOREIGN)
    line.start()
    # The event's own lane is held up: the other two do not wait for it.
    await until(lambda: line.queue.left == ["m1"])
    assert [letter.attributes["error_code"]["StringValue"] for letter in line.queue.dead] == ["NOT_JSON"]
    await until(lambda: line.ear.total(Metric.UNSUPPORTED) == 1)
    (audit,) = line.audits
    assert audit["reasons"] == [{"action": "SKIP_SYNC", "code": "UNSUPPORTED_EVENT", "meta": {}}]
    line.script.gate.set()
    await line.drained()


async def test_while_the_store_is_away_nothing_is_settled_and_receiving_pauses() -> None:
    line = Line(FakeClock())
    line.script.away = 4
    line.queue.send(body("c1"))
    line.start()
    await breathe()
    line.queue.send(body("c2"))
    # The long poll that was under way is let through; the next one waits.
    await line.clock.advance(5)
    assert line.queue.left == ["m1", "m2"]
    assert not line.health.answer()["checks"]["store"]["ok"]
    assert line.ear.counts[Metric.STORE_PAUSE.value] == 1
    assert [action for action, _ in line.queue.calls if action != "receive"] == []
    polls = len(line.queue.calls)
    await line.clock.advance(5)
    assert len(line.queue.calls) == polls
    await line.clock.advance(60)
    await line.drained()
    assert line.health.answer()["ready"]
    assert line.queue.dead == []
    assert line.ear.counts[Metric.STORE_PAUSE.value] == 1
    await line.stop()


async def test_an_outage_that_somebody_else_sees_end_wakes_the_lanes() -> None:
    line = Line(FakeClock())
    line.script.away = 1
    line.queue.send(body("c1"))
    line.start()
    await breathe()
    assert line.queue.left == ["m1"]
    line.store_availability.ends()
    await line.drained()
    await line.stop()


async def test_a_fault_in_our_code_sends_back_its_own_conversation_only() -> None:
    line = Line(FakeClock(), lanes=1)
    line.script.faulty = {"c2"}
    for conversation in ("c1", "c2", "c3"):
        line.queue.send(body(conversation))
    line.start()
    await until(lambda: line.queue.left == ["m2"])
    outcomes = {audit["conversationId"]: audit["outcome"] for audit in line.audits}
    assert outcomes == {"c1": "skipped", "c2": "failed", "c3": "skipped"}
    fault = next(said for said in line.ear.lines if said["msg"] == "a batch met a fault in our code")
    assert fault["error"] == "KeyError"
    assert any("handle" in frame for frame in fault["stack"])
    assert "words" not in str(line.ear.lines)
    await line.stop()


async def test_the_queue_being_away_is_waited_for_with_a_growing_delay() -> None:
    clock = FakeClock()
    line = Line(clock)
    line.queue.refuse("receive", *[QueueAway("connection refused")] * 5)
    line.queue.send(body("c1"))
    line.start()
    await until(lambda: line.ear.total(Metric.QUEUE_AWAY) == 1)
    assert not line.health.answer()["checks"]["queue"]["ok"]
    await clock.advance(18)
    await line.drained()
    assert clock.slept[:5] == [0.75, 1.5, 3, 6, 6]
    assert line.health.answer()["ready"]
    await line.stop()


async def test_fifo_what_waits_behind_a_message_that_goes_back_goes_back_too() -> None:
    line = Line(FakeClock(), fifo=True, lanes=1, batch_max=2)
    line.script.gate = asyncio.Event()
    line.script.back = {"c1-2"}
    for rev in range(1, 5):
        line.queue.send(body("c1", rev), group="c1")
    line.start()
    await until(lambda: len(line.in_flight) == 4)
    line.script.gate.set()
    await until(lambda: len(line.in_flight) == 0)
    assert line.queue.left == ["m2", "m3", "m4"]
    assert line.script.batches == [["c1-1", "c1-2"]]
    name = f"{Metric.OUTCOME.value} event=kustomer.conversation.update outcome=retry reason={EARLIER_WENT_BACK}"
    await until(lambda: line.ear.counts[name] == 2)
    line.script.back = set()
    await line.clock.advance(60)
    await line.drained()
    assert line.script.batches[1:] == [["c1-2", "c1-3"], ["c1-4"]]
    await line.stop()


async def test_idle_waits_for_the_batch_under_way(line: Line) -> None:
    line.script.gate = asyncio.Event()
    line.queue.send(body("c1"))
    line.start()
    await until(lambda: len(line.in_flight) == 1)
    idle = asyncio.ensure_future(line.lanes.idle())
    await breathe()
    assert not idle.done()
    line.script.gate.set()
    await idle
    assert line.queue.left == []


@pytest.mark.parametrize("fifo", [False, True])
async def test_a_dead_letter_queue_that_refuses_holds_up_nothing_else(fifo: bool) -> None:
    line = Line(FakeClock(), fifo=fifo, batch_max=1)
    line.queue.refuse("dead_letter", *[RefusedEntry(code="Throttled", reason="", final=False)] * 50)
    for text in ("{nonsense", own("c1"), FOREIGN):
        line.queue.send(text)
    line.start()
    await breathe()
    assert line.queue.left == ["m1"]
    await line.stop()
