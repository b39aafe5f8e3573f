"""The drift sweep on a store that is too slow for a page's repairs or goes away in their middle; a stop in between."""

import asyncio
import contextlib

import pytest

from handlers.ports import CommitResult, StoreAway
from tests.worker.sweeps.drift.drift_bench import DriftBench
from worker.telemetry.metrics import Metric

FEWER = "the sweep repairs fewer pairs at once: a commit timed out"


@pytest.fixture
def bench() -> DriftBench:
    return DriftBench()


async def test_where_the_store_is_too_slow_for_a_pages_repairs_fewer_are_committed_at_once(bench: DriftBench) -> None:
    await bench.sweep_fully()
    keys = [f"c-{number:02}" for number in range(30)]
    for key in keys:
        bench.put(key, ["u-1"])
    bench.store.commit_max = 14
    await bench.later(600)
    await bench.round()
    assert [len(page) for page in bench.asked[:3]] == [30, 30, 30]
    assert {key for key, _ in bench.found} == set(keys)
    assert [(line["timedOut"], line["conversations"]) for line in bench.lines(FEWER)] == [(30, 15), (15, 10)]
    assert bench.recorder.total(Metric.SWEPT) == 30 + 30


async def test_a_store_that_answers_no_repair_at_all_is_away(bench: DriftBench) -> None:
    await bench.sweep_fully()
    for number in range(30):
        bench.put(f"c-{number:02}", ["u-1"] if number < 12 else [])
    bench.store.commit_max = 0
    await bench.later(600)
    for _ in range(2):
        with pytest.raises(StoreAway):
            await bench.round()
    # Each attempt takes a deadline. Ten are too few to have timed out by their number.
    assert [len(page) for page in bench.asked] == [30, 30, 30]
    assert bench.found == []


async def test_pairs_without_drift_take_no_part_in_how_many_repairs_are_committed_at_once(bench: DriftBench) -> None:
    await bench.sweep_fully()
    for number in range(60):
        bench.put(f"c-{number:02}", ["u-1"] if number % 3 == 0 else [])
    bench.store.commit_max = 10
    await bench.later(600)
    await bench.round()
    # Of sixty pairs twenty have drift.
    assert [(line["timedOut"], line["conversations"]) for line in bench.lines(FEWER)] == [(20, 10)]
    assert bench.store.sizes.count(10) == 2


async def test_more_repairs_are_committed_at_once_again_where_repairs_go_well(bench: DriftBench) -> None:
    await bench.sweep_fully()

    async def swept(drifted: int) -> int:
        """A round with so many repairs and a pair without drift; returns the most that were committed at once."""
        bench.put(f"c-{len(bench.asked)}")
        for number in range(drifted):
            bench.put(f"c-{len(bench.asked)}-{number:02}", ["u-1"])
        await bench.later(600)
        bench.store.sizes.clear()
        await bench.round()
        return max(bench.store.sizes, default=0)

    bench.store.commit_max = 10
    await swept(40)
    bench.store.commit_max = None
    # A page without a repair says nothing.
    assert [await swept(drifted) for drifted in (0, 0, 1, 40, 40)] == [0, 0, 1, 20, 40]


@pytest.mark.parametrize("ends_by", [asyncio.CancelledError, KeyError])
async def test_what_was_committed_before_a_stop_or_a_fault_is_told(
    bench: DriftBench, ends_by: type[BaseException]
) -> None:
    await bench.sweep_fully()
    keys = [f"c-{number:02}" for number in range(40)]
    for key in keys:
        bench.put(key, ["u-1"])
    bench.store.commit_max = 10
    await bench.later(600)

    def ends() -> None:
        if bench.store.sizes[-2:] == [10, 10]:
            bench.store.before_commit = lambda: None
            raise ends_by

    bench.store.before_commit = ends
    with contextlib.suppress(asyncio.CancelledError):
        await bench.round()
    await bench.round()
    assert sorted(key for key, _ in bench.found if key) == keys


async def test_a_page_that_is_committed_in_part_before_the_deadline_goes_on_with_fewer(bench: DriftBench) -> None:
    await bench.sweep_fully()
    keys = [f"c-{number:02}" for number in range(30)]
    for key in keys:
        bench.put(key, ["u-1"])
    bench.store.committed_of_next = 5, CommitResult.TIMED_OUT
    await bench.later(600)
    await bench.round()
    assert [(line["timedOut"], line["conversations"]) for line in bench.lines(FEWER)] == [(25, 12)]
    assert sorted(key for key, _ in bench.found if key) == keys


@pytest.mark.parametrize("missing", [CommitResult.AWAY, CommitResult.TIMED_OUT])
async def test_a_pair_whose_repair_had_no_result_is_no_pair_that_others_write(
    bench: DriftBench, missing: CommitResult
) -> None:
    await bench.sweep_fully()
    keys = [f"c-{number:02}" for number in range(8)]
    for key in keys:
        bench.put(key, ["u-1"])
    bench.store.committed_of_next = 3, missing
    await bench.later(600)
    swept = bench.recorder.total(Metric.SWEPT)
    with pytest.raises(StoreAway):
        await bench.round()
    assert (len(bench.found), bench.recorder.total(Metric.SWEPT)) == (3, swept)
    await bench.round()
    assert {key for key, _ in bench.found} == set(keys)
