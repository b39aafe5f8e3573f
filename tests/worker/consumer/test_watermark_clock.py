"""The watermark call by call: SQS's clock by its responses, the machine's clocks, polls that hang or end too early."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

import pytest
from msgspec.structs import replace

from tests.worker.consumer.consumer_bench import body
from tests.worker.consumer.watermark_bench import BEHIND_S, watermark_bench
from tests.worker.stand_ins.fake_clock import FakeClock, run_ready_tasks
from tests.worker.stand_ins.telemetry_recorder import TelemetryRecorder, runtime_of
from worker.consumer.in_flight import InFlight
from worker.consumer.watermark import NoWatermark, QueueWatermark
from worker.ports.message_queue import Message, ReceiveResponse

CLOCK_S = 1
"""A `Date` header is cut to the second, so a worker's idea of SQS's clock is behind by so much at most."""


@pytest.mark.parametrize("ahead_s", [-1_200, -180, 180, 1_200])
async def test_a_wrong_clock_of_the_worker_plays_no_part(ahead_s: int) -> None:
    async with watermark_bench() as bench:
        bench.queue.ahead = timedelta(seconds=-ahead_s)
        await bench.wait(90)
        assert bench.is_in_time()
        bench.publish(body("c1"))
        await bench.wait(30)
        assert bench.is_in_time()
        now = bench.worker.watermark.now()
        assert timedelta() <= bench.queue.now - now < timedelta(seconds=CLOCK_S)


class SingleWatermark:
    """A watermark whose receive calls the test makes."""

    def __init__(self) -> None:
        self.clock, self.recorder = FakeClock(), TelemetryRecorder()
        self.in_flight = InFlight(count_max=100, bytes_max=1_000_000, visibility_timeout_s=30, clock=self.clock)
        self.runtime = runtime_of(self.clock, self.recorder)
        self.watermark = QueueWatermark(gap_s=60, in_flight=self.in_flight, runtime=self.runtime)
        self.ahead = timedelta()

    @property
    def queue_now(self) -> datetime:
        return self.clock.now() + self.ahead

    def message(self, *, receive_count: int = 1) -> Message:
        return Message(
            id="m",
            receipt="r",
            body="{}",
            attributes={},
            receive_count=receive_count,
            sent_at=self.queue_now,
            received_at=self.clock.now(),
        )

    async def poll(self, *messages: Message, seconds: float = 20) -> None:
        """A receive call that takes so long."""
        began_at = self.watermark.call_began()
        await self.clock.advance(seconds)
        self.watermark.call_ended(began_at, ReceiveResponse(messages=messages, date=self.queue_now))

    async def poll_dated_at_its_beginning(self, *messages: Message, seconds: float = 20) -> None:
        """A receive call whose response has the time at which SQS took it, as that of LocalStack has."""
        began_at, date = self.watermark.call_began(), self.queue_now
        await self.clock.advance(seconds)
        self.watermark.call_ended(began_at, ReceiveResponse(messages=messages, date=date))

    async def warm_up(self) -> None:
        """Receive until there is a watermark."""
        for _ in range(7):
            await self.poll(self.message(), seconds=3)
            await self.poll()
        assert not isinstance(self.watermark.reading(), NoWatermark)


@pytest.fixture
async def single() -> AsyncIterator[SingleWatermark]:
    single = SingleWatermark()
    looking = asyncio.create_task(single.watermark.run())
    await run_ready_tasks()
    yield single
    looking.cancel()
    await asyncio.wait([looking])


@pytest.mark.parametrize("seconds", [11, 300])
@pytest.mark.parametrize("how", ["stopped", "suspended"])
async def test_a_process_that_was_asleep_during_a_poll_does_not_trust_its_response(
    single: SingleWatermark, how: str, seconds: int
) -> None:
    """A suspended machine's monotonic clock stands still. The response was made before the process slept."""
    await single.warm_up()
    began_at = single.watermark.call_began()
    await single.clock.advance(5)
    date = single.queue_now
    if how == "stopped":
        single.clock.stop(seconds)
    else:
        single.clock.put(seconds)
    # Shorter than a long poll and its answer may take, where the process slept for eleven seconds.
    await single.clock.advance(4)
    single.watermark.call_ended(began_at, ReceiveResponse(date=date))
    assert single.watermark.reading() is NoWatermark.BACKLOG_UNKNOWN
    # Nor does it set SQS's clock back.
    assert timedelta() <= abs(single.queue_now - single.watermark.now()) < timedelta(seconds=CLOCK_S)
    await single.poll(single.message(), seconds=1)
    await single.poll()
    assert (single.watermark.reading() is NoWatermark.SILENCE) == (seconds > 60)


async def test_a_machines_clock_that_is_set_back_changes_nothing(single: SingleWatermark) -> None:
    await single.warm_up()
    before = single.watermark.now()
    single.clock.put(-3_600)
    single.ahead = timedelta(hours=1)
    await single.clock.advance(1)
    assert single.watermark.now() - before == timedelta(seconds=1)
    assert not isinstance(single.watermark.reading(), NoWatermark)


