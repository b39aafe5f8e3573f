"""`observe`: every captured event as it happened, and beside it what our rules decide.

Every event meets the pair as it was captured: what we decide is written into a copy, which the next captured event of
the conversation throws away; its snapshot tells what stood there instead. So the end is the captured pair, plus what
we make of the last event, plus what the gap poll makes of it where a field was left waiting.

The sync state goes with the captured pair. An event on which we write nothing leaves in it what it would in the
worker. Where we do write, what we wrote was never there: then the event is observed, and of the pair as captured
every field on which the two sides agree counts as reconciled. So it does on a sync: the worker that made the capture
was the one to reconcile, and its sync is where it did. Syncs are observed and, unless a field waited for them, decide
nothing.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from commands.instant import format_instant, parse_instant
from handlers.events.event import Event
from handlers.events.parser import read_object
from handlers.outcome import Retry
from handlers.planning.event_batch import load_request_of
from handlers.planning.pair_draft import PairDraft
from sync.audit import AuditOutcome
from sync.conversation import FIELDS
from sync.state import after_reconcile
from worker.replay.captured_events import CapturedEvent
from worker.replay.clock import EPOCH, later
from worker.replay.environment import TRIES_MAX, DecisionSink, ReplayEnvironment
from worker.replay.pair_archive import PairArchive, PairState
from worker.store.memory import MemoryStore


class Observer:
    """Takes captured events one at a time."""

    def __init__(self, environment: ReplayEnvironment, tell: DecisionSink) -> None:
        self._environment = environment
        self._tell = tell
        self._archive = PairArchive()

    async def take(self, captured: CapturedEvent) -> None:
        """The next event, and whatever came due before it."""
        conversation_id = captured.event.conversation_id
        seen = _Seen.taken(self._archive.take(conversation_id))
        at = later(seen.at, captured.event.published_at)
        due = self._environment.poll_due(seen.decided)
        if due is not None and due <= at:
            await self._poll(conversation_id, seen, due)
        seen.at = at
        again, seen.again = seen.again, []
        await self._one(seen, captured.event, captured.capture.value, captured, tries=1)
        for tries, thing in again:
            event = read_object(thing)
            assert isinstance(event, Event), "it has been read before"
            await self._one(seen, event, thing, captured, tries=tries + 1)
        self._archive.put(conversation_id, seen.as_json(conversation_id))

    async def finish(self) -> None:
        """No more events come: what waits is decided by the poll."""
        for conversation_id in self._archive:
            seen = _Seen.taken(self._archive.take(conversation_id))
            due = self._environment.poll_due(seen.decided)
            if due is not None:
                await self._poll(conversation_id, seen, due)
                self._archive.put(conversation_id, seen.as_json(conversation_id))

    def pair_states(self) -> Iterator[tuple[str, PairState]]:
        """Every conversation as it stands."""
        for conversation_id in self._archive:
            yield conversation_id, _Seen.taken(self._archive.take(conversation_id)).decided

    async def _one(self, seen: "_Seen", event: Event, thing: Any, captured: CapturedEvent, *, tries: int) -> None:
        key = event.conversation_id
        store = await seen.captured.store(key)
        trial = store.copy()
        end = await self._environment.handle(event, trial, seen.at)
        if isinstance(end.outcome, Retry) and tries < TRIES_MAX:
            seen.again.append((tries, thing))
        wrote = end.audit.outcome is AuditOutcome.APPLIED
        if not event.is_sync or wrote or tries > 1:
            self._tell(end, captured if tries == 1 else None, seen.at)
        if wrote:
            await _note(store, key, event, seen.at)
        elif event.is_sync and trial.state(key).waiting_since is None:
            await _note(trial, key, None, seen.at)
        seen.captured = PairState.of(key, store if wrote else trial)
        seen.decided = PairState.of(key, trial)

    async def _poll(self, conversation_id: str, seen: "_Seen", due: datetime) -> None:
        seen.at = later(seen.at, due)
        trial = await seen.decided.store(conversation_id)
        polled = await self._environment.poll(conversation_id, trial, seen.at)
        if polled is None:
            return
        self._tell(polled, None, seen.at)
        seen.decided = PairState.of(conversation_id, trial)
        store = await seen.captured.store(conversation_id)
        await _note(store, conversation_id, None, seen.at)
        seen.captured = PairState.of(conversation_id, store)


@dataclass(slots=True, kw_only=True)
class _Seen:
    """One conversation: as it was captured, and as our last decision left it. `again`: events whose end was a fault,
    and how often each was tried."""

    captured: PairState = field(default_factory=PairState)
    decided: PairState = field(default_factory=PairState)
    at: datetime = EPOCH
    again: list[tuple[int, Any]] = field(default_factory=list)

    @classmethod
    def taken(cls, kept: dict[str, Any] | None) -> "_Seen":
        """From the shelf; None: not met yet."""
        seen = cls()
        if kept is not None:
            seen.captured = seen.decided = PairState.from_json(kept["captured"])
            if kept["decided"] is not None:
                seen.decided = PairState.from_json(kept["decided"])
            seen.at = parse_instant(kept["at"]) or EPOCH
            seen.again = [(tries, thing) for tries, thing in kept["again"]]
        return seen

    def as_json(self, conversation_id: str) -> dict[str, Any]:
        """For the shelf."""
        same = self.decided == self.captured
        return {
            "captured": self.captured.as_json(conversation_id),
            "decided": None if same else self.decided.as_json(conversation_id),
            "at": format_instant(self.at),
            "again": self.again,
        }


async def _note(store: MemoryStore, conversation_id: str, event: Event | None, at: datetime) -> None:
    """The event's snapshot and revision, and on which fields the pair as it was captured agrees; no rule is asked."""
    events = [] if event is None else [event]
    pairs = await store.load([load_request_of(conversation_id, events)])
    draft = PairDraft(conversation_id, pairs[conversation_id])
    if event is not None:
        if event.supported:
            draft.take_in(event)
        draft.observe(event)
    conversation, item = draft.conversation(), draft.pair_item()
    if conversation is not None and item is not None:
        draft.state = after_reconcile(draft.state, conversation, item, now=at, undecided=frozenset(FIELDS))
    await store.commit([draft.plan(now=at)])
