"""One seeded run of a fleet in virtual time: outside writers, an unreliable queue, workers that crash between any two
steps, and a store that fails before and after a commit. The worker's own handlers decide, on the in-memory store.

Every draw comes from one seed: a seed and a commit replay a run exactly.
"""

import contextlib
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import timedelta
from random import Random

import orjson

from commands.session import place_of
from handlers.batch_handler import BatchHandler
from handlers.documents.document_mapping import work_item_of
from handlers.events.event import Event
from handlers.options import Options, PolicyInUse
from handlers.outcome import HandledEvent, Retry
from handlers.planning.event_batch import IN_TIME, EventBatch, lateness
from handlers.ports import Store, StoreAway
from sync.contract import sync_writes_max
from tests.causality.outside import NOW
from tests.causality.ports import AnyIds
from tests.causality.queue_and_store import ShakyStore, UnreliableQueue
from tests.causality.services import Services
from tests.causality.tally import SimulationSettings, Tally
from tests.causality.virtual_time import VirtualTime
from worker.consumer.queue_lateness import QueueLatenessTracker
from worker.store.documents import Collection
from worker.store.memory import MemoryStore


class Run:
    """The run of one seed."""

    def __init__(self, seed: int, dials: SimulationSettings, policy: PolicyInUse = PolicyInUse.CAUSAL) -> None:
        self._seed, self._dials, self._random = seed, dials, Random(seed)
        self._time = VirtualTime(start=NOW)
        self._store = MemoryStore()
        self._tally = Tally(seeds=1)
        self._queue = UnreliableQueue(dials, self._random, self._time)
        self._options = Options(policy=policy, gap_seconds=dials.gap_s)
        self._ids = AnyIds()
        self._lateness = QueueLatenessTracker(self._time)
        self._services = Services(
            dials=dials,
            random=self._random,
            time=self._time,
            store=self._store,
            queue=self._queue,
            tally=self._tally,
        )

    def run(self) -> Tally:
        """Run to the end, then check every conversation."""
        self._services.begin()
        for _ in range(self._dials.workers):
            self._hire()
        self._time.begin(self._poll_rounds())
        self._time.run()
        self._services.write_once_more()
        self._hire()
        self._time.run()
        self._poll()
        self._judge()
        return self._tally

    # The workers

    def _hire(self) -> None:
        batch: list[Event] = []
        self._time.begin(self._work(batch), crashed=lambda: self._crashes(batch))

    def _crashes(self, batch: list[Event]) -> bool:
        """Draw whether the worker crashes. If so its events come again later, and another worker starts."""
        if self._random.random() >= self._dials.crash:
            return False
        self._tally.crashes += 1
        self._queue.give_back(batch)
        batch.clear()
        self._hire()
        return True

    async def _work(self, batch: list[Event]) -> None:
        store = ShakyStore(self._store, self._queue, self._tally)
        handler = self._handler(store)
        while self._services.writing or not self._queue.empty or batch:
            await self._time.sleep(self._random.random())
            if self._queue.answers:
                self._lateness.note_response()
            batch.extend(self._queue.take())
            if not batch:
                continue
            self._lateness.note_lateness(lateness(batch, self._time.now()))
            self._tally.deliveries += len(batch)
            handled = await self._handle(handler, batch)
            self._queue.give_back([one.event for one in handled if isinstance(one.outcome, Retry)])
            # Deleting the messages is a step of its own: after a crash before it the events come again.
            await self._time.sleep(0.01)
            batch.clear()

    async def _handle(self, handler: BatchHandler, events: Sequence[Event]) -> list[HandledEvent]:
        """Hand the events in again while the store is away, as a lane does."""
        batch = EventBatch(events)
        while batch.open:
            try:
                await handler.handle_batch(batch)
                for contended in batch.open_by_conversation().values():
                    batch.end(await handler.handle_contended(contended))
            except StoreAway:
                await self._time.sleep(1)
        return batch.handled

    async def _poll_rounds(self) -> None:
        """Poll beside the workers while they work; a poll may have a write conflict with a worker, and the store may
        fail."""
        handler = self._handler(ShakyStore(self._store, self._queue, self._tally))
        while self._services.writing or not self._queue.empty:
            await self._time.sleep(self._dials.gap_s / 4 * (0.5 + self._random.random()))
            late = self._lateness.current()
            waiting = [] if late is None else self._waiting(timedelta(seconds=self._dials.gap_s) + late)
            with contextlib.suppress(StoreAway):
                await handler.close_gaps(waiting, late or IN_TIME)

    def _poll(self) -> None:
        """Poll the pairs that still wait, long after the last write."""
        self._time.pass_by(10 * self._dials.gap_s)
        waiting = self._waiting(IN_TIME)
        self._tally.gaps += len(waiting)
        self._time.begin(self._close_gaps(waiting))
        self._time.run()

    async def _close_gaps(self, waiting: Sequence[str]) -> None:
        await self._handler(self._store).close_gaps(waiting)

    def _waiting(self, longer_than: timedelta) -> list[str]:
        stamps = ((key, self._store.state(key).waiting_since) for key in self._services.cases)
        before = self._time.now() - longer_than
        return [key for key, since in stamps if since is not None and since < before]

    def _handler(self, store: Store) -> BatchHandler:
        return BatchHandler(store=store, clock=self._time, ids=self._ids, chance=self._random, options=self._options)

    # Checking the end

    def _judge(self) -> None:
        announced = self._announced()
        self._tally.syncs += announced.total()
        for key, case in self._services.cases.items():
            self._say(f"{key} {each}" for each in self._services.wrong(case))
            if announced[key] > sync_writes_max(case.writes):
                self._say([f"{key} 3 loops: {announced[key]} syncs of {case.writes} writes"])
        items = [work_item_of(document) for document in self._store.documents(Collection.WORK_ITEMS)]
        places = sorted(item.id for item in items if place_of(item) is not None)
        sessions = self._services.sessions()
        held = sorted(each.id for session in sessions for each in (*session.work_items, *session.paused_work_items))
        if held != places:
            self._say([f"sessions hold {held}, work-items say {places}"])

    def _announced(self) -> Counter[str]:
        """The number of sync writes by conversation; each must be in the outbox once, by document and revision."""
        revisions: Counter[tuple[str, int]] = Counter()
        conversations: Counter[str] = Counter()
        for entry in self._store.documents(Collection.OUTBOX):
            data = orjson.loads(entry["message"])["body"]["data"]
            revisions[data["id"], data["attributes"]["rev"]] += 1
            conversations[entry["conversationId"]] += 1
        self._say(f"{key} revision {rev} announced twice" for (key, rev), times in revisions.items() if times > 1)
        return conversations

    def _say(self, wrong: Iterable[str]) -> None:
        self._tally.wrong.extend(f"seed {self._seed}: {each}" for each in wrong)
