"""Random histories of a work-item, delivered in any order, repeated and partly lost: the records equal the count."""

import asyncio
import types
from collections.abc import Coroutine, Generator, Mapping, Sequence
from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.events.event import Event
from handlers.options import PolicyInUse
from handlers.ports import CommitResult, LoadRequest, Pair, Plan, PlanRejected
from tests.handlers.routing.queue_history import HistoryWait, QueueHistory, counted
from tests.handlers.world import World, WrappedStore
from worker.store.documents import Collection
from worker.store.memory.store import MemoryStore

HOW: Final = settings(max_examples=60, deadline=None)

updates: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        {"queue": "q-1"},
        {"queue": "q-1"},
        {"queue": {"id": "q-2", "rule": "r-1"}},
        {"queue": None},
        {"routed": {"to": "u-1"}},
        {"routed": {"to": "u-1"}},
        {"routed": {"rejectedBy": "u-1"}},
        {"accepted": {"by": "u-1"}},
        {"assignedTo": "u-2"},
        {"assignedTo": None},
        {"assignedTo": None},
        {"queue": "q-2", "assignedTo": "u-1"},
        {"queue": None, "assignedTo": "u-1"},
        {"queue": "q-2", "assignedTo": None},
        {"assignedTo": "u-1", "status": "wrap-up"},
        {"status": "wrap-up"},
        {"paused": True},
        {"assignedTo": "u-1", "status": "completed"},
    ]
)


@st.composite
def histories(draw: st.DrawFn) -> QueueHistory:
    history = QueueHistory()
    history.write({"queue": "q-1"}, after_ms=draw(st.integers(0, 5_000)))
    for update in draw(st.lists(updates, min_size=1, max_size=12)):
        # Two writes of a work-item are never in the same millisecond.
        history.write(update, after_ms=draw(st.integers(1, 100_000)))
    return history


@st.composite
def deliveries(draw: st.DrawFn, events: Sequence[Event]) -> list[list[Event]]:
    """The events in any order, in batches, some of them repeated."""
    sent = [*events, *draw(st.lists(st.sampled_from(events), max_size=5))] if events else []
    order = draw(st.permutations(sent))
    cuts = sorted(draw(st.sets(st.integers(0, len(order)), max_size=5)))
    return [list(order[low:high]) for low, high in zip([0, *cuts], [*cuts, len(order)], strict=True) if low < high]


def _told(batches: Sequence[Sequence[Event]], **options: Any) -> list[HistoryWait]:
    world = World(waiting_times=True, **options)

    async def run() -> None:
        for batch in batches:
            await world.handle(batch)

    asyncio.run(run())
    return counted(world.store.documents(Collection.WAITS))


@given(data=st.data(), history=histories(), policy=st.sampled_from(PolicyInUse), stored=st.booleans())
@HOW
def test_any_order_and_any_repetition_lead_to_the_count(
    data: st.DataObject, history: QueueHistory, policy: PolicyInUse, *, stored: bool
) -> None:
    batches = data.draw(deliveries(history.events))
    assert _told(batches, policy=policy, state_from_events=stored) == history.waits


@given(data=st.data(), history=histories())
@HOW
def test_with_lost_events_each_record_is_one_of_the_count(data: st.DataObject, history: QueueHistory) -> None:
    """The queue alone may be one of a later time: the sighting that knows best is lost."""
    kept = data.draw(st.lists(st.sampled_from(history.events), unique_by=lambda event: event.rev))
    told = _told(data.draw(deliveries(kept)))
    count = [(wait.ended_at, wait.duration_ms) for wait in history.waits]
    assert [each for each in count if each in {(wait.ended_at, wait.duration_ms) for wait in told}] == [
        (wait.ended_at, wait.duration_ms) for wait in told
    ]
    arrived = {event.rev for event in kept}
    ends = {document["rev"]: at for document, at in _ends(history)}
    for rev, wait in ends.items():
        if rev in arrived:
            assert wait in told


class Pausing(WrappedStore):
    """A store that lets another worker go on before each of its calls."""

    async def load(self, wants: Sequence[LoadRequest]) -> Mapping[str, Pair]:
        await _pause()
        return await super().load(wants)

    async def commit(self, plans: Sequence[Plan]) -> Sequence[CommitResult | PlanRejected]:
        await _pause()
        return await super().commit(plans)


@types.coroutine
def _pause() -> Generator[None]:
    yield


class SteppedWorker:
    """A worker that handles batches of its own on a store that it shares; it takes one step at a time."""

    def __init__(self, store: MemoryStore, batches: Sequence[Sequence[Event]]) -> None:
        self.world = World(lambda _: Pausing(store), waiting_times=True)
        self.batches = batches
        self.running: Coroutine[Any, Any, None] | None = None

    def step(self) -> bool:
        """Go on until the next call of the store; False where all is done."""
        self.running = self.running or self._run()
        try:
            self.running.send(None)
        except StopIteration:
            self.running = None
            return False
        return True

    def kill(self) -> None:
        """The process ends before the next call of the store. Nothing was settled: the next one begins anew."""
        if self.running is not None:
            self.running.close()
            self.running = None

    async def _run(self) -> None:
        for batch in self.batches:
            await self.world.handle(batch)


@given(
    data=st.data(),
    history=histories(),
    steps=st.lists(st.tuples(st.integers(0, 1), st.sampled_from([False, False, False, False, True])), max_size=60),
)
@HOW
def test_workers_that_meet_and_are_killed_record_each_wait_once(
    data: st.DataObject, history: QueueHistory, steps: list[tuple[int, bool]]
) -> None:
    store = MemoryStore()
    workers = [SteppedWorker(store, data.draw(deliveries(history.events))) for _ in range(2)]
    for number, killed in steps:
        workers[number].kill() if killed else workers[number].step()
    for worker in workers:
        while worker.step():
            pass
    assert counted(store.documents(Collection.WAITS)) == history.waits


def _ends(history: QueueHistory) -> list[tuple[Any, HistoryWait]]:
    """The document after each write that ended a wait, with that wait."""
    by_time = {wait.ended_at: wait for wait in history.waits}
    found = []
    for event, document in zip(history.events, history.documents, strict=True):
        if event.published_at in by_time:
            found.append((document, by_time[event.published_at]))
    return found
