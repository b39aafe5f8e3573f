"""The drift sweep of a worker: what it sweeps in a round, who sweeps, and where it goes on."""

import asyncio
from datetime import timedelta

import pytest
from msgspec.structs import replace

from commands.session import Session
from handlers.ports import StoreAway
from tests.worker.stand_ins.fake_clock import FakeClock, run_ready_tasks
from tests.worker.store.plans import announcement, state_plan
from tests.worker.sweeps.drift.drift_bench import DriftBench
from worker.ports.sweeps import SweepStage
from worker.store.documents import Collection
from worker.sweeps.drift.sweep_run import PAGE_SIZE
from worker.telemetry.metrics import Metric
from worker.telemetry.status_page.decisions import RecentDecisions


@pytest.fixture
def bench() -> DriftBench:
    return DriftBench()


async def test_what_was_written_since_the_last_round_is_swept_once_the_watermark_has_passed_it(
    bench: DriftBench,
) -> None:
    await bench.sweep_fully()
    await bench.later(300)
    bench.put("c-1", ["u-1"])
    bench.put("c-2")
    await bench.round()
    assert bench.asked == []
    await bench.later(300)
    await bench.round()
    # By their conversations, then by their work-items.
    assert bench.asked == [["c-1", "c-2"], ["c-1", "c-2"]]
    # Its writer's clock may be wrong, so the pair waits by SQS's clock from now on.
    assert (bench.found, bench.assigned("c-1")) == ([("c-1", "waits")], None)
    await bench.poll()
    assert bench.assigned("c-1") == "u-1"
    assert bench.recorder.counts[f"{Metric.DRIFT.value} age=hour drift=OUT_OF_STEP end=waits"] == 1
    assert bench.recorder.total(Metric.SWEPT) == 4


async def test_what_was_written_long_ago_is_repaired_at_once_logged_and_announced(bench: DriftBench) -> None:
    recent = RecentDecisions(bench.clock)
    bench.recorder.telemetry = replace(bench.recorder.telemetry, decisions=recent)
    bench.sweep = bench.another()
    bench.put("c-1", ["u-1"])
    await bench.later(3_600)
    await bench.round()
    assert bench.assigned("c-1") == "u-1"
    assert bench.found == [("c-1", "repaired")]
    assert [(each.conversation_id, each.end, each.settled) for each in recent.drifts()] == [("c-1", "repaired", True)]
    assert [each.trigger for each in recent.decisions()] == ["sweep"]
    [audit] = bench.lines("CONVERSATION_SYNC_AUDIT")
    assert (audit["trigger"], audit["conversationId"], audit["outcome"]) == ("sweep", "c-1", "applied")
    assert [each.conversation_id for each in bench.offered] == ["c-1"]
    assert bench.recorder.counts[f"{Metric.DRIFT.value} age=day drift=OUT_OF_STEP end=repaired"] == 1
    assert bench.recorder.counts[f"{Metric.APPLIED.value} direction=forward event=none rule=B1"] == 1


async def test_a_second_sweep_finds_nothing(bench: DriftBench) -> None:
    await bench.sweep_fully()
    bench.put("c-1", ["u-1"])
    for _ in range(4):
        await bench.later(300)
        await bench.round()
        await bench.poll()
    assert bench.found == [("c-1", "waits")]


async def test_without_a_watermark_of_every_live_worker_nothing_is_swept(bench: DriftBench) -> None:
    bench.put("c-1", ["u-1"])
    await bench.later(3_600)
    await bench.round(live=False)
    await bench.round(behind_s=None)
    await bench.fleet.leave_watermark("another", None, 600)
    await bench.round()
    assert (bench.asked, (await bench.fleet.sweep_bookmark()).written_until) == ([], None)


async def test_a_watermark_that_falls_back_sweeps_nothing_twice(bench: DriftBench) -> None:
    await bench.sweep_fully()
    kept = await bench.fleet.sweep_bookmark()
    bench.put("c-1", ["u-1"])
    await bench.round(behind_s=900)
    assert (bench.asked, await bench.fleet.sweep_bookmark()) == ([], kept)


async def test_one_worker_of_the_fleet_sweeps(bench: DriftBench) -> None:
    another = bench.another()
    await bench.sweep_fully()
    await bench.later(300)
    kept = await bench.fleet.sweep_bookmark()
    await another.round()
    assert await bench.fleet.sweep_bookmark() == kept
    # The holder has died: another goes on once the lease has expired.
    await bench.later(600)
    await bench.fleet.leave_watermark("worker", bench.clock.now(), 60)
    await another.round()
    assert (await bench.fleet.sweep_bookmark()).written_until == bench.clock.now()


