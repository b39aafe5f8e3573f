"""The state expiry: it removes the states of pairs that finished long ago."""

import asyncio
from datetime import timedelta

import pytest
from msgspec.structs import replace

from sync.state.sync_state import SyncState
from tests.worker.stand_ins.fake_clock import AutoAdvancingClock, run_ready_tasks
from tests.worker.store.plans import state_plan
from tests.worker.sweeps.sweeps_bench import GapPollBench
from worker.sweeps.state_expiry import REMOVED_MAX, StateExpiry


@pytest.fixture
def bench() -> GapPollBench:
    return GapPollBench()


def _state_expiry(bench: GapPollBench) -> StateExpiry:
    return StateExpiry(states=bench.store, days=30, runtime=bench.runtime)


async def _finished(bench: GapPollBench, days_ago: float, *keys: str) -> None:
    state = SyncState(version=1, finished_at=bench.clock.now() - timedelta(days=days_ago))
    await bench.store.commit([state_plan(key, state=replace(state)) for key in keys])


async def test_states_of_pairs_that_finished_long_ago_are_removed(bench: GapPollBench) -> None:
    await bench.waits()
    await _finished(bench, 31, "c-old")
    await _finished(bench, 29, "c-young")
    await _state_expiry(bench).round()
    assert [bench.store.state(key).version for key in ("c-old", "c-young", "c-1")] == [0, 1, 1]
    assert bench.recorder.lines[-1]["count"] == 1


async def test_the_states_of_a_year_are_removed_in_pages(bench: GapPollBench) -> None:
    keys = [f"c-{number}" for number in range(2 * REMOVED_MAX + 1)]
    await _finished(bench, 365, *keys)
    await _state_expiry(bench).round()
    assert all(bench.store.state(key).version == 0 for key in keys)
    assert bench.recorder.lines[-1]["count"] == len(keys)


async def test_state_expiry_runs_every_twenty_minutes_and_logs_only_removals() -> None:
    bench = GapPollBench(AutoAdvancingClock())
    running = asyncio.ensure_future(_state_expiry(bench).run())
    await run_ready_tasks(5)
    running.cancel()
    await run_ready_tasks()
    assert set(bench.clock.slept) == {1200}
    assert bench.recorder.lines == []
