"""The relay: it publishes what a crash or an outage left in the outbox."""

import asyncio

from tests.worker.outbox.outbox_bench import OutboxBench, announcement
from tests.worker.stand_ins.fake_clock import FakeClock, run_ready_tasks
from worker.telemetry.metrics import Metric


async def test_the_relay_publishes_old_entries_and_young_ones_wait() -> None:
    bench = OutboxBench()
    old = [announcement(f"old{n}", age_s=31 + n) for n in range(250)]
    bench.outbox.put(*old, announcement("young", age_s=5))
    await bench.relay.round()
    assert sorted(bench.topics.published) == sorted(one.id for one in old)
    assert list(bench.outbox.entries) == ["young"]
    assert bench.recorder.counts[Metric.RELAYED.value] == 250
    assert bench.recorder.gauges[Metric.OUTBOX_BACKLOG.value] == 251
    assert bench.recorder.gauges[Metric.OUTBOX_OLDEST.value] == 280


async def test_an_entry_from_the_future_is_relayed() -> None:
    bench = OutboxBench()
    bench.outbox.put(announcement("stuck"), announcement("young", age_s=3_600))
    bench.clock.put(-3_600)
    await bench.relay.round()
    assert bench.topics.published == ["stuck"]


async def test_the_relay_skips_entries_that_the_publisher_holds() -> None:
    bench = OutboxBench()
    bench.publisher.offer(bench.outbox.put(announcement("mine", age_s=60)))
    bench.outbox.put(announcement("orphan", age_s=60))
    await bench.relay.round()
    assert bench.topics.published == ["orphan"]


async def test_the_relay_ends_its_round_when_no_entry_can_be_published() -> None:
    bench = OutboxBench()
    bench.topics.away = True
    bench.outbox.put(*(announcement(f"a{n}", age_s=60) for n in range(150)))
    await bench.relay.round()
    assert len(bench.outbox.entries) == 150


async def test_a_topic_that_refuses_does_not_block_the_other_topic() -> None:
    bench = OutboxBench()
    bench.topics.refusing = {"arn:conversations"}
    bench.outbox.put(*(announcement(f"c{n}", age_s=99) for n in range(150)))
    bench.outbox.put(announcement("w1", side="work-item", age_s=60))
    await bench.relay.round()
    assert bench.topics.published == ["w1"]
    assert "w1" not in bench.outbox.entries
    assert len(bench.outbox.entries) == 150


async def test_the_relays_rounds_report_whether_the_store_answers() -> None:
    bench = OutboxBench(clock=FakeClock())
    running = asyncio.ensure_future(bench.relay.run())
    bench.outbox.away = True
    await bench.clock.advance(6)
    assert not bench.health.report()["checks"]["store"]["ok"]
    bench.outbox.away = False
    await bench.clock.advance(6)
    assert bench.health.report()["checks"]["store"]["ok"]
    running.cancel()
    await run_ready_tasks()