async def test_after_an_outage_the_sweep_goes_on_where_a_kill_stopped_it(bench: DriftBench) -> None:
    """Hours were written meanwhile: the bookmark moves with them."""
    await bench.sweep_fully()
    for hour in range(3):
        bench.put(f"c-{hour}", ["u-1"])
        await bench.later(3_600)
    # The worker is killed while it sweeps the second hour.
    bench.away_after = 1
    with pytest.raises(StoreAway):
        await bench.round()
    assert bench.asked == [["c-0"]]
    bench.away_after = None
    await bench.later(600)
    await bench.fleet.leave_watermark("worker", bench.clock.now(), 60)
    await bench.another().round()
    # The repair of the first pair was a write, too.
    assert bench.asked[1:] == [["c-1"], ["c-2"], ["c-0"]]
    assert [bench.assigned(f"c-{hour}") for hour in range(3)] == ["u-1"] * 3


async def test_the_lease_is_kept_while_what_was_written_is_swept(bench: DriftBench) -> None:
    """A script has written more than two intervals are enough for."""
    await bench.sweep_fully()
    for number in range(4 * PAGE_SIZE):
        bench.put(f"c-{number:04}")
    await bench.later(600)
    bench.page_s = 200
    another, swept_meanwhile = bench.another(), list[bool]()

    async def in_another_worker(pages: int) -> None:
        # Another worker's round falls into each page.
        bench.during_page = None
        await bench.fleet.leave_watermark("worker", bench.clock.now(), 60)
        await another.round()
        swept_meanwhile.append(len(bench.asked) > pages)
        bench.during_page = in_another_worker

    bench.during_page = in_another_worker
    await bench.round()
    assert len(bench.asked) == len(swept_meanwhile) == 8
    assert not any(swept_meanwhile)


async def test_a_worker_that_lost_the_lease_stops_and_keeps_no_bookmark(bench: DriftBench) -> None:
    await bench.sweep_fully()
    kept = await bench.fleet.sweep_bookmark()
    for number in range(2 * PAGE_SIZE):
        bench.put(f"c-{number:04}")
    await bench.later(600)

    async def another_takes_it(_: int) -> None:
        bench.clock.stop(700)
        await bench.fleet.acquire_lease("sweep", "another", 600)

    bench.during_page = another_takes_it
    await bench.round()
    assert (len(bench.asked), await bench.fleet.sweep_bookmark()) == (1, kept)


async def test_a_full_sweep_finds_what_no_time_of_writing_shows_and_comes_once_a_day(bench: DriftBench) -> None:
    bench.put("c-1", ["u-1"])
    await bench.later(3_600)
    await bench.round()
    await bench.later(600)
    await bench.round()
    assert bench.found == [("c-1", "repaired")]
    document = bench.store.conversation("c-1")
    assert document is not None
    # In the shell: neither revision nor time of writing moves.
    by_hand = {**document, "attributes": {**document["attributes"], "assignedUsers": ["u-2"]}}
    bench.store.put_conversation(by_hand)
    await bench.later(3_600)
    await bench.round()
    assert bench.assigned("c-1") == "u-1"
    await bench.later(86_400)
    await bench.round()
    assert bench.assigned("c-1") == "u-2"
    assert bench.found[1:] == [("c-1", "repaired")]
    assert [len(bench.lines(f"full sweep {what}")) for what in ("begins", "ended")] == [2, 2]


async def test_a_full_sweep_goes_on_in_the_next_round_where_its_time_was_over(bench: DriftBench) -> None:
    for number in range(3 * PAGE_SIZE):
        bench.put(f"c-{number:04}")
    await bench.later(600)
    bench.page_s = 130
    await bench.round()
    # No page begins after 240 s.
    assert [len(page) for page in bench.asked] == [PAGE_SIZE, PAGE_SIZE]
    position = (await bench.fleet.sweep_bookmark()).position
    assert position is not None
    assert (position.stage, position.after) == (SweepStage.CONVERSATIONS, f"c-{2 * PAGE_SIZE - 1:04}")
    bench.page_s = 1
    await bench.round()
    bookmark = await bench.fleet.sweep_bookmark()
    assert (bookmark.position, bookmark.full_ended_at is None) == (None, False)
    assert [(len(page), page[0]) for page in bench.asked[2:]] == [(PAGE_SIZE, f"c-{2 * PAGE_SIZE:04}")]


