"""The gap poll: it decides pairs that have waited too long, and leaves the others."""

import asyncio
import contextlib
from datetime import timedelta

import pytest
from msgspec.structs import replace

from commands.instant import format_instant
from handlers.ports import CommitResult, StoreAway
from sync.state.sync_state import SyncState, Waiting
from tests.worker.stand_ins.fake_clock import T0, run_ready_tasks
from tests.worker.store.plans import state_plan
from tests.worker.sweeps.sweeps_bench import GapPollBench
from worker.sweeps.gap_poll import PAGE_SIZE
from worker.telemetry.metrics import Metric

FEWER = "the poll decides fewer pairs at once: a commit timed out"


@pytest.fixture
def bench() -> GapPollBench:
    return GapPollBench()


async def test_an_old_gap_is_closed_logged_and_announced(bench: GapPollBench) -> None:
    await bench.waits()
    await bench.later(61)
    await bench.poll.round()
    assert bench.assigned() == "u-1"
    assert bench.waiting("c-1") == []
    (audit,) = bench.audits
    assert (audit["trigger"], audit["outcome"], audit["event"]) == ("gap", "applied", None)
    assert (audit["conversationId"], audit["workItemId"], audit["policy"]) == ("c-1", "w-c-1", "causal")
    assert [reason["meta"]["rule"] for reason in audit["reasons"]] == ["B1"]
    assert [one.conversation_id for one in bench.offered] == ["c-1"]
    # Logged before it is announced: a kill in between loses nothing, because the relay announces it.
    assert bench.told_when_offered == [1]
    assert bench.recorder.counts[f"{Metric.GAP_CLOSED.value} outcome=applied"] == 1
    assert bench.recorder.counts[f"{Metric.APPLIED.value} direction=forward event=none rule=B1"] == 1
    assert [waiting.id for waiting in await bench.store.waiting_entries(T0 + timedelta(days=1), 9)] == [
        bench.offered[0].id
    ]


async def test_while_the_watermark_is_behind_no_pair_is_decided(bench: GapPollBench) -> None:
    await bench.waits()
    await bench.later(61)
    bench.watermark = timedelta(seconds=110)
    await bench.poll.round()
    assert (bench.asked, bench.waiting("c-1")) == ([], ["c-1"])
    await bench.later(60)
    await bench.poll.round()
    assert bench.waiting("c-1") == []


async def test_a_pair_that_waits_since_exactly_the_watermark_waits_on(bench: GapPollBench) -> None:
    await bench.waits()
    await bench.later(60)
    await bench.poll.round()
    assert bench.waiting("c-1") == ["c-1"]
    await bench.later(0.001)
    await bench.poll.round()
    assert bench.waiting("c-1") == []


async def test_without_a_watermark_no_pair_is_decided_and_all_are_measured(bench: GapPollBench) -> None:
    await bench.waits()
    bench.watermark = None
    await bench.later(600)
    await bench.poll.round()
    assert (bench.asked, bench.waiting("c-1")) == ([], ["c-1"])
    assert bench.recorder.gauges == {Metric.WAITING.value: 1, Metric.WAITING_OLDEST.value: 600}


async def test_a_young_gap_waits_on_and_is_measured(bench: GapPollBench) -> None:
    await bench.waits()
    await bench.later(45)
    await bench.poll.round()
    assert (bench.asked, bench.audits, bench.waiting("c-1")) == ([], [], ["c-1"])
    assert bench.recorder.gauges == {Metric.WAITING.value: 1, Metric.WAITING_OLDEST.value: 45}


async def test_without_waiting_pairs_the_gauges_are_zero(bench: GapPollBench) -> None:
    await bench.poll.round()
    assert bench.recorder.gauges == {Metric.WAITING.value: 0, Metric.WAITING_OLDEST.value: 0}
    assert bench.offered == []


