"""What is in hand: bounded, and kept hidden from other workers."""

import asyncio

import pytest

from tests.worker.fake_clock import FakeClock, breathe
from tests.worker.stand_in_queue import LATER, NEVER, StandInQueue
from tests.worker.telemetry_recorder import TelemetryRecorder
from worker.consumer.in_flight import InFlight
from worker.consumer.visibility import VisibilityExtender
from worker.errors import QueueAway
from worker.ports import Message
from worker.telemetry.metrics import Metric


class Hand:
    """Messages taken from a queue of 60 s visibility, and the heartbeat that keeps them."""

    def __init__(self) -> None:
        self.clock, self.ear = FakeClock(), TelemetryRecorder()
        self.queue = StandInQueue(self.clock)
        self.in_flight = InFlight(count_max=30, visibility_seconds=60, clock=self.clock)
        self.heartbeat = VisibilityExtender(
            queue=self.queue, in_flight=self.in_flight, clock=self.clock, telemetry=self.ear.telemetry
        )

    async def take(self, count: int) -> list[Message]:
        for _ in range(count):
            self.queue.send("x")
        received: list[Message] = []
        while len(received) < count:
            await self.in_flight.reserve(10)
            some = await self.queue.receive(wait_seconds=0)
            await self.in_flight.take(some, reserved=10)
            received.extend(some)
        return received


@pytest.fixture
def hand() -> Hand:
    return Hand()


async def test_receivers_wait_while_too_much_is_in_hand(hand: Hand) -> None:
    messages = await hand.take(25)
    waiting = asyncio.create_task(hand.in_flight.reserve(10))
    await breathe()
    assert not waiting.done()
    await hand.in_flight.release(message.receipt for message in messages[:4])
    await breathe()
    assert not waiting.done()
    await hand.in_flight.release(message.receipt for message in messages[:5])
    await waiting


async def test_room_that_is_reserved_counts_until_it_is_given_up(hand: Hand) -> None:
    for _ in range(3):
        await hand.in_flight.reserve(10)
    waiting = asyncio.create_task(hand.in_flight.reserve(10))
    await breathe()
    assert not waiting.done()
    await hand.in_flight.give_up(10)
    await waiting


async def test_a_receiver_cancelled_at_the_door_leaves_no_reservation(hand: Hand) -> None:
    await hand.take(25)
    waiting = asyncio.create_task(hand.in_flight.reserve(10))
    await breathe()
    waiting.cancel()
    await asyncio.wait([waiting])
    await asyncio.wait_for(hand.in_flight.reserve(5), timeout=1)


async def test_visibility_is_extended_in_tens_from_half_of_its_time_on(hand: Hand) -> None:
    await hand.take(25)
    beating = asyncio.create_task(hand.heartbeat.run())
    await hand.clock.advance(29)
    assert hand.queue.hidden == []
    await hand.clock.advance(1)
    assert [entries for action, entries in hand.queue.calls if action == "hide"] == [10, 10, 5]
    # An hour later, as while the store is away, nobody else has seen any of them.
    await hand.clock.advance(3_600)
    assert all(hand.queue.visible_in_seconds(one) >= 20 for one in hand.queue.left)
    assert hand.ear.gauges[Metric.IN_HAND.value] == 25
    beating.cancel()


async def test_what_was_settled_is_not_extended(hand: Hand) -> None:
    messages = await hand.take(2)
    await hand.in_flight.release([messages[0].receipt])
    await hand.clock.advance(40)
    await hand.heartbeat.beat()
    assert [hide.receipt for hide in hand.queue.hidden] == [messages[1].receipt]


async def test_a_failed_beat_is_made_good_by_the_next(hand: Hand) -> None:
    await hand.take(2)
    hand.queue.refuse("hide", QueueAway("away"), LATER)
    await hand.clock.advance(30)
    await hand.heartbeat.beat()
    assert hand.queue.hidden == []
    await hand.heartbeat.beat()
    await hand.heartbeat.beat()
    assert len(hand.queue.hidden) == 2
    assert hand.ear.total(Metric.VISIBILITY_LOST) == 0


async def test_visibility_that_is_lost_is_counted_once_and_the_message_stays_in_hand(hand: Hand) -> None:
    await hand.take(1)
    hand.queue.refuse("hide", NEVER)
    await hand.clock.advance(30)
    for _ in range(3):
        await hand.heartbeat.beat()
    assert hand.ear.total(Metric.VISIBILITY_LOST) == 1
    assert len(hand.in_flight) == 1


async def test_visibility_that_lapses_while_the_queue_is_away_is_counted_once_and_asked_for_again(hand: Hand) -> None:
    await hand.take(12)
    hand.queue.refuse("hide", *[QueueAway("away")] * 8)
    for seconds, lost in ((30, 0), (29, 0), (1, 12), (5, 12)):
        await hand.clock.advance(seconds)
        await hand.heartbeat.beat()
        assert hand.ear.total(Metric.VISIBILITY_LOST) == lost
    await hand.heartbeat.beat()
    assert len(hand.queue.hidden) == 12
    assert hand.ear.total(Metric.VISIBILITY_LOST) == 12


@pytest.mark.parametrize("jump_seconds", [-86_400, -5, 3_600])
async def test_a_clock_that_is_set_does_not_let_visibility_lapse(hand: Hand, jump_seconds: float) -> None:
    await hand.take(2)
    await hand.clock.advance(10)
    hand.clock.put(jump_seconds)
    await hand.heartbeat.beat()
    assert hand.queue.hidden == []
    await hand.clock.advance(20)
    await hand.heartbeat.beat()
    assert len(hand.queue.hidden) == 2
