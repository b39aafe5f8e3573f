"""The contract of the port `SyncStatesByAge` (worker/ports/sync_states.py): one suite for both stores."""

from datetime import datetime, timedelta

from msgspec.structs import replace

from handlers.ports import CommitResult
from sync.state.sync_state import SyncState, Waiting
from tests.worker.store.plans import T0, first_plan, loaded, next_plan, state_plan
from tests.worker.store.store_bench import Bench, ids
from worker.ports.sync_states import WaitingBacklog
from worker.store.documents import Collection

COMMITTED, CONFLICT = CommitResult.COMMITTED, CommitResult.CONFLICT
LATER = T0 + timedelta(hours=1)


def _at(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


async def _states(bench: Bench, **states: SyncState) -> None:
    plans = [state_plan(key, state=replace(state, version=1)) for key, state in states.items()]
    assert await bench.store.commit(plans) == [COMMITTED] * len(plans)


def _waits(minutes: float) -> SyncState:
    return SyncState(waiting=Waiting(since=_at(minutes), conversation_rev=1, work_item_rev=1))


def _finished(minutes: float) -> SyncState:
    return SyncState(finished_at=_at(minutes))


async def test_without_waiting_pairs_the_backlog_is_empty(bench: Bench) -> None:
    await _states(bench, c1=SyncState(), c2=_finished(1))
    assert await bench.states_by_age.waiting_since_before(LATER, 10) == []
    assert await bench.states_by_age.waiting_backlog() == WaitingBacklog(count=0, oldest=None)


async def test_the_longest_waiting_pairs_come_first_up_to_the_limit(bench: Bench) -> None:
    await _states(bench, c1=_waits(3), c2=_waits(1), c3=SyncState(), c4=_waits(2), c5=_waits(4))
    assert await bench.states_by_age.waiting_since_before(_at(4), 10) == ["c2", "c4", "c1"]
    assert await bench.states_by_age.waiting_since_before(_at(4), 2) == ["c2", "c4"]
    assert await bench.states_by_age.waiting_backlog() == WaitingBacklog(count=4, oldest=_at(1))


async def test_a_pair_that_waits_since_exactly_then_has_not_waited_longer(bench: Bench) -> None:
    await _states(bench, c1=_waits(1))
    assert await bench.states_by_age.waiting_since_before(_at(1), 10) == []
    assert await bench.states_by_age.waiting_since_before(_at(1) + timedelta(milliseconds=1), 10) == ["c1"]


async def test_a_pair_that_no_longer_waits_leaves_list_and_backlog(bench: Bench) -> None:
    await _states(bench, c1=_waits(1), c2=_waits(2))
    await bench.store.commit([state_plan("c1", version=2)])
    assert await bench.states_by_age.waiting_since_before(LATER, 10) == ["c2"]
    assert await bench.states_by_age.waiting_backlog() == WaitingBacklog(count=1, oldest=_at(2))


async def test_states_of_finished_pairs_are_removed_oldest_first(bench: Bench) -> None:
    await _states(bench, c1=_finished(3), c2=_finished(1), c3=SyncState(), c4=_waits(0), c5=_finished(2))
    assert await bench.states_by_age.remove_finished(_at(1), 10) == 0
    assert await bench.states_by_age.remove_finished(_at(3), 1) == 1
    assert await ids(bench, Collection.SYNC_STATES) == ["c1", "c3", "c4", "c5"]
    assert await bench.states_by_age.remove_finished(_at(3), 10) == 1
    assert await bench.states_by_age.remove_finished(_at(3), 10) == 0
    assert await ids(bench, Collection.SYNC_STATES) == ["c1", "c3", "c4"]


async def test_only_the_state_is_removed_and_a_new_one_may_follow(bench: Bench) -> None:
    await bench.store.commit([replace(first_plan(), state=replace(_finished(1), version=1))])
    assert await bench.states_by_age.remove_finished(LATER, 10) == 1
    pair = await loaded(bench)
    assert (pair.conversation is None, pair.state) == (False, SyncState())
    assert await bench.store.commit([next_plan(pair)]) == [COMMITTED]
    assert (await loaded(bench)).state.version == 1


async def test_a_state_removed_between_load_and_commit_is_a_conflict(bench: Bench) -> None:
    await bench.store.commit([replace(first_plan(), state=replace(_finished(1), version=1))])
    pair = await loaded(bench)
    await bench.states_by_age.remove_finished(LATER, 10)
    assert await bench.store.commit([next_plan(pair)]) == [CONFLICT]
    assert await ids(bench, Collection.SYNC_STATES) == []


async def test_a_pair_that_continues_is_not_removed(bench: Bench) -> None:
    await _states(bench, c1=_finished(1))
    await bench.store.commit([state_plan("c1", version=2)])
    assert await bench.states_by_age.remove_finished(LATER, 10) == 0
    assert await ids(bench, Collection.SYNC_STATES) == ["c1"]
