"""`observe`: every captured event as it happened, and beside it what our rules decide.

Every event meets the pair as it was captured. A decision is written into a copy of that pair, the decided pair; the
next captured event of the conversation discards it, because the event's snapshot shows what was written instead. So
the replay ends with the captured pair, the decision on the last event, and the gap poll's decision where a field waits.

The sync state belongs to the captured pair:

| the event | its effect on the captured pair's sync state |
|---|---|
| our rules write nothing | the same as in the worker |
| our rules write | the event is observed, and every field on which both sides agree counts as reconciled |
| a sync | the same, for the worker that made the capture reconciled the pair there |

A sync is observed and decides nothing, unless a field waited for it.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from msgspec.structs import replace

from handlers.events.event import Event
from handlers.outcome import Retry
from handlers.planning.drafts.pair_draft import PairDraft
from handlers.planning.event_batch import load_request_of
from handlers.ports import Pair
from sync.audit import AuditOutcome
from sync.conversation import FIELDS
from sync.state.reconciliation import Reconciled, after_reconcile
from worker.replay.captured_events import EPOCH, CapturedEvent
from worker.replay.environment import DELIVERIES_MAX, DecisionSink, ReplayEnvironment, time_after
from worker.replay.pairs.pair_archive import PairArchive, pair_in
from worker.store.memory.store import MemoryStore


class Observer:
    """Takes captured events one at a time and reports the decisions."""

    def __init__(self, environment: ReplayEnvironment, report: DecisionSink) -> None:
        self._environment = environment
        self._report = report
        self._archive: PairArchive[_ObservedPair] = PairArchive()

    async def take(self, captured: CapturedEvent) -> None:
        """Handle the next event, after a gap poll that was due before it."""
        conversation_id = captured.event.conversation_id
        observed = self._observed(conversation_id)
        at = time_after(observed.at, captured.event.published_at)
        await self._poll(conversation_id, observed, until=at)
        observed.at = at
        redelivered, observed.retries = observed.retries, []
        await self._deliver(observed, captured.event, captured, delivery=1)
        for deliveries, event in redelivered:
            await self._deliver(observed, event, None, delivery=deliveries + 1)
        self._archive.put(conversation_id, observed)

    async def finish(self) -> None:
        """The capture has ended: run the gap poll on every pair that waits."""
        for conversation_id in self._archive:
            observed = self._observed(conversation_id)
            if observed.decided.state.waiting is not None:
                await self._poll(conversation_id, observed)
                self._archive.put(conversation_id, observed)

    def pairs(self) -> Iterator[tuple[str, Pair]]:
        """Every conversation's id and its pair after our last decision."""
        for conversation_id in self._archive:
            yield conversation_id, self._observed(conversation_id).decided

    def _observed(self, conversation_id: str) -> "_ObservedPair":
        return self._archive.get(conversation_id) or _ObservedPair()

    async def _deliver(
        self, observed: "_ObservedPair", event: Event, captured: CapturedEvent | None, *, delivery: int
    ) -> None:
        key = event.conversation_id
        store = MemoryStore.seeded({key: observed.captured})
        handled = await self._environment.handle(event, store, observed.at)
        if isinstance(handled.outcome, Retry) and delivery < DELIVERIES_MAX:
            observed.retries.append((delivery, event))
        wrote = handled.audit.outcome is AuditOutcome.APPLIED
        if not event.is_sync or wrote or delivery > 1:
            self._report(handled, captured, observed.at)
        if not wrote and event.is_sync and store.state(key).waiting is None:
            await _observe(store, key, None, observed.at)
        observed.decided = pair_in(store, key)
        observed.captured = await _with_event(observed.captured, key, event, observed.at) if wrote else observed.decided

    async def _poll(self, conversation_id: str, observed: "_ObservedPair", *, until: datetime | None = None) -> None:
        """Run the gap polls that are due up to `until`; None: until no field waits."""
        waiting = observed.decided.state.waiting
        if waiting is None:
            return
        store = MemoryStore.seeded({conversation_id: observed.decided})
        async for polled, at in self._environment.polls(conversation_id, store, until):
            observed.at = time_after(observed.at, at)
            if polled is not None:
                self._report(polled, None, observed.at)
            # The captured pair has the same gaps: their events will not come any more.
            captured = observed.captured
            captured = replace(captured, state=replace(captured.state, waiting=waiting))
            observed.captured = await _with_event(captured, conversation_id, None, observed.at)
            waiting = store.state(conversation_id).waiting
        observed.decided = pair_in(store, conversation_id)


@dataclass(slots=True, kw_only=True)
class _ObservedPair:
    """One conversation's pair, as it was captured and as our last decision left it.

    `retries`: events whose outcome was Retry, each with the number of its deliveries so far.
    """

    captured: Pair = field(default_factory=Pair)
    decided: Pair = field(default_factory=Pair)
    at: datetime = EPOCH
    retries: list[tuple[int, Event]] = field(default_factory=list)


async def _with_event(captured: Pair, conversation_id: str, event: Event | None, at: datetime) -> Pair:
    """The captured pair after the event (None: after a poll, for which it waits), without a decision of ours."""
    store = MemoryStore.seeded({conversation_id: captured})
    await _observe(store, conversation_id, event, at)
    return pair_in(store, conversation_id)


async def _observe(store: MemoryStore, conversation_id: str, event: Event | None, at: datetime) -> None:
    """Store the event's snapshot, observe its revision, and count the fields that agree as reconciled."""
    events = [] if event is None else [event]
    pairs = await store.load([load_request_of(conversation_id, events)])
    draft = PairDraft(conversation_id, pairs[conversation_id])
    if event is None:
        draft.end_waiting()
    else:
        draft.observe(event, store_snapshot=event.supported)
    conversation, item = draft.conversation(), draft.pair_item()
    if conversation is not None and item is not None:
        draft.state = after_reconcile(
            draft.state, conversation, item, Reconciled(undecided=frozenset(FIELDS)), queue_now=at
        )
    await store.commit([draft.plan(now=at)])
