"""`simulate`: what would have come of the outside writes if ours had been the worker that synced.

Outside writes are done again in order of publication, each on the document as the simulation has it, and their events
are handled as soon as they are written. The syncs of the capture are left out, and ours take their place. At the end
the gap poll takes up what waits, and the contract of sync-rules.md is asked about every pair.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from commands.instant import format_instant, parse_instant
from handlers.events.event import Event
from handlers.events.parser import read_object
from handlers.outcome import Retry
from handlers.ports import Document
from worker.captures import CaptureFault
from worker.errors import NotReenacted
from worker.replay.captured_events import CapturedEvent
from worker.replay.clock import EPOCH, later
from worker.replay.contract_check import OutsideWrites
from worker.replay.environment import TRIES_MAX, DecisionSink, ReplayEnvironment
from worker.replay.initial_state import InitialStates
from worker.replay.pair_archive import PairArchive, PairState
from worker.replay.reenactment import ReenactedWrite, Revisions, reenact
from worker.store.memory import MemoryStore


class Simulator:
    """Takes captured events one at a time, in order; `initial_states` has seen them all."""

    def __init__(
        self,
        environment: ReplayEnvironment,
        initial_states: InitialStates,
        tell: DecisionSink,
        fault: Callable[[CaptureFault], None],
    ) -> None:
        self._environment = environment
        self._initial_states = initial_states
        self._tell = tell
        self._fault = fault
        self._archive = PairArchive()
        self._revisions: dict[str, Revisions] = {}
        """By document. Grows with the conversation, and only here, so it is not put on the shelf each time."""

    async def take(self, captured: CapturedEvent) -> None:
        """The next event: a sync is left out, and so is a write that was done again before."""
        event = captured.event
        conversation_id = event.conversation_id
        life = self._life(conversation_id)
        written = self._revisions.setdefault(event.document_id, Revisions())
        if not event.is_sync and not written.has(event.rev):
            life.at = await self._polled(conversation_id, life, later(life.at, event.published_at))
            try:
                await self._write(captured, life, written)
            except NotReenacted as why:
                where = captured.capture
                self._fault(CaptureFault(file=where.file, line=where.line, message=str(why)))
        self._archive.put(conversation_id, life.as_json(conversation_id))

    async def finish(self) -> None:
        """No more events come: what waits is decided by the poll."""
        for conversation_id in self._archive:
            life = self._life(conversation_id)
            due = self._environment.poll_due(life.pair_state)
            if due is not None:
                life.at = await self._polled(conversation_id, life, due)
                self._archive.put(conversation_id, life.as_json(conversation_id))

    def pair_states(self) -> Iterator[tuple[str, PairState]]:
        """Every conversation as it stands."""
        for conversation_id in self._archive:
            yield conversation_id, self._life(conversation_id).pair_state

    def violations(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Every broken promise, in the shape of interfaces.md, with its conversation's id."""
        for conversation_id in self._archive:
            life = self._life(conversation_id)
            for violation in life.outside.broken(life.pair_state, life.sync_writes):
                yield conversation_id, violation

    def _life(self, conversation_id: str) -> "_Life":
        kept = self._archive.take(conversation_id)
        if kept is not None:
            return _Life.taken(kept)
        pair_state = self._initial_states.pair_state(conversation_id)
        for document in (pair_state.conversation, *pair_state.work_items):
            if document is not None:
                self._revisions[document["_id"]] = Revisions(document["rev"])
        return _Life(pair_state=pair_state)

    async def _write(self, captured: CapturedEvent, life: "_Life", written: Revisions) -> None:
        key = captured.event.conversation_id
        store = await life.pair_state.store(key)
        before = document_in(store, captured.event)
        of_conversation = self._revisions.get(key) or Revisions()
        reenacted = reenact(captured.event, captured.raw, before, revisions=of_conversation, at=life.at)
        put(store, reenacted)
        written.add(captured.event.rev, reenacted.event.rev)
        life.outside = life.outside.with_write(reenacted)
        again, life.again = life.again, []
        await self._deliver(life, store, reenacted.event, reenacted.message, captured, tries=1)
        for tries, message in again:
            event = read_object(message)
            assert isinstance(event, Event), "it has been read before"
            await self._deliver(life, store, event, message, None, tries=tries + 1)
        life.pair_state = PairState.of(key, store)

    async def _deliver(
        self,
        life: "_Life",
        store: MemoryStore,
        event: Event,
        message: Mapping[str, Any],
        captured: CapturedEvent | None,
        *,
        tries: int,
    ) -> None:
        end = await self._environment.handle(event, store, life.at)
        if isinstance(end.outcome, Retry) and tries < TRIES_MAX:
            life.again.append((tries, message))
        life.sync_writes += len(end.announcements)
        self._tell(end, captured, life.at)

    async def _polled(self, conversation_id: str, life: "_Life", at: datetime) -> datetime:
        """The time `at`, once the poll has been where it would have been before."""
        due = self._environment.poll_due(life.pair_state)
        if due is None or due > at:
            return at
        store = await life.pair_state.store(conversation_id)
        polled = await self._environment.poll(conversation_id, store, due)
        if polled is not None:
            self._tell(polled, None, due)
            life.sync_writes += len(polled.announcements)
            life.pair_state = PairState.of(conversation_id, store)
        return at


@dataclass(slots=True, kw_only=True)
class _Life:
    """One conversation in the simulation. `again`: events whose end was a fault, and how often each was tried."""

    pair_state: PairState
    at: datetime = EPOCH
    outside: OutsideWrites = field(default_factory=OutsideWrites)
    sync_writes: int = 0
    again: list[tuple[int, Mapping[str, Any]]] = field(default_factory=list)

    @classmethod
    def taken(cls, kept: Mapping[str, Any]) -> "_Life":
        """From the shelf."""
        return cls(
            pair_state=PairState.from_json(kept["pair_state"]),
            at=parse_instant(kept["at"]) or EPOCH,
            outside=OutsideWrites.from_json(kept["outside"]),
            sync_writes=kept["syncWrites"],
            again=[(tries, message) for tries, message in kept["again"]],
        )

    def as_json(self, conversation_id: str) -> dict[str, Any]:
        """For the shelf."""
        return {
            "pair_state": self.pair_state.as_json(conversation_id),
            "at": format_instant(self.at),
            "outside": self.outside.as_json(),
            "syncWrites": self.sync_writes,
            "again": self.again,
        }


def document_in(store: MemoryStore, event: Event) -> Document | None:
    """The document that the event is about."""
    read = store.conversation if event.side == "conversation" else store.work_item
    return read(event.document_id)


def put(store: MemoryStore, reenacted: ReenactedWrite) -> None:
    """Store the write, as the document's owner would.

    A second active work-item is refused, as it is in the worker: its event comes again once the first is completed.
    """
    if reenacted.event.side == "conversation":
        store.put_conversation(reenacted.document)
        return
    try:
        store.put_work_item(reenacted.document)
    except ValueError:
        return
