"""`simulate`: what the outside writes would have led to if our worker had made the syncs.

Outside writes are re-enacted in the order of publication, each on the simulated document, and their events are
handled at once. The captured syncs are left out; ours take their place. At the end the gap poll decides where a field
waits, and every pair is checked against the contract (docs/rules.md).
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from handlers.events.event import Event
from handlers.outcome import Retry
from handlers.ports import Document, Pair
from worker.captures import CaptureFault
from worker.errors import NotReenacted
from worker.replay.captured_events import EPOCH, CapturedEvent
from worker.replay.contract_check import OutsideWrites
from worker.replay.environment import DELIVERIES_MAX, DecisionSink, ReplayEnvironment, time_after
from worker.replay.pairs.initial_pairs import InitialPairs
from worker.replay.pairs.pair_archive import PairArchive, pair_in
from worker.replay.reenactment import ReenactedWrite, Revisions, reenact
from worker.store.memory.store import MemoryStore


class Simulator:
    """Takes captured events one at a time, in order; `initial_pairs` has seen all of them."""

    def __init__(
        self,
        environment: ReplayEnvironment,
        initial_pairs: InitialPairs,
        report: DecisionSink,
        report_fault: Callable[[CaptureFault], None],
    ) -> None:
        self._environment = environment
        self._initial_pairs = initial_pairs
        self._report = report
        self._report_fault = report_fault
        self._archive: PairArchive[_SimulatedPair] = PairArchive()
        self._revisions: dict[str, Revisions] = {}
        """By document. They grow with every write, so they are kept outside the archive, which would pack them again
        each time."""

    async def take(self, captured: CapturedEvent) -> None:
        """Re-enact the next event's write; a sync and a write that was re-enacted before are left out."""
        event = captured.event
        conversation_id = event.conversation_id
        simulated = self._simulated(conversation_id)
        revisions = self._revisions.setdefault(event.document_id, Revisions())
        if not event.is_sync and not revisions.has(event.rev):
            at = time_after(simulated.at, event.published_at)
            await self._poll(conversation_id, simulated, until=at)
            simulated.at = at
            try:
                await self._write(captured, simulated, revisions)
            except NotReenacted as why:
                self._report_fault(CaptureFault(file=captured.file, line=captured.line, message=str(why)))
        self._archive.put(conversation_id, simulated)

    async def finish(self) -> None:
        """The capture has ended: run the gap poll on every pair that waits."""
        for conversation_id in self._archive:
            simulated = self._simulated(conversation_id)
            if simulated.pair.state.waiting is not None:
                await self._poll(conversation_id, simulated)
                self._archive.put(conversation_id, simulated)

    def pairs(self) -> Iterator[tuple[str, Pair]]:
        """Every conversation's id and its pair."""
        for conversation_id in self._archive:
            yield conversation_id, self._simulated(conversation_id).pair

    def violations(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Every violation of the contract (docs/rules.md), with its conversation's id."""
        for conversation_id in self._archive:
            simulated = self._simulated(conversation_id)
            for violation in simulated.outside.violations(simulated.pair, simulated.sync_writes):
                yield conversation_id, violation

    def _simulated(self, conversation_id: str) -> "_SimulatedPair":
        simulated = self._archive.get(conversation_id)
        if simulated is not None:
            return simulated
        pair = self._initial_pairs.pair(conversation_id)
        for document in (pair.conversation, *pair.work_items):
            if document is not None:
                self._revisions[document["_id"]] = Revisions(document["rev"])
        return _SimulatedPair(pair=pair)

    async def _write(self, captured: CapturedEvent, simulated: "_SimulatedPair", revisions: Revisions) -> None:
        conversation_id = captured.event.conversation_id
        store = MemoryStore.seeded({conversation_id: simulated.pair})
        reenacted = reenact(
            captured.event,
            captured.raw,
            document_in(store, captured.event),
            revisions=self._revisions.get(conversation_id) or Revisions(),
            at=simulated.at,
        )
        put(store, reenacted)
        revisions.add(captured.event.rev, reenacted.event.rev)
        simulated.outside = simulated.outside.with_write(reenacted)
        redelivered, simulated.retries = simulated.retries, []
        await self._deliver(simulated, store, reenacted.event, captured, delivery=1)
        for deliveries, event in redelivered:
            await self._deliver(simulated, store, event, None, delivery=deliveries + 1)
        simulated.pair = pair_in(store, conversation_id)

    async def _deliver(
        self,
        simulated: "_SimulatedPair",
        store: MemoryStore,
        event: Event,
        captured: CapturedEvent | None,
        *,
        delivery: int,
    ) -> None:
        handled = await self._environment.handle(event, store, simulated.at)
        if isinstance(handled.outcome, Retry) and delivery < DELIVERIES_MAX:
            simulated.retries.append((delivery, event))
        simulated.sync_writes += len(handled.announcements)
        self._report(handled, captured, simulated.at)

    async def _poll(self, conversation_id: str, simulated: "_SimulatedPair", *, until: datetime | None = None) -> None:
        """Run the gap polls that are due up to `until`; None: until no field waits."""
        if simulated.pair.state.waiting is None:
            return
        store = MemoryStore.seeded({conversation_id: simulated.pair})
        async for polled, at in self._environment.polls(conversation_id, store, until):
            simulated.at = at
            if polled is not None:
                self._report(polled, None, at)
                simulated.sync_writes += len(polled.announcements)
        simulated.pair = pair_in(store, conversation_id)


@dataclass(slots=True, kw_only=True)
class _SimulatedPair:
    """One conversation in the simulation.

    `retries`: events whose outcome was Retry, each with the number of its deliveries so far. `sync_writes`: how many
    writes our rules made.
    """

    pair: Pair
    at: datetime = EPOCH
    outside: OutsideWrites = field(default_factory=OutsideWrites)
    sync_writes: int = 0
    retries: list[tuple[int, Event]] = field(default_factory=list)


def document_in(store: MemoryStore, event: Event) -> Document | None:
    """The stored document that the event is about, or None."""
    read = store.conversation if event.side == "conversation" else store.work_item
    return read(event.document_id)


def put(store: MemoryStore, reenacted: ReenactedWrite) -> None:
    """Store the write as the document's owner would.

    A second active work-item is not stored, as in the worker: its event is delivered again, after the event that
    completes the first.
    """
    if reenacted.event.side == "conversation":
        store.put_conversation(reenacted.document)
        return
    try:
        store.put_work_item(reenacted.document)
    except ValueError:
        return