async def test_a_pair_that_is_written_all_the_time_waits_no_longer_than_a_quiet_one(bench: GapPollBench) -> None:
    await bench.waits()
    await bench.later(61)
    item = bench.store.work_item("w-c-1")
    assert item is not None
    young = {**item["attributes"], "updatedAt": format_instant(bench.clock.now())}
    bench.store.put_work_item({**item, "attributes": young})
    await bench.poll.round()
    assert (bench.asked, bench.waiting("c-1"), bench.assigned()) == ([["c-1"]], [], "u-1")


async def test_many_gaps_are_closed_in_pages(bench: GapPollBench) -> None:
    keys = [f"c-{number:03}" for number in range(2 * PAGE_SIZE + 30)]
    for key in keys:
        await bench.waits(key)
    await bench.later(61)
    await bench.poll.round()
    assert [len(page) for page in bench.asked] == [PAGE_SIZE, PAGE_SIZE, 30]
    assert sorted(key for page in bench.asked for key in page) == keys
    assert {bench.assigned(key) for key in keys} == {"u-1"}
    assert bench.recorder.total(Metric.GAP_CLOSED) == len(keys)


async def test_where_the_store_is_too_slow_for_a_page_fewer_pairs_are_decided_at_once(bench: GapPollBench) -> None:
    keys = [f"c-{number:03}" for number in range(PAGE_SIZE + 3)]
    for key in keys:
        await bench.waits(key)
    bench.store.commit_max = 13
    await bench.later(61)
    for _ in range(2):
        with pytest.raises(StoreAway):
            await bench.poll.round()
    await bench.poll.round()
    assert {bench.assigned(key) for key in keys} == {"u-1"}
    assert [len(page) for page in bench.asked] == [PAGE_SIZE, 25, 12, 12, 12, 12, 5]
    assert bench.recorder.total(Metric.GAP_CLOSED) == len(keys)
    lines = [(line["before"], line["conversations"]) for line in bench.recorder.lines if line["msg"] == FEWER]
    assert lines == [(50, 25), (25, 12)]


async def test_a_store_that_answers_no_commit_at_all_is_away_in_every_round(bench: GapPollBench) -> None:
    keys = [f"c-{number:03}" for number in range(PAGE_SIZE)]
    for key in keys:
        await bench.waits(key)
    bench.store.commit_max = 0
    await bench.later(61)
    for _ in range(5):
        with pytest.raises(StoreAway):
            await bench.poll.round()
    assert [len(page) for page in bench.asked] == [PAGE_SIZE, 25, 12, 10, 10]
    assert bench.waiting(*keys) == keys


@pytest.mark.parametrize("missing", [CommitResult.AWAY, CommitResult.TIMED_OUT])
async def test_a_store_that_goes_away_in_the_middle_of_a_page_is_away_and_what_was_decided_is_told(
    bench: GapPollBench, missing: CommitResult
) -> None:
    """A round that ended well would say that the store is back."""
    keys = [f"c-{number:03}" for number in range(30)]
    for key in keys:
        await bench.waits(key)
    bench.store.committed_of_next = 5, missing
    await bench.later(61)
    with pytest.raises(StoreAway):
        await bench.poll.round()
    assert (len(bench.audits), len(bench.offered)) == (5, 5)
    await bench.poll.round()
    # Of thirty, twenty-five had no answer in time.
    assert [len(page) for page in bench.asked] == [30, *([12, 12, 1] if missing is CommitResult.TIMED_OUT else [25])]
    assert sorted(audit["conversationId"] for audit in bench.audits) == keys


async def test_a_round_that_takes_minutes_measures_meanwhile(bench: GapPollBench) -> None:
    for number in range(3 * PAGE_SIZE):
        await bench.waits(f"c-{number:03}")
    await bench.later(61)
    bench.store.before_commit = lambda: bench.clock.stop(40)
    await bench.poll.round()
    assert bench.store.measured == [150, 100, 50]


async def test_a_fast_round_measures_once_however_many_pairs_it_decides(bench: GapPollBench) -> None:
    for number in range(3 * PAGE_SIZE):
        await bench.waits(f"c-{number:03}")
    await bench.later(61)
    await bench.poll.round()
    assert bench.store.measured == [150]


