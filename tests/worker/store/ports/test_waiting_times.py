"""The contract of the port `WaitingTimes` (worker/ports/waiting_times.py): one suite for both adapters."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from handlers.ports import CommitResult, WaitSighting
from tests.worker.store.plans import T0, in_queue, state_plan, wait, wait_write, work_item
from tests.worker.store.store_bench import Bench
from worker.ports.waiting_times import EndedWait

DAY_S: Final = 86_400


def _at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


async def _record(bench: Bench, *waits: WaitSighting) -> None:
    plans = [state_plan(f"c-{number}", waits=(wait_write(each, f"c-{number}"),)) for number, each in enumerate(waits)]
    assert await bench.store.commit(plans) == [CommitResult.COMMITTED] * len(plans)


def _ended(seconds: float, duration_s: float, item: str = "w1") -> EndedWait:
    return EndedWait(work_item=item, ended_at=_at(seconds), duration_ms=round(duration_s * 1_000))


async def _in(
    bench: Bench, begin_s: float, end_s: float, queues: Sequence[str] | None = None, org: str | None = None
) -> Mapping[str, EndedWait]:
    return await bench.waiting_times.latest_in(_at(begin_s), _at(end_s), queue_ids=queues, org=org)


# The latest wait


async def test_without_waits_there_is_none(bench: Bench) -> None:
    assert await bench.waiting_times.latest([], now=T0) == {}
    assert await bench.waiting_times.latest(["q1"], now=T0) == {}
    assert await _in(bench, 0, 9) == {}
    assert await _in(bench, 0, 9, ["q1"], "o1") == {}


async def test_the_wait_that_ended_last_counts_and_not_the_one_that_began_last(bench: Bench) -> None:
    await _record(
        bench,
        wait("w1", ended_s=100, seconds=90.999),
        wait("w2", ended_s=99, seconds=1),
        wait("w3", queue="q2", ended_s=40, seconds=2),
        wait("w4", queue="q3", ended_s=400),
    )
    latest = await bench.waiting_times.latest(["q1", "q2", "q1", "unknown"], now=_at(500))
    assert latest == {"q1": _ended(100, 90.999, "w1"), "q2": _ended(40, 2, "w3")}
    assert latest["q1"].seconds == 90


async def test_a_wait_that_ended_more_than_a_day_ago_is_none(bench: Bench) -> None:
    await _record(bench, wait("w1", ended_s=0))
    assert await bench.waiting_times.latest(["q1"], now=_at(DAY_S)) == {"q1": _ended(0, 30)}
    assert await bench.waiting_times.latest(["q1"], now=_at(DAY_S + 0.001)) == {}


async def test_a_wait_that_ended_after_now_by_another_clock_counts(bench: Bench) -> None:
    await _record(bench, wait("w1", ended_s=10))
    assert await bench.waiting_times.latest(["q1"], now=T0) == {"q1": _ended(10, 30)}


async def test_a_wait_that_ends_years_ahead_hides_no_other(bench: Bench) -> None:
    """Another service wrote a time in another unit."""
    await _record(bench, wait("w1", ended_s=10), wait("w2", ended_s=10_000 * DAY_S))
    assert await bench.waiting_times.latest(["q1"], now=_at(60)) == {"q1": _ended(10, 30)}
    assert await bench.waiting_times.latest(["q1"], now=_at(10 - DAY_S - 0.001)) == {}


async def test_of_two_that_ended_together_the_higher_id_is_the_later_one(bench: Bench) -> None:
    await _record(bench, wait("w2", ended_s=50, seconds=5), wait("w1", ended_s=50, seconds=9))
    assert await bench.waiting_times.latest(["q1"], now=_at(60)) == {"q1": _ended(50, 5, "w2")}


async def test_more_queues_than_one_command_reads(bench: Bench) -> None:
    queues = [f"q{number:03}" for number in range(230)]
    await _record(bench, *(wait(f"w-{queue}", queue=queue, ended_s=5) for queue in queues[::2]))
    latest = await bench.waiting_times.latest(queues, now=_at(60))
    assert latest == {queue: _ended(5, 30, f"w-{queue}") for queue in queues[::2]}


# A range


async def test_a_range_speaks_of_when_the_wait_ended_and_has_both_its_ends(bench: Bench) -> None:
    await _record(bench, *(wait(f"w{end}", ended_s=end, seconds=end + 1) for end in (10, 20, 30)))
    assert await _in(bench, 0, 9.999) == {}
    assert await _in(bench, 0, 10) == {"q1": _ended(10, 11, "w10")}
    assert await _in(bench, 10, 29.999) == {"q1": _ended(20, 21, "w20")}
    assert await _in(bench, 30, 99) == {"q1": _ended(30, 31, "w30")}
    assert await _in(bench, 30.001, 99) == {}


async def test_an_empty_query_has_all_queues_of_the_org(bench: Bench) -> None:
    await _record(
        bench,
        wait("w1", ended_s=10),
        wait("w2", queue="q2", ended_s=20),
        wait("w3", queue="q3", ended_s=30, org="o2"),
        wait("w4", queue="q4", ended_s=40, org=None),
        wait("w5", queue="q1", ended_s=50, org="o2"),
    )
    assert await _in(bench, 0, 99, org="o1") == {"q1": _ended(10, 30, "w1"), "q2": _ended(20, 30, "w2")}
    assert (await _in(bench, 0, 99, org="o2")).keys() == {"q1", "q3"}
    assert await _in(bench, 0, 99, org="o3") == {}
    everywhere = {"q1": "w5", "q2": "w2", "q3": "w3", "q4": "w4"}
    assert {queue: each.work_item for queue, each in (await _in(bench, 0, 99)).items()} == everywhere


async def test_a_queue_of_another_org_is_left_out(bench: Bench) -> None:
    await _record(bench, wait("w1", ended_s=10), wait("w2", queue="q2", ended_s=20, org="o2"))
    assert (await _in(bench, 0, 99, ["q1", "q2"], "o1")).keys() == {"q1"}
    assert (await _in(bench, 0, 99, ["q1", "q2"])).keys() == {"q1", "q2"}
    assert await _in(bench, 0, 99, [], "o1") == {}


# How many wait


async def test_only_queued_work_items_wait(bench: Bench) -> None:
    statuses = ["queued", "queued", "routed", "assigned", "ivr", "completed"]
    items = [
        in_queue(work_item(f"w{n}", f"c{n}", active=status != "completed", status=status), "q1")
        for n, status in enumerate(statuses)
    ]
    items += [in_queue(work_item("w9", "c9"), "q2"), work_item("w10", "c10"), in_queue(work_item("w11", "c11"), "q3")]
    await bench.put(work_items=items)
    assert await bench.waiting_times.waiting(["q1", "q2", "q9"]) == {"q1": 2, "q2": 1}
    assert await bench.waiting_times.waiting([]) == {}
