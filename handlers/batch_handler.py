"""The use case: a batch of events in, outcomes and audit records out.

One load, one decision a conversation, one commit; where a plan loses against another writer, that conversation alone
is read and decided again, with a growing, jittered delay, so that it never holds up the rest for long.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from commands.reason import ReasonCode
from handlers.documents.document import UnreadableDocument
from handlers.events.event import Event
from handlers.options import Options
from handlers.outcome import HandledEvent, PolledPair
from handlers.planning.audit_records import failed, failed_poll, skip_own
from handlers.planning.event_batch import IN_TIME, EventBatch, load_request_of
from handlers.planning.planner import PlannedPair, plan_gap, plan_pair
from handlers.ports import Chance, Clock, Committed, Ids, LoadRequest, Pair, Plan, PlanRejected, Store, StoreAway

_BACKOFF_SECONDS: Final = 0.01
_BACKOFF_SECONDS_MAX: Final = 1.0


class BatchHandler:
    """Handles batches; holds nothing between them."""

    def __init__(self, *, store: Store, clock: Clock, ids: Ids, chance: Chance, options: Options) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._chance = chance
        self._options = options

    async def handle(self, events: Sequence[Event]) -> list[HandledEvent]:
        """Each event's ending, in the order of `events`. Raises StoreAway."""
        batch = EventBatch(events)
        await self.handle_batch(batch)
        # One conversation after the other: each is likely to meet the other writer again, and must not make the
        # others wait for the same commit.
        for contended in batch.open_by_conversation().values():
            batch.end(await self.handle_contended(contended))
        return batch.handled

    async def handle_batch(self, batch: EventBatch) -> None:
        """End each open event of the batch, save those whose conversation meets another writer: these stay open, for
        `handle_contended`, and the others do not wait for them.

        Raises StoreAway: hand the same batch in again. A conversation whose plan was committed before the store went
        away has its endings in the batch and is not decided a second time.
        """
        if self._options.own_syncs_stored:
            now = self._clock.now()
            batch.end([skip_own(event, now=now, options=self._options) for event in batch.open if event.ours])
        by_conversation = batch.open_by_conversation()
        if not by_conversation:
            return
        away = False
        planned, fates = await self._attempt(by_conversation)
        for one, fate in zip(planned, fates, strict=True):
            if fate is Committed.AWAY:
                away = True
            elif fate is not Committed.CONFLICT:
                batch.end(self._ended(one, fate))
        if away:
            raise StoreAway("the store went away in the middle of a batch")

    async def handle_contended(self, events: Sequence[Event]) -> list[HandledEvent]:
        """The endings of one conversation's events, after its plan lost against another writer. Raises StoreAway.

        The conversation is loaded, decided and committed alone, up to `conflict_attempts_max` times, after a growing,
        jittered delay each time.
        """
        for attempt in range(self._options.conflict_attempts_max):
            ceiling = min(_BACKOFF_SECONDS * 2**attempt, _BACKOFF_SECONDS_MAX)
            await self._clock.sleep(ceiling * self._chance.random())
            planned, fates = await self._attempt({events[0].conversation_id: events})
            if fates[0] is not Committed.CONFLICT:
                return self._ended(planned[0], fates[0])
        detail = f"lost {self._options.conflict_attempts_max + 1} times against other writers"
        return [
            failed(event, ReasonCode.CONFLICT, detail, now=self._clock.now(), options=self._options) for event in events
        ]

    async def close_gaps(self, conversation_ids: Sequence[str], late: timedelta = IN_TIME) -> list[PolledPair]:
        """Reconcile pairs that have waited too long; what was decided of them. `late`: how long events are under way.

        Those that meet another writer are left to the next time. Raises StoreAway.
        """
        pairs = await self._store.load([LoadRequest(conversation_id=each) for each in conversation_ids])
        now = self._clock.now()
        planned: list[tuple[Plan, PolledPair | None]] = []
        for each in conversation_ids:
            try:
                one = plan_gap(each, pairs[each], now=now, late=late, ids=self._ids, options=self._options)
            except UnreadableDocument as fault:
                one = (
                    Plan(conversation_id=each),
                    failed_poll(each, ReasonCode.STORED_DOCUMENT_UNREADABLE, str(fault), options=self._options),
                )
            planned.append(one)
        fates = await self._store.commit([plan for plan, _ in planned])
        told: list[PolledPair] = []
        for (_, polled), fate in zip(planned, fates, strict=True):
            if isinstance(fate, PlanRejected):
                told.append(
                    failed_poll(fate.conversation_id, ReasonCode.PLAN_REJECTED, fate.reason, options=self._options)
                )
            elif polled is not None and fate is Committed.COMMITTED:
                told.append(polled)
        return told

    async def _attempt(
        self, by_conversation: Mapping[str, Sequence[Event]]
    ) -> tuple[list[PlannedPair], Sequence[Committed | PlanRejected]]:
        requests: list[LoadRequest] = [
            load_request_of(conversation_id, events) for conversation_id, events in by_conversation.items()
        ]
        pairs = await self._store.load(requests)
        now = self._clock.now()
        planned = [
            self._plan(conversation_id, pairs[conversation_id], events, now)
            for conversation_id, events in by_conversation.items()
        ]
        return planned, await self._store.commit([one.plan for one in planned])

    def _plan(self, conversation_id: str, pair: Pair, events: Sequence[Event], now: datetime) -> PlannedPair:
        try:
            return plan_pair(conversation_id, pair, events, now=now, ids=self._ids, options=self._options)
        except UnreadableDocument as fault:
            ends = [
                failed(event, ReasonCode.STORED_DOCUMENT_UNREADABLE, str(fault), now=now, options=self._options)
                for event in events
            ]
            return PlannedPair(plan=Plan(conversation_id=conversation_id), handled=tuple(ends))

    def _ended(self, planned: PlannedPair, fate: Committed | PlanRejected) -> list[HandledEvent]:
        if isinstance(fate, PlanRejected):
            now = self._clock.now()
            return [
                failed(one.event, ReasonCode.PLAN_REJECTED, fate.reason, now=now, options=self._options)
                for one in planned.handled
            ]
        return list(planned.handled)
