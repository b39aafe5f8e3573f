"""The queue and the store of the simulation: a queue that delivers late, out of order and more than once, and a store
behind a network that fails before and after a commit."""

from collections.abc import Mapping, Sequence
from random import Random

from msgspec.structs import replace

from handlers.events.event import Event
from handlers.ports import CommitResult, LoadRequest, Pair, Plan, PlanRejected, StoreAway
from tests.causality.tally import SimulationSettings, Tally
from tests.causality.virtual_time import VirtualTime
from worker.store.memory import MemoryStore


class UnreliableQueue:
    """A standard queue at its worst; in some runs it delivers nothing for longer than the gap, while services write."""

    def __init__(self, dials: SimulationSettings, random: Random, time: VirtualTime) -> None:
        self.dials, self.random, self.time = dials, random, time
        self._visible: list[Event] = []
        self._on_the_way = 0
        stops = random.random() < dials.outage
        self._delivers_from_s = random.random() * dials.outage_s if stops else 0.0

    @property
    def empty(self) -> bool:
        """True where no event is visible and none is on its way."""
        return not self._visible and not self._on_the_way

    @property
    def answers(self) -> bool:
        """False while the queue delivers nothing."""
        return self.time.passed_s >= self._delivers_from_s

    def send(self, event: Event) -> None:
        """Deliver the event after a delay; sometimes a long one, sometimes twice."""
        for _ in range(2 if self.random.random() < self.dials.duplicate else 1):
            long_after = self.random.random() < self.dials.long_delay
            most_s = self.dials.gap_s * 0.5 if long_after else self.dials.delay_s
            self._come(event, self.random.random() * most_s)

    def give_back(self, events: Sequence[Event]) -> None:
        """Deliver the events again after the visibility timeout: they were not deleted."""
        for event in events:
            self._come(event, self.dials.visibility_s)

    def take(self) -> list[Event]:
        """Some visible events, in random order; never the same object twice in one batch."""
        if not self.answers:
            return []
        self.random.shuffle(self._visible)
        taken: dict[int, Event] = {}
        while self._visible and len(taken) < self.dials.batch_max and id(self._visible[-1]) not in taken:
            event = self._visible.pop()
            taken[id(event)] = event
        return list(taken.values())

    def _come(self, event: Event, after_s: float) -> None:
        self._on_the_way += 1
        self.time.begin(self._arrive(event), after_s=after_s)

    async def _arrive(self, event: Event) -> None:
        self._on_the_way -= 1
        self._visible.append(event)


class ShakyStore:
    """A store whose calls take time, so that other calls come in between; some fail before, some after their work."""

    def __init__(self, inner: MemoryStore, queue: UnreliableQueue, tally: Tally) -> None:
        """The store shares the queue's settings, chance and time."""
        self._inner, self._tally = inner, tally
        self._dials, self._random, self._time = queue.dials, queue.random, queue.time

    async def load(self, requests: Sequence[LoadRequest]) -> Mapping[str, Pair]:
        await self._pass()
        self._fail(self._dials.away_before)
        pairs = await self._inner.load(requests)
        await self._pass()
        # The documents are read after the states: other writes may come in between.
        documents = await self._inner.load(requests)
        await self._pass()
        return {key: replace(pair, state=pairs[key].state) for key, pair in documents.items()}

    async def commit(self, plans: Sequence[Plan]) -> Sequence[CommitResult | PlanRejected]:
        await self._pass()
        self._fail(self._dials.away_before)
        results = await self._inner.commit(plans)
        self._tally.conflicts += sum(result is CommitResult.CONFLICT for result in results)
        await self._pass()
        self._fail(self._dials.away_after)
        return results

    async def _pass(self) -> None:
        await self._time.sleep(self._random.random() * self._dials.call_s)

    def _fail(self, chance: float) -> None:
        if self._random.random() < chance:
            self._tally.away += 1
            raise StoreAway("drawn")