async def test_a_poll_that_does_not_return_is_a_queue_that_is_away(single: SingleWatermark) -> None:
    await single.warm_up()
    began_at = single.watermark.call_began()
    await single.clock.advance(29)
    assert not isinstance(single.watermark.reading(), NoWatermark)
    await single.clock.advance(2)
    assert single.watermark.reading() is NoWatermark.QUEUE_AWAY
    single.watermark.call_ended(began_at, ReceiveResponse(date=single.queue_now))
    assert single.watermark.reading() is NoWatermark.BACKLOG_UNKNOWN


async def test_the_age_of_a_message_in_flight_counts_up_to_now(single: SingleWatermark) -> None:
    await single.warm_up()
    await single.in_flight.reserve(1)
    await single.poll(single.message(), seconds=0)
    message = single.message()
    await single.in_flight.add([replace(message, sent_at=message.sent_at - timedelta(seconds=5))], reserved=1)
    single.watermark.call_began()
    # The process last looked 0.9 s ago.
    await single.clock.advance(25.9)
    watermark = single.watermark.current()
    assert watermark is not None
    assert single.watermark.now() - watermark == timedelta(seconds=BEHIND_S + 30.9)


async def test_an_empty_response_that_comes_at_once_is_no_empty_poll(single: SingleWatermark) -> None:
    """One of SQS's servers may have answered for itself."""
    await single.poll(single.message(), seconds=1)
    for _ in range(5):
        await single.poll(seconds=1)
    assert single.watermark.reading() is NoWatermark.BACKLOG_UNKNOWN
    await single.poll()
    assert single.watermark.reading() is NoWatermark.SILENCE


async def test_before_the_first_response_the_queues_clock_is_the_machines(single: SingleWatermark) -> None:
    single.ahead = timedelta(minutes=3)
    assert single.watermark.now() == single.clock.now()
    await single.poll(seconds=1)
    assert single.watermark.now() == single.queue_now
    await single.clock.advance(7)
    assert single.watermark.now() == single.queue_now


async def test_a_date_that_is_read_late_does_not_set_the_queues_clock_back(single: SingleWatermark) -> None:
    await single.poll(seconds=1)
    for late_s in (1.5, 0.5, 1.9):
        began_at = single.watermark.call_began()
        await single.clock.advance(1)
        single.watermark.call_ended(began_at, ReceiveResponse(date=single.queue_now - timedelta(seconds=late_s)))
        assert single.watermark.now() == single.queue_now
    # A server whose clock differs by more is believed.
    single.ahead = timedelta(seconds=-10)
    await single.poll(seconds=1)
    assert single.watermark.now() == single.queue_now


async def test_a_date_from_the_beginning_of_a_long_poll_does_not_set_the_queues_clock_back(
    single: SingleWatermark,
) -> None:
    await single.warm_up()
    for _ in range(3):
        await single.poll_dated_at_its_beginning()
        assert single.watermark.now() == single.queue_now
    assert single.watermark.reading() is not NoWatermark.BACKLOG_UNKNOWN


@pytest.mark.parametrize("calls_s", [(14,), (17, 14), (16, 15, 14.5)])
async def test_a_clock_that_long_polls_held_back_leaps_and_voids_what_was_known_of_the_backlog(
    single: SingleWatermark, calls_s: Sequence[float]
) -> None:
    """A pair that began to wait before the leap has an earlier time than it should, and would be decided too early."""
    for _ in range(4):
        await single.poll_dated_at_its_beginning(single.message())
    assert single.queue_now - single.watermark.now() == timedelta(seconds=20)
    for seconds in calls_s:
        assert single.watermark.reading() is not NoWatermark.BACKLOG_UNKNOWN
        await single.poll_dated_at_its_beginning(single.message(), seconds=seconds)
        assert single.queue_now - single.watermark.now() == timedelta(seconds=seconds)
    assert single.watermark.reading() is NoWatermark.BACKLOG_UNKNOWN


async def test_servers_whose_clocks_differ_by_seconds_cost_no_watermark(single: SingleWatermark) -> None:
    await single.warm_up()
    for number in range(100):
        single.ahead = timedelta(seconds=4 * (number % 2))
        await single.poll(single.message(), seconds=0.5)
        assert isinstance(single.watermark.reading(), datetime)


async def test_a_machines_clock_that_is_set_forward_does_not_set_sqs_clock_ahead(single: SingleWatermark) -> None:
    """It counts as a sleep, and long polls alone would explain it."""
    await single.warm_up()
    single.clock.put(15)
    single.ahead -= timedelta(seconds=15)
    for _ in range(3):
        await single.poll(single.message())
    assert single.watermark.now() == single.queue_now


@pytest.mark.parametrize("jump_s", [300, -300])
async def test_a_jump_of_the_queues_clock_voids_what_was_known_of_the_backlog(
    single: SingleWatermark, jump_s: int
) -> None:
    """The machine was suspended without a trace, or one response's `Date` is wrong."""
    await single.warm_up()
    single.ahead = timedelta(seconds=jump_s)
    await single.poll(single.message(), seconds=1)
    assert single.watermark.reading() is NoWatermark.BACKLOG_UNKNOWN
    single.ahead = timedelta()
    await single.poll()
    assert single.watermark.reading() is NoWatermark.BACKLOG_UNKNOWN
    await single.poll(single.message(), seconds=3)
    await single.poll()
    watermark = single.watermark.current()
    assert watermark is not None
    assert single.queue_now - watermark >= timedelta(seconds=BEHIND_S)
