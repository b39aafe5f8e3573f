"""The sweeps: the gap poll decides pairs that have waited too long, and the state expiry removes old states."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from commands.instant import format_instant
from handlers.batch_handler import BatchHandler
from handlers.options import Options
from handlers.outcome import PolledPair
from handlers.ports import Announcement, CommitResult, Plan, PlanRejected, StoreAway
from sync.state import SyncState
from tests.handlers.wire_events import changes, conversation, event, read, work_item
from tests.worker.fake_clock import T0, AutoAdvancingClock, FakeClock, FixedChance, run_ready_tasks
from tests.worker.store.plans import state_plan
from tests.worker.telemetry_recorder import TelemetryRecorder, runtime_of
from worker.consumer.queue_lag import QueueLag
from worker.ports import WaitingBacklog
from worker.runtime.clock import ObjectIds
from worker.store.memory import MemoryStore
from worker.sweeps.gap_poll import PAGE_SIZE, GapPoll
from worker.sweeps.state_expiry import REMOVED_MAX, StateExpiry
from worker.telemetry.metrics import Metric


class Store(MemoryStore):
    """A store in memory that can be away, and that calls `before_commit` before each commit."""

    away = False

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []
        self.before_commit: Callable[[], object] = lambda: None

    async def commit(self, plans: Sequence[Plan]) -> Sequence[CommitResult | PlanRejected]:
        self.before_commit()
        return await super().commit(plans)

    async def waiting_backlog(self) -> WaitingBacklog:
        if self.away:
            raise StoreAway("no primary")
        return await super().waiting_backlog()

    async def waiting_longer(self, than: Any, limit: int) -> Sequence[str]:
        self.asked.append(limit)
        return await super().waiting_longer(than, limit)


class GapPollBench:
    """A gap poll on a store in memory, with the real batch handler."""

    def __init__(self, clock: FakeClock | None = None) -> None:
        self.clock, self.recorder, self.store = clock or FakeClock(), TelemetryRecorder(), Store()
        self.handler = BatchHandler(
            store=self.store, clock=self.clock, ids=ObjectIds(), chance=FixedChance(), options=Options()
        )
        self.runtime = runtime_of(self.clock, self.recorder)
        self.health = self.runtime.health
        self.offered: list[Announcement] = []
        self.told_when_offered: list[int] = []
        self.asked: list[list[str]] = []
        self.faulty: set[str] = set()
        self.lag = QueueLag(self.clock)
        self.lag.note_answer()
        self.poll = GapPoll(
            pairs=self.store,
            closer=self,
            announcer=self,
            lag=self.lag,
            gap_s=60,
            runtime=self.runtime,
        )

    async def close_gaps(self, conversation_ids: Sequence[str], late: timedelta) -> list[PolledPair]:
        self.asked.append(list(conversation_ids))
        if self.faulty & set(conversation_ids):
            raise KeyError("a customer's words")
        return await self.handler.close_gaps(conversation_ids, late)

    def offer(self, announcements: Sequence[Announcement]) -> None:
        self.offered.extend(announcements)
        self.told_when_offered.append(len(self.audits))

    @property
    def audits(self) -> list[dict[str, Any]]:
        return [line for line in self.recorder.lines if line["msg"] == "CONVERSATION_SYNC_AUDIT"]

    async def waits(self, key: str = "c-1") -> None:
        """Store an assignment that waits for the event of the work-item's first revision."""
        now = format_instant(self.clock.now())
        item = event(work_item(2, key=f"w-{key}", of=key, updatedAt=now), changes=changes({"priority": (1, 2)}))
        asks = event(
            conversation(2, key=key, users=("u-1",), updatedAt=now), changes=changes({"assignedUsers": ([], ["u-1"])})
        )
        ends = await self.handler.handle([read(item), read(asks)])
        assert [end.audit.reasons[0].code for end in ends][-1] == "AWAITING_EARLIER_EVENT"

    def waiting(self, *keys: str) -> list[str]:
        return [key for key in keys if self.store.state(key).waiting_since is not None]

    def assigned(self, key: str = "c-1") -> str | None:
        item = self.store.work_item(f"w-{key}")
        assert item is not None
        target = item["relationships"].get("assignedTo")
        return target and str(target["data"]["id"])

    async def later(self, seconds: float) -> None:
        await self.clock.advance(seconds)
        self.lag.note_answer()


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


async def test_while_the_queue_is_behind_no_pair_is_decided(bench: GapPollBench) -> None:
    await bench.waits()
    await bench.later(61)
    bench.lag.note_lateness(timedelta(seconds=50))
    await bench.poll.round()
    assert (bench.asked, bench.waiting("c-1")) == ([], ["c-1"])
    await bench.later(60)
    await bench.poll.round()
    assert bench.waiting("c-1") == []


async def test_while_the_queue_is_silent_no_pair_is_decided(bench: GapPollBench) -> None:
    await bench.waits()
    await bench.clock.advance(600)
    await bench.poll.round()
    assert (bench.asked, bench.waiting("c-1")) == ([], ["c-1"])


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


async def test_a_pair_that_is_written_all_the_time_waits_on_and_is_polled_once_a_round(
    bench: GapPollBench,
) -> None:
    await bench.waits()
    await bench.later(61)
    item = bench.store.work_item("w-c-1")
    assert item is not None
    young = {**item["attributes"], "updatedAt": format_instant(bench.clock.now())}
    bench.store.put_work_item({**item, "attributes": young})
    await bench.poll.round()
    assert (bench.asked, bench.waiting("c-1"), bench.audits) == ([["c-1"]], ["c-1"], [])
    await bench.later(61)
    await bench.poll.round()
    assert bench.assigned() == "u-1"


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


async def test_pairs_that_still_wait_hide_no_other_pair_and_are_polled_once_a_round(bench: GapPollBench) -> None:
    """The stored conversations of these pairs cannot be read, so the poll cannot decide them."""
    stuck = [f"s-{number:03}" for number in range(3 * PAGE_SIZE + 7)]
    for key in stuck:
        bench.store.put_conversation({"_id": key, "rev": "seven"})
    waits = SyncState(version=1, waiting_since=T0 - timedelta(minutes=1))
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
        item = bench.store.work_item("w-c-1")
        assert item is not None
        bench.store.put_work_item({**item, "rev": 3})

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


def _state_expiry(bench: GapPollBench) -> StateExpiry:
    return StateExpiry(pairs=bench.store, days=30, runtime=bench.runtime)


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
