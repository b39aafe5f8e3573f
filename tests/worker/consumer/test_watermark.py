"""The watermark, in virtual time: nothing sent before it is undelivered, on every second; and when there is none, why.

The consumer is real but for its handler and its queue (`watermark_bench.py`). `test_watermark_clock.py` makes single
calls.
"""

import asyncio
from datetime import timedelta
from itertools import pairwise

import pytest

from tests.worker.consumer.consumer_bench import body
from tests.worker.consumer.watermark_bench import BEHIND_S, watermark_bench
from tests.worker.stand_ins.fake_clock import run_ready_tasks
from worker.consumer.watermark import NoWatermark
from worker.errors import QueueAway
from worker.ports.message_queue import SENT_LONG_AGO
from worker.telemetry.metrics import Metric

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
