"""A store too slow for a batch gets smaller transactions from the lanes, and in time whole ones again."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from handlers.ports import (
    CommitResult,
    CommitTimeout,
    LoadRequest,
    Pair,
    Plan,
    PlanRejected,
    Store,
    StoreAway,
    StoreTimeout,
)
from tests.handlers.wire_events import conversation, event, text, work_item
from tests.handlers.world import World, WrappedStore
from tests.worker.consumer.consumer_bench import ConsumerBench
from tests.worker.stand_ins.fake_clock import FakeClock, until
from worker.telemetry.metrics import Metric

SMALLER = "smaller transactions: a commit timed out"
WHOLE = "transactions whole again"


class ScriptedStore(WrappedStore):
    """A store that does not answer a commit of more than `plans_max` plans, and writes nothing of it. It can also be
    away, at a load or at a commit. Each load waits for `gate`.

    It answers no commit of more than ten plans with one of `heavy`. Where `halves` is set, it commits the first half of
    a commit of more than `plans_max`, and answers no more. `committed`: the conversations of each commit that was
    answered; `timed_out`: the number of plans of each other.
    """

    def __init__(self, inner: Store, plans_max: int) -> None:
        super().__init__(inner)
        self.plans_max = plans_max
        self.committed: list[list[str]] = []
        self.timed_out: list[int] = []
        self.away_at = ""
        self.heavy = ""
        self.halves = False
        self.gate = asyncio.Event()

    async def load(self, wants: Sequence[LoadRequest]) -> Mapping[str, Pair]:
        await self.gate.wait()
        if self.away_at == "load":
            raise StoreAway("no server")
        return await super().load(wants)

    async def commit(self, plans: Sequence[Plan]) -> Sequence[CommitResult | PlanRejected]:
        if self.away_at == "commit":
            raise StoreAway("no primary")
        keys = [plan.conversation_id for plan in plans]
        too_slow = len(plans) > self.plans_max
        if self.halves and too_slow:
            self.timed_out.append(len(plans))
            first, rest = plans[: len(plans) // 2], plans[len(plans) // 2 :]
            return [*await self.inner.commit(first), *(CommitResult.TIMED_OUT for _ in rest)]
        if too_slow or (len(plans) > 10 and self.heavy in keys):
            self.timed_out.append(len(plans))
            raise StoreTimeout("no answer")
        self.committed.append(keys)
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
    bench = LaneBench(count=80, plans_max=12, fifo=fifo)
    sent = bench.sent(2)
    await bench.handle(events=2)
    assert bench.store.timed_out == [80, 40, 20]
    # Each conversation is decided once, with both events, in the order in which they came.
    assert [len(part) for part in bench.store.committed] == [10] * 8
    assert [key for part in bench.store.committed for key in part] == bench.keys
    audits = [(audit["conversationId"], audit["event"]["rev"]) for audit in bench.audits]
    assert audits == [("c-0", 4), *sent]
    assert len(bench.offered) == len(set(bench.offered)) == len(bench.world.announced()) == 81
    assert bench.queue.dead == []
    lines = [
        (line["before"], line["conversations"], line["timedOut"], line["reason"])
        for line in bench.recorder.lines
        if line["msg"] == SMALLER
    ]
    assert lines == [(200, 40, 80, "no answer"), (40, 20, 40, "no answer"), (20, 10, 20, "no answer")]
    await bench.stop()


async def test_what_is_committed_before_a_part_times_out_is_decided_and_announced_once() -> None:
    bench = LaneBench(count=40, plans_max=100)
    bench.store.heavy = "c-26"
    await bench.handle()
    assert bench.store.timed_out == [40, 20]
    assert [len(part) for part in bench.store.committed] == [20, 10, 10]
    assert [key for part in bench.store.committed for key in part] == bench.keys
    assert [audit["conversationId"] for audit in bench.audits] == ["c-0", *bench.keys]
    assert len(bench.offered) == len(set(bench.offered)) == len(bench.world.announced()) == 41
    await bench.stop()


async def test_a_deadline_in_the_middle_of_a_commit_by_halves_lowers_the_limit() -> None:
    bench = LaneBench(count=80, plans_max=20)
    bench.store.halves = True
    await bench.handle()
    # Of 80, the second 40 had no result.
    assert bench.store.timed_out == [80]
    assert bench.store.committed == [bench.keys[40:60], bench.keys[60:]]
    assert [line["conversations"] for line in bench.recorder.lines if line["msg"] == SMALLER] == [20]
    assert [audit["conversationId"] for audit in bench.audits] == ["c-0", *bench.keys]
    assert len(bench.offered) == len(set(bench.offered)) == len(bench.world.announced()) == 81
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


async def test_after_a_time_out_each_batch_is_one_transaction() -> None:
    """A batch in parts would be settled only after its last part."""
    bench = LaneBench(count=40, plans_max=12, batch_max=40)
    await bench.handle()
    handled = bench.recorder.total(Metric.BATCH_SIZE)
    await bench.handle()
    assert [len(part) for part in bench.store.committed] == [10] * 4
    assert bench.recorder.total(Metric.BATCH_SIZE) - handled == 1 + 4
    await bench.stop()


async def test_the_transactions_are_whole_again_some_minutes_after_the_store_is_fast_again() -> None:
    bench = LaneBench(count=80, plans_max=12, batch_max=80)
    sizes: list[list[int]] = []
    for _ in range(4):
        await bench.handle()
        # `handle` takes 50 seconds.
        await bench.clock.advance(15)
        sizes.append([len(part) for part in bench.store.committed])
        bench.store.plans_max = 100
    assert sizes == [[10] * 8, [20] * 4, [40] * 2, [80]]
    assert bench.store.timed_out == [80, 40, 20]
    assert [each for each in bench.recorder.messages if each in {SMALLER, WHOLE}] == [*[SMALLER] * 3, WHOLE]
    await bench.stop()


async def test_own_syncs_alone_raise_no_limit() -> None:
    """They go on while the store is away."""
    bench = LaneBench(count=40, plans_max=20, batch_max=40, fifo=True)
    await bench.handle()
    await bench.clock.advance(15)
    ours = event(work_item(7), isSync=True, routingReasons=[{"action": "SYNC_WORK_ITEM"}])
    handled = bench.recorder.total(Metric.BATCH_SIZE)
    bench.queue.send(text(ours), group="c-1")
    await until(lambda: bench.recorder.total(Metric.BATCH_SIZE) > handled)
    await bench.drained()
    assert WHOLE not in bench.recorder.messages
    await bench.handle()
    assert WHOLE in bench.recorder.messages
    await bench.stop()


async def test_two_lanes_in_one_stall_lower_the_limit_once() -> None:
    bench = ConsumerBench(FakeClock(), lanes=2, batch_max=40)
    stalled = asyncio.Event()
    sizes = [40, 30]

    async def time_out() -> None:
        if sizes:
            size = sizes.pop(0)
            await stalled.wait()
            raise CommitTimeout("no answer", conversations=size)

    bench.handler.takes = time_out
    bench.start()
    for number in range(8):
        bench.queue.send(text(event(conversation(4, key=f"c-{number}"))))
    await until(lambda: not sizes)
    stalled.set()
    await until(lambda: SMALLER in bench.recorder.messages)
    await bench.clock.advance(1)
    await bench.drained()
    assert [line["conversations"] for line in bench.recorder.lines if line["msg"] == SMALLER] == [20]
    await bench.stop()


async def test_the_lanes_that_commit_nothing_keep_their_batches() -> None:
    bench = ConsumerBench(FakeClock(), lanes=1, batch_max=40)

    async def time_out_once() -> None:
        bench.handler.takes = None
        raise CommitTimeout("no answer", conversations=40)

    bench.handler.takes = time_out_once
    bench.start()
    bench.queue.send(text(event(conversation(4))))
    await until(lambda: SMALLER in bench.recorder.messages)
    await bench.clock.advance(1)
    await bench.drained()
    bench.handler.gate = asyncio.Event()
    for number in range(40):
        ours = event(work_item(7 + number), isSync=True, routingReasons=[{"action": "SYNC_WORK_ITEM"}])
        bench.queue.send(text(ours))
    await until(lambda: len(bench.in_flight) == 40)
    bench.handler.gate.set()
    await bench.drained()
    assert [len(ids) for ids in bench.handler.batches] == [1, 40]
    await bench.stop()
