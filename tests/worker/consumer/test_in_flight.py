"""Messages in flight: limited in number, and kept hidden from other workers."""

import asyncio

import pytest

from tests.worker.stand_ins.fake_clock import FakeClock, run_ready_tasks
from tests.worker.stand_ins.message_queue import LATER, NEVER, StandInQueue
from tests.worker.stand_ins.telemetry_recorder import TelemetryRecorder, runtime_of
from worker.consumer.in_flight import InFlight
from worker.consumer.visibility import VisibilityExtender
from worker.errors import QueueAway
from worker.ports.message_queue import Message
from worker.telemetry.metrics import Metric


class InFlightBench:
    """Messages received from a queue with a visibility timeout of 60 s, and the visibility extender."""

    def __init__(self) -> None:
        self.clock, self.recorder = FakeClock(), TelemetryRecorder()
        self.queue = StandInQueue(self.clock)
        self.in_flight = InFlight(count_max=30, bytes_max=1_000_000, visibility_timeout_s=60, clock=self.clock)
        runtime = runtime_of(self.clock, self.recorder)
        self.store = runtime.store_availability
        self.extender = VisibilityExtender(
            queue=self.queue,
            queue_attributes=self.queue.attributes,
            in_flight=self.in_flight,
            gap_s=90,
            runtime=runtime,
        )

    async def take(self, count: int, body: str = "x") -> list[Message]:
        for _ in range(count):
            self.queue.send(body)
        received: list[Message] = []
        while len(received) < count:
            await self.in_flight.reserve(10)
            some = (await self.queue.receive(wait_s=0)).messages
            await self.in_flight.add(some, reserved=10)
            received.extend(some)
        return received


@pytest.fixture
def bench() -> InFlightBench:
    return InFlightBench()


async def test_receivers_wait_while_too_many_messages_are_in_flight(bench: InFlightBench) -> None:
    messages = await bench.take(25)
    waiting = asyncio.create_task(bench.in_flight.reserve(10))
    await run_ready_tasks()
    assert not waiting.done()
    await bench.in_flight.release(message.receipt for message in messages[:4])
    await run_ready_tasks()
    assert not waiting.done()
    await bench.in_flight.release(message.receipt for message in messages[:5])
    await waiting


@pytest.mark.parametrize("body", ["x" * 400_000, "\U0001f600" * 100_000], ids=["ASCII", "four bytes a character"])
async def test_receivers_wait_while_too_many_bytes_are_in_flight(bench: InFlightBench, body: str) -> None:
    messages = await bench.take(4, body)
    waiting = asyncio.create_task(bench.in_flight.reserve(10))
    for _ in range(2):
        # The second time the delivery is unknown.
        await bench.in_flight.release([messages[0].receipt])
        await run_ready_tasks()
        assert not waiting.done()
    await bench.in_flight.release([messages[1].receipt])
    await asyncio.wait_for(waiting, timeout=1)


async def test_a_message_above_the_limit_of_bytes_is_received(bench: InFlightBench) -> None:
    for _ in range(3):
        [message] = await bench.take(1, "x" * 2_000_000)
        await bench.in_flight.release([message.receipt])


async def test_a_reservation_counts_until_it_is_cancelled(bench: InFlightBench) -> None:
    for _ in range(3):
        await bench.in_flight.reserve(10)
    waiting = asyncio.create_task(bench.in_flight.reserve(10))
    await run_ready_tasks()
    assert not waiting.done()
    await bench.in_flight.cancel_reservation(10)
    await waiting


async def test_a_receiver_cancelled_while_it_reserves_leaves_no_reservation(bench: InFlightBench) -> None:
    await bench.take(25)
    waiting = asyncio.create_task(bench.in_flight.reserve(10))
    await run_ready_tasks()
    waiting.cancel()
    await asyncio.wait([waiting])
    await asyncio.wait_for(bench.in_flight.reserve(5), timeout=1)


async def test_visibility_is_extended_in_batches_of_ten_once_half_of_the_timeout_is_over(bench: InFlightBench) -> None:
    await bench.take(25)
    beating = asyncio.create_task(bench.extender.run())
    await bench.clock.advance(29)
    assert bench.queue.hidden == []
    await bench.clock.advance(1)
    assert [entries for action, entries in bench.queue.calls if action == "hide"] == [10, 10, 5]
    # During an hour, as in an outage of the store, no other worker could receive any of them.
    await bench.clock.advance(3_600)
    assert all(bench.queue.visible_in_seconds(one) >= 20 for one in bench.queue.left)
    assert bench.recorder.gauges[Metric.IN_HAND.value] == 25
    beating.cancel()


async def test_a_settled_message_is_not_extended(bench: InFlightBench) -> None:
    messages = await bench.take(2)
    await bench.in_flight.release([messages[0].receipt])
    await bench.clock.advance(40)
    await bench.extender.extend_due()
    assert [hide.receipt for hide in bench.queue.hidden] == [messages[1].receipt]


async def test_a_failed_extension_is_repeated_in_the_next_round(bench: InFlightBench) -> None:
    await bench.take(2)
    bench.queue.refuse("hide", QueueAway("away"), LATER)
    await bench.clock.advance(30)
    await bench.extender.extend_due()
    assert bench.queue.hidden == []
    await bench.extender.extend_due()
    await bench.extender.extend_due()
    assert len(bench.queue.hidden) == 2
    assert bench.recorder.total(Metric.VISIBILITY_LOST) == 0


async def test_lost_visibility_is_counted_once_and_the_message_stays_in_flight(bench: InFlightBench) -> None:
    await bench.take(1)
    bench.queue.refuse("hide", NEVER)
    await bench.clock.advance(30)
    for _ in range(3):
        await bench.extender.extend_due()
    assert bench.recorder.total(Metric.VISIBILITY_LOST) == 1
    assert len(bench.in_flight) == 1


async def test_visibility_that_expires_while_the_queue_is_away_is_counted_once_and_extended_later(
    bench: InFlightBench,
) -> None:
    await bench.take(12)
    bench.queue.refuse("hide", *[QueueAway("away")] * 8)
    for seconds, lost in ((30, 0), (29, 0), (1, 12), (5, 12)):
        await bench.clock.advance(seconds)
        await bench.extender.extend_due()
        assert bench.recorder.total(Metric.VISIBILITY_LOST) == lost
    await bench.extender.extend_due()
    assert len(bench.queue.hidden) == 12
    assert bench.recorder.total(Metric.VISIBILITY_LOST) == 12


@pytest.mark.parametrize("jump_seconds", [-86_400, -5, 3_600])
async def test_setting_the_clock_does_not_expire_visibility(bench: InFlightBench, jump_seconds: float) -> None:
    await bench.take(2)
    await bench.clock.advance(10)
    bench.clock.put(jump_seconds)
    await bench.extender.extend_due()
    assert bench.queue.hidden == []
    await bench.clock.advance(20)
    await bench.extender.extend_due()
    assert len(bench.queue.hidden) == 2
