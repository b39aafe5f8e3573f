"""An outage of the store: no message stays hidden for longer than half the gap, and none is used up by it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.worker.consumer.consumer_bench import ConsumerBench, body
from tests.worker.stand_ins.fake_clock import FakeClock, run_ready_tasks
from worker.errors import QueueAway
from worker.telemetry.metrics import Metric

HALF_A_GAP_S = 30


class OutageBench(ConsumerBench):
    """A consumer with one lane, whose extender looks every ten seconds. `away` makes the store fail until further
    notice."""

    def __init__(self, *, fifo: bool = False, receive_count_max: int = 10) -> None:
        super().__init__(FakeClock(), fifo=fifo, lanes=1, batch_max=1, receive_count_max=receive_count_max)
        self.start(self.watermark.run(), self.extender.run())

    def away(self) -> None:
        self.handler.away = 1_000_000

    async def back(self) -> None:
        """The store is back, and the next try of a lane finds it."""
        self.handler.away = 0
        await self.clock.advance(8)
        assert not self.store_availability.is_away

    def hidden(self) -> list[str]:
        return [one for one in self.queue.left if self.queue.visible_in_seconds(one) > 0]

    @property
    def handed_back(self) -> int:
        return self.recorder.counts[Metric.HANDED_BACK.value]


@pytest.fixture
async def bench() -> AsyncIterator[OutageBench]:
    bench = OutageBench()
    yield bench
    await bench.stop()


async def test_messages_are_handed_back_before_half_the_gap_is_over_and_received_again_after_the_outage(
    bench: OutageBench,
) -> None:
    bench.away()
    for number in range(12):
        bench.queue.send(body(f"c{number}"))
    await bench.clock.advance(19)
    assert len(bench.hidden()) == 12
    await bench.clock.advance(HALF_A_GAP_S - 19)
    assert (bench.hidden(), len(bench.queue.left), len(bench.in_flight)) == ([], 12, 0)
    assert bench.handed_back == 12
    assert bench.recorder.messages.count("store away, messages handed back to other workers") == 2
    # Nobody receives, so SQS counts no receipt.
    await bench.clock.advance(600)
    assert bench.handed_back == 12
    assert bench.handler.batches == []
    await bench.back()
    await bench.drained()
    assert {event for batch in bench.handler.batches for event in batch} == {f"c{number}-1" for number in range(12)}
    assert bench.queue.dead == []


async def test_a_message_that_was_handed_back_is_settled_by_its_next_delivery_alone(bench: OutageBench) -> None:
    bench.away()
    bench.queue.send(body("c1"))
    bench.queue.send(body("c2"))
    await bench.clock.advance(100)
    await bench.back()
    await bench.drained()
    # The lane held the first message's batch and handles it. The second message waited, and the lane has dropped it.
    assert sorted(event for batch in bench.handler.batches for event in batch) == ["c1-1", "c1-1", "c2-1"]
    assert sum(entries for action, entries in bench.queue.calls if action == "delete") == 2
    assert bench.recorder.total(Metric.UNSETTLED) == 0


async def test_while_the_store_works_no_message_is_handed_back(bench: OutageBench) -> None:
    bench.handler.gate = asyncio.Event()
    for number in range(200):
        bench.queue.send(body(f"c{number}"))
    await bench.clock.advance(600)
    # There is no room for more, so no poll is open.
    assert not bench.in_flight.is_receiving
    assert (len(bench.hidden()), bench.handed_back) == (200, 0)


async def test_a_message_received_during_the_outage_is_handed_back_in_its_turn(bench: OutageBench) -> None:
    bench.away()
    bench.queue.send(body("c1"))
    await bench.clock.advance(15)
    # The long poll that was open when the store went away.
    bench.queue.send(body("c2"))
    await bench.clock.advance(13)
    assert bench.hidden() == ["m2"]
    await bench.clock.advance(17)
    assert bench.hidden() == []


async def test_nothing_is_handed_back_while_a_poll_could_fetch_it_again() -> None:
    bench = OutageBench()
    bench.handler.gate = asyncio.Event()
    bench.queue.send(body("c1"))
    await bench.clock.advance(29)
    # Hidden for long enough, and the store goes away while a long poll is nine seconds old.
    bench.away()
    bench.handler.gate.set()
    await bench.clock.advance(3)
    assert (bench.store_availability.is_away, bench.handed_back, bench.in_flight.is_receiving) == (True, 0, True)
    await bench.clock.advance(18)
    assert (bench.handed_back, bench.hidden()) == (1, [])
    await bench.stop()


async def test_room_in_flight_that_a_hand_back_makes_is_not_filled_during_the_outage() -> None:
    bench = OutageBench()
    bench.handler.gate = asyncio.Event()
    for number in range(220):
        bench.queue.send(body(f"c{number}"))
    await bench.clock.advance(1)
    assert len(bench.in_flight) == 200
    bench.away()
    bench.handler.gate.set()
    await bench.clock.advance(60)
    assert (len(bench.in_flight), bench.hidden(), len(bench.queue.left)) == (0, [], 220)
    await bench.stop()


async def test_a_store_that_takes_reads_and_refuses_writes_is_one_outage(bench: OutageBench) -> None:
    """Reads that succeed end the outage for a moment, and receivers receive."""
    bench.away()
    bench.queue.send(body("c1"))
    for _ in range(120):
        await bench.clock.advance(5)
        bench.store_availability.mark_back()
    await bench.clock.advance(5)
    assert bench.handed_back == 1
    assert bench.queue.left == ["m1"]


@pytest.mark.parametrize(("receive_count_max", "expected"), [(10, 3), (3, 2), (1, 0)])
async def test_a_message_is_handed_back_once_an_outage_but_not_if_received_often_or_for_the_last_time(
    receive_count_max: int, expected: int
) -> None:
    bench = OutageBench(receive_count_max=receive_count_max)
    bench.queue.send(body("c1"))
    for outage in range(1, 6):
        gate, bench.handler.gate = bench.handler.gate, None
        bench.away()
        if gate is not None:
            gate.set()
        await bench.clock.advance(100)
        assert bench.handed_back == min(outage, expected)
        # The message is received again, and the lane is busy until the next outage.
        bench.handler.away, bench.handler.gate = 0, asyncio.Event()
        bench.store_availability.mark_back()
        await bench.clock.advance(HALF_A_GAP_S + 12)
        assert bench.hidden() == ["m1"]
    await bench.stop()


async def test_fifo_a_message_group_is_handed_back_whole_or_not_at_all() -> None:
    bench = OutageBench(fifo=True, receive_count_max=2)
    bench.handler.back = {"c1-1"}
    bench.queue.send(body("c1", 1), group="g1")
    await bench.clock.advance(0.1)
    bench.away()
    bench.queue.send(body("c1", 2), group="g1")
    bench.queue.send(body("c2", 1), group="g2")
    await bench.clock.advance(60)
    # m1 was received twice, which is its last time. m2 must not overtake it.
    assert (bench.hidden(), bench.handed_back) == (["m1", "m2"], 1)
    await bench.stop()


async def test_if_sqs_is_away_too_the_visibility_timeout_hands_back(bench: OutageBench) -> None:
    bench.away()
    bench.queue.send(body("c1"))
    await bench.clock.advance(15)
    bench.queue.refuse("hide", *[QueueAway("connection refused")] * 3)
    await bench.clock.advance(15)
    assert "not handed back, left to the visibility timeout" in bench.recorder.messages
    await bench.clock.advance(60)
    assert bench.hidden() == []


async def test_a_hand_back_is_not_undone_by_an_extension(bench: OutageBench) -> None:
    bench.away()
    bench.queue.send(body("c1"))
    await bench.clock.advance(600)
    await run_ready_tasks()
    assert [hide.timeout_s for hide in bench.queue.hidden][-1] == 0