async def test_more_pairs_are_decided_at_once_again_where_the_store_is_fast_again(bench: GapPollBench) -> None:
    async def sizes() -> list[int]:
        for number in range(PAGE_SIZE):
            await bench.waits(f"c-{number:03}-{bench.clock.monotonic():.0f}")
        await bench.later(61)
        bench.asked.clear()
        with contextlib.suppress(StoreAway):
            await bench.poll.round()
        return [len(page) for page in bench.asked]

    bench.store.commit_max = 30
    assert await sizes() == [PAGE_SIZE]
    bench.store.commit_max = None
    assert [await sizes() for _ in range(2)] == [[25, 50, 25], [50]]


async def test_pairs_that_still_wait_hide_no_other_pair_and_are_polled_once_a_round(bench: GapPollBench) -> None:
    """The stored conversations of these pairs cannot be read, so the poll cannot decide them."""
    stuck = [f"s-{number:03}" for number in range(3 * PAGE_SIZE + 7)]
    for key in stuck:
        bench.store.put_conversation({"_id": key, "rev": "seven"})
    waiting = Waiting(since=T0 - timedelta(minutes=1), conversation_rev=2, work_item_rev=2)
    waits = SyncState(version=1, waiting=waiting)
    await bench.store.commit([state_plan(key, state=waits) for key in stuck])
    await bench.waits()
    await bench.later(61)
    await bench.poll.round()
    asked = [key for page in bench.asked for key in page]
    assert sorted(asked) == sorted([*stuck, "c-1"])
    assert bench.waiting(*stuck) == stuck
    assert bench.assigned() == "u-1"
    # One query reads at most the pairs that still wait and two pages.
    assert max(bench.store.asked) <= len(stuck) + 2 * PAGE_SIZE


async def test_a_pair_that_meets_another_writer_is_left_to_the_next_round(bench: GapPollBench) -> None:
    await bench.waits("c-1")
    await bench.waits("c-2")
    await bench.later(61)

    def another_writes() -> None:
        bench.store.before_commit = lambda: None
        state = bench.store.state("c-1")
        bench.store.put_state("c-1", replace(state, version=state.version + 1))

    bench.store.before_commit = another_writes
    await bench.poll.round()
    assert (bench.assigned("c-1"), bench.assigned("c-2")) == (None, "u-1")
    assert [audit["conversationId"] for audit in bench.audits] == ["c-2"]
    await bench.poll.round()
    assert bench.assigned("c-1") == "u-1"
    assert [audit["conversationId"] for audit in bench.audits] == ["c-2", "c-1"]


async def test_an_unexpected_error_of_one_pair_stops_no_other_pair(bench: GapPollBench) -> None:
    for key in ("c-1", "c-2", "c-3"):
        await bench.waits(key)
    bench.faulty = {"c-2"}
    await bench.later(61)
    await bench.poll.round()
    assert bench.asked == [["c-1", "c-2", "c-3"], ["c-1"], ["c-2"], ["c-3"]]
    assert bench.waiting("c-1", "c-2", "c-3") == ["c-2"]
    faults = [line for line in bench.recorder.lines if line["msg"] == "the poll met a fault in our code"]
    assert [line["conversations"] for line in faults] == [["c-1", "c-2", "c-3"], ["c-2"]]
    assert "customer" not in str(faults)
    assert bench.recorder.counts[Metric.BATCH_FAULT.value] == 2


async def test_the_polls_rounds_come_every_fifteen_seconds_and_report_whether_the_store_answers() -> None:
    bench = GapPollBench()
    running = asyncio.ensure_future(bench.poll.run())
    bench.store.away = True
    await bench.later(16)
    assert bench.clock.slept[0] == 15
    assert not bench.health.report()["checks"]["store"]["ok"]
    bench.store.away = False
    await bench.later(16)
    assert bench.health.report()["checks"]["store"]["ok"]
    running.cancel()
    await run_ready_tasks()
