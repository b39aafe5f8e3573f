"""The transaction limit: a store too slow for a batch gets smaller transactions, and in time whole ones again."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from handlers.ports import CommitResult, LoadRequest, Pair, Plan, PlanRejected, Store, StoreAway, StoreTimeout
from tests.handlers.wire_events import conversation, event, text, work_item
from tests.handlers.world import SlowStore, World
from tests.worker.consumer.consumer_bench import ConsumerBench
from tests.worker.fake_clock import FakeClock, until
from tests.worker.telemetry_recorder import TelemetryRecorder, runtime_of
from worker.consumer.transaction_limit import TransactionLimit
from worker.telemetry.metrics import Metric

SMALLER = "smaller transactions: a commit timed out"
WHOLE = "transactions whole again"


class LimitBench:
    """A limit of 200, and a store that works or is away."""

    def __init__(self) -> None:
        self.clock, self.recorder = FakeClock(), TelemetryRecorder()
        self.runtime = runtime_of(self.clock, self.recorder)
        self.limit = TransactionLimit(200, self.runtime)

    def time_out(self, conversations: int) -> int:
        """A commit without an answer, as a lane tells of it; returns the limit after it."""
        self.limit.timed_out(conversations, reason="no answer")
        self.runtime.store_availability.mark_away("no answer")
        self.runtime.store_availability.mark_back()
        return self.limit.conversations_max

    async def commit_after(self, seconds: float, conversations: int) -> int:
        """A commit after so long; returns the limit after it."""
        await self.clock.advance(seconds)
        self.limit.committed(conversations)
        return self.limit.conversations_max


@pytest.fixture
def bench() -> LimitBench:
    return LimitBench()


def test_it_falls_to_half_of_what_was_tried(bench: LimitBench) -> None:
    assert [bench.time_out(tried) for tried in (200, 100, 31, 15, 7, 3, 1)] == [100, 50, 15, 7, 3, 1, 1]
    lines = [(line["msg"], line["before"], line["conversations"], line["reason"]) for line in bench.recorder.lines[:1]]
    assert lines == [(SMALLER, 200, 100, "no answer")]
    assert bench.recorder.messages.count(SMALLER) == 6


def test_a_lane_that_was_under_way_with_more_lowers_it_no_further(bench: LimitBench) -> None:
    assert [bench.time_out(tried) for tried in (200, 200, 100, 100)] == [100, 100, 50, 50]
    assert bench.recorder.messages.count(SMALLER) == 2


async def test_it_doubles_once_the_store_has_worked_for_a_minute(bench: LimitBench) -> None:
    bench.time_out(200)
    bench.time_out(100)
    assert [await bench.commit_after(20, 50) for _ in range(3)] == [50, 50, 50]
    assert await bench.commit_after(1, 50) == 100
    assert WHOLE not in bench.recorder.messages
    assert await bench.commit_after(0, 100) == 200
    assert bench.recorder.messages.count(WHOLE) == 1
    assert await bench.commit_after(0, 200) == 200
    assert bench.recorder.messages.count(WHOLE) == 1


async def test_a_commit_of_fewer_conversations_proves_nothing(bench: LimitBench) -> None:
    bench.time_out(200)
    assert await bench.commit_after(600, 99) == 100
    assert await bench.commit_after(0, 100) == 200


async def test_a_limit_that_is_not_a_fraction_of_the_whole_ends_at_the_whole(bench: LimitBench) -> None:
    bench.time_out(150)
    assert [await bench.commit_after(61, tried) for tried in (75, 150)] == [150, 200]


async def test_each_attempt_that_fails_doubles_the_time_before_the_next_up_to_an_hour(bench: LimitBench) -> None:
    bench.time_out(200)
    bench.time_out(100)
    for seconds in (60, 120, 240, 480, 960, 1_920, 3_600, 3_600):
        assert await bench.commit_after(seconds, 50) == 50
        assert await bench.commit_after(1, 50) == 100
        assert bench.time_out(100) == 50
    # The cause is gone: the limit is whole, and the next time out is the first of another.
    assert [await bench.commit_after(3_601, tried) for tried in (50, 100, 200)] == [100, 200, 200]
    bench.time_out(200)
    assert await bench.commit_after(61, 100) == 200


async def test_a_smaller_commit_at_the_whole_limit_does_not_reset_the_time(bench: LimitBench) -> None:
    bench.time_out(200)
    for tried in (100, 110):
        await bench.commit_after(61, tried)
    bench.time_out(200)
    assert [await bench.commit_after(seconds, 100) for seconds in (120, 1)] == [100, 200]


async def test_an_outage_that_went_down_to_one_is_over_after_a_minute(bench: LimitBench) -> None:
    """MongoDB without a majority answers loads, and no commit whatever its size."""
    for _ in range(3):
        for tried in (200, 100, 50, 25, 12, 6, 3, 1):
            bench.time_out(tried)
        assert await bench.commit_after(61, 1) == 2
        assert [await bench.commit_after(0, 2**power) for power in range(1, 8)] == [4, 8, 16, 32, 64, 128, 200]
        assert await bench.commit_after(0, 128) == 200


class ScriptedStore(SlowStore):
    """A SlowStore that can also be away, at a load or at a commit. Each load waits for `gate`.

    It answers no commit of `heavy` with another conversation.
    """

    def __init__(self, inner: Store, plans_max: int) -> None:
        super().__init__(inner, plans_max)
        self.away_at = ""
        self.heavy = ""
        self.gate = asyncio.Event()

    async def load(self, wants: Sequence[LoadRequest]) -> Mapping[str, Pair]:
        await self.gate.wait()
        if self.away_at == "load":
            raise StoreAway("no server")
        return await super().load(wants)

    async def commit(self, plans: Sequence[Plan]) -> Sequence[CommitResult | PlanRejected]:
        if self.away_at == "commit":
            raise StoreAway("no primary")
        if len(plans) > 1 and self.heavy in {plan.conversation_id for plan in plans}:
            self.timed_out.append(len(plans))
            raise StoreTimeout("no answer")
        return await super().commit(plans)


class LaneBench(ConsumerBench):
    """A consumer with one lane, and the batch handler on a store that answers no commit of more than `plans_max`
    plans. There are `count` pairs, and c-0."""

    def __init__(self, *, count: int, plans_max: int, batch_max: int = 200, fifo: bool = False) -> None:
        self.world = World(lambda inner: ScriptedStore(inner, plans_max))
        assert isinstance(self.world.outer, ScriptedStore)
        self.store = self.world.outer
        self.keys = [f"c-{number}" for number in range(1, count + 1)]
        for key in ("c-0", *self.keys):
            self.world.put(conversation(3, key=key), work_item(7, key=f"w{key}", of=key))
        super().__init__(FakeClock(), fifo=fifo, lanes=1, batch_max=batch_max, handler=self.world.handler)
        self.start()
        self._fifo, self._rev = fifo, 3

    async def handle(self, *, events: int = 1) -> None:
        """Send so many events of each pair as one batch, and return when they are settled.

        They assign the work-item, or un-assign it where it is assigned. An event of c-0 keeps the lane busy until all
        others have been received.
        """
        self.store.gate.clear()
        users = () if self.world.c(self.keys[0]).assigned_users else ("u-1",)
        self._send("c-0", self._rev + 1, users)
        await until(lambda: len(self.in_flight) == 1)
        for key, rev in self.sent(events):
            self._send(key, rev, users)
        await until(lambda: len(self.in_flight) == 1 + events * len(self.keys))
        self._rev += events
        self.store.committed.clear()
        self.store.gate.set()
        for _ in range(50):
            await self.clock.advance(1)
        await self.drained()
        assert self.store.committed.pop(0) == ["c-0"]

    def sent(self, events: int) -> list[tuple[str, int]]:
        """The events by conversation and revision, as `handle` sends them next. On a FIFO queue a group's second
        message would not be received after the first, so it stands beside it."""
        revisions = range(self._rev + 1, self._rev + 1 + events)
        if self._fifo:
            return [(key, rev) for key in self.keys for rev in revisions]
        return [(key, rev) for rev in revisions for key in self.keys]

    def _send(self, key: str, rev: int, users: tuple[str, ...]) -> None:
        self.queue.send(text(event(conversation(rev, key=key, users=users))), group=key if self._fifo else None)


@pytest.mark.parametrize("fifo", [False, True])
async def test_a_store_too_slow_for_a_batch_gets_it_in_smaller_transactions(fifo: bool) -> None:
    bench = LaneBench(count=40, plans_max=3, fifo=fifo)
    sent = bench.sent(2)
    await bench.handle(events=2)
    assert bench.store.timed_out == [40, 20, 10, 5]
    # Each conversation is decided once, with both events, in the order in which they came.
    assert [len(part) for part in bench.store.committed] == [2] * 20
    assert [key for part in bench.store.committed for key in part] == bench.keys
    audits = [(audit["conversationId"], audit["event"]["rev"]) for audit in bench.audits]
    assert audits == [("c-0", 4), *sent]
    assert len(bench.offered) == len(set(bench.offered)) == len(bench.world.announced()) == 41
    assert bench.queue.dead == []
    assert [line["conversations"] for line in bench.recorder.lines if line["msg"] == SMALLER] == [20, 10, 5, 2]
    await bench.stop()


async def test_what_is_committed_before_a_part_times_out_is_decided_and_announced_once() -> None:
    bench = LaneBench(count=8, plans_max=100)
    bench.store.heavy = "c-6"
    await bench.handle()
    assert bench.store.timed_out == [8, 4, 2]
    assert bench.store.committed == [["c-1", "c-2", "c-3", "c-4"], ["c-5"], ["c-6"], ["c-7"], ["c-8"]]
    assert [audit["conversationId"] for audit in bench.audits] == ["c-0", *bench.keys]
    assert len(bench.offered) == len(set(bench.offered)) == len(bench.world.announced()) == 9
    await bench.stop()


@pytest.mark.parametrize("at", ["load", "commit"])
async def test_an_outage_leaves_the_limit_as_it_is(at: str) -> None:
    bench = LaneBench(count=40, plans_max=100)
    bench.store.away_at = at
    handling = asyncio.ensure_future(bench.handle())
    await until(lambda: bench.store_availability.is_away)
    bench.store.away_at = ""
    await handling
    assert (bench.store.committed, bench.store.timed_out) == ([bench.keys], [])
    assert bench.recorder.total(Metric.STORE_PAUSE) == 1
    assert SMALLER not in bench.recorder.messages
    await bench.stop()


async def test_the_transactions_are_whole_again_a_minute_after_the_store_is_fast_again() -> None:
    bench = LaneBench(count=16, plans_max=3, batch_max=16)
    sizes: list[list[int]] = []
    for _ in range(2):
        await bench.handle()
        sizes.append([len(part) for part in bench.store.committed])
        bench.store.plans_max = 100
    await bench.clock.advance(10)
    for _ in range(4):
        await bench.handle()
        sizes.append([len(part) for part in bench.store.committed])
    assert sizes == [[2] * 8, [2] * 8, [2] * 8, [4] * 4, [8] * 2, [16]]
    assert bench.store.timed_out == [16, 8, 4]
    assert [each for each in bench.recorder.messages if each in {SMALLER, WHOLE}] == [*[SMALLER] * 3, WHOLE]
    await bench.stop()
