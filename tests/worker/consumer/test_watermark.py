"""The watermark, in virtual time: nothing sent before it is undelivered, on every second; and when there is none, why.

The consumer is real but for its handler and its queue (`watermark_bench.py`).
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise

import pytest
from msgspec.structs import replace

from tests.worker.consumer.consumer_bench import body
from tests.worker.consumer.watermark_bench import BEHIND_S, watermark_bench
from tests.worker.stand_ins.fake_clock import FakeClock, run_ready_tasks
from tests.worker.stand_ins.telemetry_recorder import TelemetryRecorder, runtime_of
from worker.consumer.in_flight import InFlight
from worker.consumer.watermark import NoWatermark, QueueWatermark
from worker.errors import QueueAway
from worker.ports.message_queue import SENT_LONG_AGO, Message, ReceiveResponse
from worker.telemetry.metrics import Metric

CLOCK_S = 1
"""A `Date` header is cut to the second, so a worker's idea of SQS's clock is behind by so much at most."""


# A quiet system


async def test_a_quiet_system_with_heartbeats_has_a_watermark_a_minute_after_the_first() -> None:
    async with watermark_bench() as bench:
        assert bench.missing() is NoWatermark.BACKLOG_UNKNOWN
        await bench.wait(59)
        assert bench.missing() is NoWatermark.SILENCE
        await bench.wait(2)
        for _ in range(30):
            await bench.wait(10)
            assert bench.is_in_time()


async def test_a_quiet_system_without_heartbeats_has_none() -> None:
    async with watermark_bench(heartbeat_s=0) as bench:
        bench.publish(body("c1"))
        await bench.wait(300)
        assert bench.missing() is NoWatermark.SILENCE
        bench.publish(body("c1", 2))
        # The silence ended less than a minute ago. The next message comes too late to prolong it.
        for _ in range(11):
            await bench.wait(5)
            assert bench.missing() is NoWatermark.SILENCE
        await bench.wait(120)
        assert bench.missing() is NoWatermark.SILENCE


async def test_a_process_that_starts_while_sns_is_silent_has_none() -> None:
    async with watermark_bench() as bench:
        bench.sns_holds = True
        bench.publish(body("c1"))
        await bench.wait(600)
        assert bench.missing() is NoWatermark.SILENCE


@pytest.mark.parametrize("trickle_s", [1, 50])
async def test_while_sns_holds_all_messages_there_is_none_until_a_minute_after(trickle_s: int) -> None:
    async with watermark_bench() as bench:
        await bench.wait(100)
        assert bench.is_in_time()
        bench.sns_holds = True
        for number in range(60):
            bench.publish(body(f"c{number}"))
            await bench.wait(5)
        assert bench.missing() is NoWatermark.SILENCE
        # `wait` checks that no watermark passes what SNS still holds.
        for _ in range(trickle_s):
            bench.deliver(100 // trickle_s)
            await bench.wait(1)
        bench.sns_holds = False
        bench.deliver(1_000)
        await bench.wait(59 - trickle_s if trickle_s < 59 else 1)
        assert bench.missing() is NoWatermark.SILENCE
        await bench.wait(trickle_s + 5)
        assert bench.is_in_time()


async def test_sns_that_begins_to_hold_messages_holds_the_watermark_back_before_it_counts_as_silent() -> None:
    async with watermark_bench(heartbeat_s=10) as bench:
        await bench.wait(100)
        assert bench.is_in_time()
        bench.sns_holds = True
        bench.publish(body("c1"))
        await bench.wait(5)
        # SNS delivers a later message before the one that it holds. `wait` checks that the watermark does not pass it.
        bench.queue.send(body("c2"))
        await bench.wait(50)
        assert bench.missing() is None
        bench.queue.send(body("c3"))
        await bench.wait(55)
        assert bench.missing() is None
        await bench.wait(100)
        assert bench.missing() is NoWatermark.SILENCE


async def test_redeliveries_are_no_sign_that_sns_delivers() -> None:
    async with watermark_bench(heartbeat_s=0) as bench:
        bench.worker.handler.back = {"c1-1"}
        bench.publish(body("c1"))
        await bench.wait(200)
        assert bench.worker.handler.batches.count(["c1-1"]) > 5
        assert bench.missing() is NoWatermark.SILENCE


# The lag


async def test_a_start_into_a_backlog_waits_for_a_minute_and_then_stays_behind_it() -> None:
    async with watermark_bench(lanes=1, batch_max=5) as bench:
        bench.worker.handler.takes = lambda: bench.clock.sleep(1)
        for number in range(600):
            bench.queue.send(body(f"c{number}"), ago=timedelta(seconds=3_600 - 6 * number))
        await bench.wait(59)
        assert bench.missing() is NoWatermark.BACKLOG_UNKNOWN
        await bench.wait(3)
        assert bench.behind_s() > 1_000
        await bench.wait(58)
        # All is delivered now. What was seen last is remembered for a minute.
        assert [left for left in bench.queue.left if left.startswith("c")] == []
        await bench.wait(70)
        assert bench.is_in_time()


@pytest.mark.thorough
async def test_a_queue_that_is_full_for_an_hour_holds_the_watermark_back_all_the_time() -> None:
    """Three events come in ten seconds, and two are handled in eight."""
    async with watermark_bench(lanes=1, batch_max=2) as bench:
        await bench.wait(70)
        bench.worker.handler.takes = lambda: bench.clock.sleep(8)
        readings: list[float] = []
        for number in range(360):
            for part in range(3):
                bench.publish(body(f"c{number}-{part}"))
            await bench.wait(10, step_s=10)
            readings.append(bench.behind_s())
        assert readings[-1] > 600
        assert all(later > earlier - 10 for earlier, later in pairwise(readings))
        bench.worker.handler.takes = None
        await bench.wait(130)
        assert bench.is_in_time()


async def test_a_message_in_flight_holds_the_watermark_back_for_as_long_as_it_is_handled() -> None:
    async with watermark_bench(lanes=1, batch_max=1) as bench:
        await bench.wait(70)
        bench.worker.handler.gate = asyncio.Event()
        bench.publish(body("c1"))
        # Longer than a minute after it was received.
        await bench.wait(200)
        assert BEHIND_S + 199 <= bench.behind_s() <= BEHIND_S + 201
        bench.worker.handler.gate.set()
        await bench.wait(1)
        # It might go back to the queue instead: its age is remembered.
        assert bench.behind_s() > BEHIND_S + 199
        await bench.wait(61)
        assert bench.is_in_time()


async def test_a_message_that_goes_back_after_a_long_time_is_not_passed() -> None:
    async with watermark_bench(lanes=1, batch_max=1) as bench:
        await bench.wait(70)
        bench.worker.handler.back = {"c1-1"}
        bench.worker.handler.takes = lambda: bench.clock.sleep(150)
        bench.publish(body("c1"))
        # `wait` checks it between its deliveries, too.
        await bench.wait(330)
        assert bench.worker.handler.batches.count(["c1-1"]) == 2


async def test_a_message_that_always_fails_does_not_hold_the_watermark_back_for_ever() -> None:
    async with watermark_bench() as bench:
        bench.worker.handler.back = {"c1-1"}
        await bench.wait(70)
        bench.publish(body("c1"))
        await bench.wait(130)
        assert bench.is_in_time()
        assert bench.queue.left != []


async def test_a_redriven_event_holds_nothing_back() -> None:
    """Published two hours ago, it is new to the queue, every 45 s."""
    async with watermark_bench() as bench:
        await bench.wait(70)
        for rev in range(1, 12):
            text = body("c1", rev).replace('"data"', '"createdAt": "2024-05-06T05:08:09Z", "data"')
            bench.publish(text)
            await bench.wait(45)
            assert bench.is_in_time()


async def test_a_message_of_unknown_age_holds_the_watermark_back() -> None:
    async with watermark_bench() as bench:
        await bench.wait(70)
        bench.queue.send(body("c1"), ago=bench.queue.now - SENT_LONG_AGO)
        await bench.wait(1)
        assert bench.behind_s() > timedelta(days=365).total_seconds()
        await bench.wait(62)
        assert bench.is_in_time()


async def test_fifo_messages_behind_one_in_flight_are_not_passed() -> None:
    async with watermark_bench(fifo=True, lanes=1, batch_max=1) as bench:
        await bench.wait(70)
        bench.worker.handler.takes = lambda: bench.clock.sleep(25)
        for rev in range(1, 40):
            bench.publish(body("c1", rev), group="c1")
            await bench.wait(5)
        bench.worker.handler.takes = None
        await bench.wait(130)
        assert bench.is_in_time()


# Receiving pauses


async def test_while_the_queue_is_away_there_is_none() -> None:
    async with watermark_bench() as bench:
        await bench.wait(70)
        bench.queue.refuse("receive", *[QueueAway("connection refused")] * 5)
        await bench.wait(20)
        assert bench.missing() is NoWatermark.QUEUE_AWAY
        await bench.wait(9)
        # Back, but nobody knows what came meanwhile.
        assert bench.missing() is NoWatermark.BACKLOG_UNKNOWN
        bench.heartbeat_s = 0
        await bench.wait(20)
        # A long poll came back empty. A heartbeat had lain in the queue all the time.
        assert BEHIND_S + 16 < bench.behind_s() < BEHIND_S + 40


async def test_a_failure_of_a_moment_costs_a_moment() -> None:
    async with watermark_bench() as bench:
        await bench.wait(71)
        bench.queue.refuse("receive", QueueAway("connection reset"))
        bench.publish(body("c1"))
        await run_ready_tasks()
        assert bench.missing() is NoWatermark.QUEUE_AWAY
        bench.publish(body("c2"))
        await bench.wait(2)
        assert bench.is_in_time()


async def test_while_the_limit_of_messages_in_flight_is_reached_there_is_none_and_nothing_is_passed_after_it() -> None:
    async with watermark_bench(receivers=3) as bench:
        await bench.wait(70)
        bench.worker.handler.gate = asyncio.Event()
        for number in range(400):
            bench.publish(body(f"c{number}"))
        await bench.wait(9)
        assert len(bench.worker.in_flight) == 200
        assert bench.missing() is None
        await bench.wait(3)
        assert bench.missing() is NoWatermark.RECEIVING_PAUSED
        await bench.wait(30)
        bench.worker.handler.gate.set()
        bench.heartbeat_s = 0
        await bench.wait(1)
        assert bench.missing() is NoWatermark.BACKLOG_UNKNOWN
        await bench.wait(21)
        # A long poll came back empty.
        assert bench.missing() is None


async def test_a_minute_of_responses_is_as_good_as_an_empty_poll() -> None:
    async with watermark_bench(heartbeat_s=1) as bench:
        await bench.wait(70)
        bench.worker.store_availability.mark_away("no primary")
        await bench.wait(15)
        bench.worker.store_availability.mark_back()
        await bench.wait(55)
        # A heartbeat a second: no poll comes back empty.
        assert bench.missing() is NoWatermark.BACKLOG_UNKNOWN
        await bench.wait(10)
        assert bench.missing() is None


async def test_a_pause_of_more_than_a_minute_is_a_silence() -> None:
    async with watermark_bench() as bench:
        await bench.wait(70)
        bench.worker.store_availability.mark_away("no primary")
        await bench.wait(90)
        bench.worker.store_availability.mark_back()
        await bench.wait(25)
        assert bench.missing() is NoWatermark.SILENCE
        await bench.wait(65)
        assert bench.is_in_time()


async def test_the_store_away_for_one_worker_of_two_loses_nothing_for_the_other() -> None:
    async with watermark_bench(workers=2) as bench:
        unlucky, other = bench.workers
        await bench.wait(200)
        # The first worker gets the message, and the store is away for it for five minutes.
        unlucky.handler.away = 1_000
        for number in range(20):
            bench.publish(body(f"c{number}"))
        await bench.wait(300)
        assert unlucky.store_availability.is_away
        assert [left for left in bench.queue.left if bench.queue.visible_in_seconds(left) == 0] == []
        assert len({event for batch in other.handler.batches for event in batch}) == 20
        assert bench.queue.dead == []
        unlucky.handler.away = 0
        await bench.wait(60)
        assert bench.queue.left == []


# The process and its clock


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


# Reports


async def test_metrics_readiness_and_log_show_the_watermark_and_why_there_is_none() -> None:
    async with watermark_bench() as bench:
        recorder, health = bench.worker.recorder, bench.worker.health
        health.mark_healthy("queue")
        assert recorder.gauges[Metric.WATERMARK_MISSING.value] == 1
        assert health.report()["watermark"] == {"time": None, "reason": "BACKLOG_UNKNOWN"}
        assert health.report()["ready"]
        await bench.wait(75)
        assert recorder.gauges[Metric.WATERMARK_MISSING.value] == 0
        assert BEHIND_S <= recorder.gauges[Metric.WATERMARK_BEHIND.value] <= BEHIND_S + 1 + bench.heartbeat_s
        shown = health.report()["watermark"]
        assert (shown["time"], shown["reason"]) == ("2024-05-06T07:08:03.000Z", None)
        said = [line for line in recorder.lines if "watermark" in line["msg"]]
        # At each change once.
        assert [line.get("reason") for line in said] == ["BACKLOG_UNKNOWN", "SILENCE", None]
        bench.sns_holds = True
        await bench.wait(70)
        assert recorder.gauges[Metric.WATERMARK_MISSING.value] == 1
        assert health.report()["watermark"] == {"time": None, "reason": "SILENCE"}
        assert health.report()["ready"]


async def test_heartbeats_are_acknowledged_without_a_line_or_a_count() -> None:
    async with watermark_bench() as bench:
        await bench.wait(61)
        assert bench.queue.left == []
        assert bench.worker.audits == []
        assert bench.worker.recorder.total(Metric.UNSUPPORTED) == 0
        done = f"{Metric.OUTCOME.value} event=routing-sync.heartbeat outcome=done reason=UNSUPPORTED_EVENT"
        assert bench.worker.recorder.counts[done] == 4