async def test_a_full_sweep_keeps_its_position_while_it_works(bench: DriftBench) -> None:
    for number in range(3 * PAGE_SIZE):
        bench.put(f"c-{number:04}")
    await bench.later(600)
    bench.page_s = 20
    bench.away_after = 2
    with pytest.raises(StoreAway):
        await bench.round()
    position = (await bench.fleet.sweep_bookmark()).position
    assert position is not None
    assert position.after == f"c-{2 * PAGE_SIZE - 1:04}"


async def test_the_sweep_works_half_of_the_time(bench: DriftBench) -> None:
    await bench.sweep_fully()
    bench.clock.slept.clear()
    bench.put("c-1")
    bench.page_s = 1.5
    await bench.later(600)
    await bench.round()
    assert bench.clock.slept[:2] == [1.5, 1.5]


async def test_a_work_item_that_stays_in_ivr_is_told_though_it_was_written_before(bench: DriftBench) -> None:
    await bench.sweep_fully()
    bench.put("c-1", status="ivr", queuedCount=0)
    for _ in range(4):
        await bench.later(300)
        await bench.round()
    assert bench.found == [("c-1", "told")]
    [line] = bench.lines("drift found by the sweep")
    assert (line["drift"], line["workItemId"], line["level"]) == ("NEVER_QUEUED", "w-c-1", 40)


async def test_a_session_that_holds_a_work_item_that_is_not_stored_is_told(bench: DriftBench) -> None:
    bench.store.put_session(Session(id="s-1", user="u-1", capacity=9, pending_item="w-9"))
    await bench.round()
    [line] = bench.lines("drift found by the sweep")
    assert (line["drift"], line["end"], line["workItemId"]) == ("SESSION_PLACE", "told", "w-9")
    assert line["detail"] == "the session s-1 of u-1 holds it, and the store has no such work-item"


async def test_announcements_left_in_the_outbox_are_told(bench: DriftBench) -> None:
    await bench.sweep_fully()
    entry = announcement("a-1", at=bench.clock.now())
    await bench.store.commit([state_plan("c-9", announcements=(entry,))])
    await bench.round()
    assert bench.found == []
    await bench.later(300)
    await bench.round()
    await bench.store.set_aside("a-1", "refused")
    await bench.round()
    details = [line["detail"] for line in bench.lines("drift found by the sweep")]
    assert details == ["1 wait, 0 are set aside", "none waits for long, 1 are set aside"]


async def test_a_sweep_that_only_tells_writes_nothing_and_needs_no_watermark() -> None:
    bench = DriftBench(repairs=False)
    bench.put("c-1", ["u-1"])
    before = {each: bench.store.documents(each) for each in Collection}
    await bench.later(601)
    await bench.round(live=False)
    assert {each: bench.store.documents(each) for each in Collection} == before
    assert set(bench.found) == {("c-1", "planned")}


async def test_an_unexpected_error_of_one_pair_stops_no_other(bench: DriftBench) -> None:
    await bench.sweep_fully()
    for key in ("c-1", "c-2", "c-3"):
        bench.put(key, ["u-1"])
    bench.faulty = {"c-2"}
    await bench.later(600)
    await bench.round()
    assert bench.asked[:4] == [["c-1", "c-2", "c-3"], ["c-1"], ["c-2"], ["c-3"]]
    assert bench.found == [("c-1", "waits"), ("c-3", "waits")]
    assert "customer" not in str(bench.recorder.lines)
    assert bench.lines("the sweep met a fault in our code")[0]["conversations"] == ["c-1", "c-2", "c-3"]


async def test_rounds_come_every_interval_and_report_whether_the_store_answers() -> None:
    bench = DriftBench(FakeClock())
    running = asyncio.ensure_future(bench.sweep.run())
    await bench.later(301)
    assert bench.clock.slept == [300, 300]
    running.cancel()
    await run_ready_tasks()


async def test_how_far_the_sweep_is_behind_is_measured(bench: DriftBench) -> None:
    await bench.sweep_fully()
    await bench.later(300)
    await bench.round()
    assert bench.recorder.gauges[Metric.SWEEP_BEHIND.value] == timedelta(seconds=360).total_seconds()
