"""The use case: a batch of events in, their endings out, each with its audit record.

A batch costs one load, one decision per conversation and one commit. Where the caller limits the conversations of a
commit, the batch is handled in parts, one after the other, each at that cost. A conversation whose plan has a write
conflict is loaded, decided and committed again, alone and after a growing, jittered delay, so the others do not wait.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from msgspec.structs import replace

from commands.context import UnreadableRecord
from commands.reason import ReasonCode
from handlers.documents.stored_forms import UnreadableDocument
from handlers.drift import DriftClass, DriftEnd, LeftAlone, LeftPair, SweepLimits, SweptPage, SweptPair, told_drift
from handlers.events.event import Event
from handlers.options import Options, PlanningContext
from handlers.outcome import HandledEvent, PolledPage, PolledPair
from handlers.planning.endings import failed_ending, failed_poll_ending, own_sync_ending
from handlers.planning.event_batch import EventBatch, load_request_of
from handlers.planning.planner import PlannedPair, plan_gap, plan_pair
from handlers.planning.planners.sweep import PlannedSweep, plan_sweep
from handlers.planning.session_places import Placements, placements_of
from handlers.ports import (
    Chance,
    Clock,
    CommitResult,
    CommitTimeout,
    Ids,
    LoadRequest,
    Pair,
    Plan,
    PlanRejected,
    QueueClock,
    Store,
    StoreAway,
    StoreTimeout,
)
from handlers.routing.queue_rules import QueueRules

TakeSwept = Callable[[Sequence[SweptPair]], None]
"""Takes the pairs with drift of one commit."""


def _take_none(_: Sequence[SweptPair]) -> None:
    """For a caller that needs them only at the end."""


class BatchHandler:
    """Handles batches; keeps nothing between them."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        queue_clock: QueueClock | None = None,
        ids: Ids,
        chance: Chance,
        options: Options,
        queue_rules: QueueRules | None = None,
    ) -> None:
        """`queue_clock` None: the clock stands for SQS's clock, where there is no queue. `queue_rules` is needed where
        the options have `queue_rules`."""
        self._store = store
        self._clock = clock
        self._queue_clock: QueueClock = queue_clock or clock
        self._ids = ids
        self._chance = chance
        self._options = options
        self._queue_rules = queue_rules if options.queue_rules else None

    async def handle(self, events: Sequence[Event]) -> list[HandledEvent]:
        """Each event's ending, in the order of `events`. Raises StoreAway."""
        batch = EventBatch(events)
        await self.handle_batch(batch)
        for contended in batch.open_by_conversation().values():
            batch.end(await self.handle_contended(contended))
        return batch.handled

    async def handle_batch(self, batch: EventBatch, conversations_max: int | None = None) -> bool:
        """End each open event of the batch. The events of a conversation with a write conflict stay open, for
        `handle_contended`.

        `conversations_max`, at least 1: how many conversations are loaded, decided and committed at once; None: all.
        Returns whether an event needed the store.

        Raises StoreAway: call again with the same batch. A conversation whose plan was committed before the store went
        away has its endings in the batch and is not decided a second time. Raises CommitTimeout: fewer conversations
        at once may succeed.
        """
        if self._options.own_syncs_stored:
            planning = self._planning()
            batch.end([own_sync_ending(event, planning=planning) for event in batch.open if event.is_own_sync])
        parts = _parts(batch.open_by_conversation(), conversations_max)
        for part in parts:
            await self._handle_part(batch, part)
        return bool(parts)

    async def _handle_part(self, batch: EventBatch, by_conversation: Mapping[str, Sequence[Event]]) -> None:
        """End the events of these conversations of the batch. Raises StoreAway, CommitTimeout."""
        planned, results = await self._attempt(by_conversation)
        for one, result in zip(planned, results, strict=True):
            if result is CommitResult.COMMITTED or isinstance(result, PlanRejected):
                batch.end(self._endings(one, result))
        _raise_where_missing(results)

    async def handle_contended(self, events: Sequence[Event]) -> list[HandledEvent]:
        """The endings of one conversation's events, after its plan had a write conflict. Raises StoreAway.

        The conversation is loaded, decided and committed alone, up to `conflict_attempts_max` times, after a growing,
        jittered delay each time. If every attempt has a write conflict, its events end with a retry.
        """
        for attempt in range(self._options.conflict_attempts_max):
            await self._clock.sleep(self._options.conflict_pause_s(attempt, self._chance))
            planned, results = await self._attempt({events[0].conversation_id: events})
            _raise_where_missing(results)
            if results[0] is not CommitResult.CONFLICT:
                return self._endings(planned[0], results[0])
        detail = f"lost {self._options.conflict_attempts_max + 1} times against other writers"
        return [failed_ending(event, ReasonCode.CONFLICT, detail, planning=self._planning()) for event in events]

    async def close_gaps(self, conversation_ids: Sequence[str], watermark: datetime) -> PolledPage:
        """Decide the pairs that wait since before `watermark`; the endings of those that the audit reports.

        `watermark`: the time, by SQS's clock, before which nothing sent to the queue is still undelivered. A pair with
        a write conflict is left to the next poll. Raises StoreAway, CommitTimeout.
        """
        waits = () if self._options.waiting_times else None
        may_create = self._options.create_work_items
        pairs = await self._store.load(
            [LoadRequest(conversation_id=each, waits=waits, may_create=may_create) for each in conversation_ids]
        )
        planning = await self._planning_of(pairs.values())
        planned = [self._plan_gap(each, pairs[each], watermark, planning) for each in conversation_ids]
        results = await self._commit([plan for plan, _ in planned], conversations=len(planned))
        reported: list[PolledPair] = []
        for (_, polled), result in zip(planned, results, strict=True):
            if isinstance(result, PlanRejected):
                code = ReasonCode.PLAN_REJECTED
                reported.append(failed_poll_ending(result.conversation_id, code, result.reason, options=self._options))
            elif polled is not None and result is CommitResult.COMMITTED:
                reported.append(polled)
        missing = _missing(results)
        return PolledPage(pairs=tuple(reported), complete=missing is None, timed_out=_timed_out(missing))

    async def sweep_pairs(
        self,
        requests: Sequence[LoadRequest],
        limits: SweepLimits,
        *,
        repairs_max: int | None = None,
        took: TakeSwept = _take_none,
    ) -> SweptPage:
        """Look for drift in these pairs, as they are stored, and repair it; the pairs with drift, and those that differ
        and were left alone.

        `repairs_max`, at least 1: how many repairs are committed at once; None: all. `took` gets the pairs with drift
        of each commit once it is done, whatever becomes of the call. Raises StoreAway; CommitTimeout: fewer repairs at
        once may succeed.
        """
        swept: list[SweptPair] = []
        alone: list[LeftPair] = []
        repairs = 0
        waits = () if self._options.waiting_times else None
        may_create = self._options.create_work_items
        left = {
            each.conversation_id: replace(each, waits=waits, may_create=may_create, places=True) for each in requests
        }
        for attempt in range(self._options.conflict_attempts_max + 1):
            if attempt:
                await self._clock.sleep(self._options.conflict_pause_s(attempt - 1, self._chance))
            planned = await self._plan_sweeps(left, limits)
            alone.extend(
                LeftPair(conversation_id=each.plan.conversation_id, why=each.left_alone)
                for each in planned
                if each.left_alone is not None
            )
            if not limits.repair:
                told = [_untouched(each.swept) for each in planned if each.swept is not None]
                took(told)
                return SweptPage(pairs=tuple(told), left_alone=tuple(alone))
            conflicts: set[str] = set()
            for part in _parts_of_repairs(planned, repairs_max):
                results = await self._commit(
                    [each.plan for each in part], conversations=sum(not each.plan.empty for each in part)
                )
                repaired = [each for each in map(_swept, part, results) if each is not None]
                took(repaired)
                swept.extend(repaired)
                _raise_where_missing(results)
                ended = [result is CommitResult.CONFLICT for result in results]
                conflicts |= {each.plan.conversation_id for each, lost in zip(part, ended, strict=True) if lost}
                repairs += sum(not each.plan.empty and not lost for each, lost in zip(part, ended, strict=True))
            left = {key: request for key, request in left.items() if key in conflicts}
            if not left:
                break
        # What still conflicts is being written: the pair's next time of writing brings it back.
        alone.extend(LeftPair(conversation_id=key, why=LeftAlone.CONFLICTS) for key in left)
        return SweptPage(pairs=tuple(swept), left_alone=tuple(alone), repairs=repairs)

    async def _plan_sweeps(self, requests: Mapping[str, LoadRequest], limits: SweepLimits) -> list[PlannedSweep]:
        """Load and plan these pairs. Raises StoreAway."""
        pairs = await self._store.load(list(requests.values()))
        planning = await self._planning_of(pairs.values())
        # One context for all pairs of a load.
        sessions = next((pair.context.sessions for pair in pairs.values()), {})
        placements = placements_of(sessions.values())
        return [self._plan_sweep(key, pairs[key], limits, placements, planning) for key in requests]

    def _plan_sweep(
        self, key: str, pair: Pair, limits: SweepLimits, placements: Placements, planning: PlanningContext
    ) -> PlannedSweep:
        try:
            return plan_sweep(key, pair, limits=limits, placements=placements, planning=planning)
        except (UnreadableDocument, UnreadableRecord) as fault:
            swept = told_drift(DriftClass.UNREADABLE, key, detail=str(fault))
            return PlannedSweep(plan=Plan(conversation_id=key), swept=swept)

    async def _attempt(
        self, by_conversation: Mapping[str, Sequence[Event]]
    ) -> tuple[list[PlannedPair], Sequence[CommitResult | PlanRejected]]:
        """Load, plan and commit these conversations; returns each plan and the result of its commit.

        Raises StoreAway; CommitTimeout where the load had its answer and no part of the commit has one.
        """
        options = self._options
        requests = [
            load_request_of(
                conversation_id,
                events,
                waiting_times=options.waiting_times,
                may_create=options.create_work_items,
            )
            for conversation_id, events in by_conversation.items()
        ]
        pairs = await self._store.load(requests)
        planning = await self._planning_of(pairs.values(), by_conversation.values())
        planned = [
            self._plan(conversation_id, pairs[conversation_id], events, planning)
            for conversation_id, events in by_conversation.items()
        ]
        return planned, await self._commit([one.plan for one in planned], conversations=len(planned))

    async def _commit(self, plans: Sequence[Plan], *, conversations: int) -> Sequence[CommitResult | PlanRejected]:
        """Raises StoreAway; CommitTimeout, with `conversations`, where no plan has a result."""
        try:
            return await self._store.commit(plans)
        except StoreTimeout as timeout:
            raise CommitTimeout(str(timeout), conversations=conversations) from timeout

    async def _planning_of(self, pairs: Iterable[Pair], batches: Iterable[Sequence[Event]] = ()) -> PlanningContext:
        """The context of planning these pairs with these events. Raises StoreAway."""
        planning = self._planning()
        if self._queue_rules is None:
            return planning
        stored = (pair.conversation.get("org") for pair in pairs if pair.conversation is not None)
        named = (event.org for events in batches for event in events)
        # An org of another type makes its own document unreadable.
        orgs = {org for org in (*stored, *named) if isinstance(org, str)}
        return replace(planning, queue_rules=await self._queue_rules.of_orgs(sorted(orgs)))

    def _planning(self) -> PlanningContext:
        return PlanningContext(
            now=self._clock.now(), queue_now=self._queue_clock.now(), ids=self._ids, options=self._options
        )

    def _plan(
        self, conversation_id: str, pair: Pair, events: Sequence[Event], planning: PlanningContext
    ) -> PlannedPair:
        try:
            return plan_pair(conversation_id, pair, events, planning=planning)
        except (UnreadableDocument, UnreadableRecord) as fault:
            code, detail = ReasonCode.STORED_DOCUMENT_UNREADABLE, str(fault)
            endings = tuple(failed_ending(event, code, detail, planning=planning) for event in events)
            return PlannedPair(plan=Plan(conversation_id=conversation_id), handled=endings)

    def _plan_gap(
        self, conversation_id: str, pair: Pair, watermark: datetime, planning: PlanningContext
    ) -> tuple[Plan, PolledPair | None]:
        try:
            return plan_gap(conversation_id, pair, watermark=watermark, planning=planning)
        except (UnreadableDocument, UnreadableRecord) as fault:
            code = ReasonCode.STORED_DOCUMENT_UNREADABLE
            polled = failed_poll_ending(conversation_id, code, str(fault), options=self._options)
            return Plan(conversation_id=conversation_id), polled

    def _endings(self, planned: PlannedPair, result: CommitResult | PlanRejected) -> list[HandledEvent]:
        if not isinstance(result, PlanRejected):
            return list(planned.handled)
        planning, code = self._planning(), ReasonCode.PLAN_REJECTED
        return [failed_ending(one.event, code, result.reason, planning=planning) for one in planned.handled]


def _missing(results: Sequence[CommitResult | PlanRejected]) -> StoreAway | None:
    """CommitTimeout or StoreAway where the store gave a plan no result; None where every plan has one."""
    if timed_out := sum(result is CommitResult.TIMED_OUT for result in results):
        return CommitTimeout("the deadline passed in the middle of a batch", conversations=timed_out)
    if CommitResult.AWAY in results:
        return StoreAway("the store went away in the middle of a batch")
    return None


def _timed_out(missing: StoreAway | None) -> int:
    """Of how many conversations the commit had no answer in time."""
    return missing.conversations if isinstance(missing, CommitTimeout) else 0


def _raise_where_missing(results: Sequence[CommitResult | PlanRejected]) -> None:
    if (missing := _missing(results)) is not None:
        raise missing


def _parts_of_repairs(planned: Sequence[PlannedSweep], size: int | None) -> list[list[PlannedSweep]]:
    """The plans in parts, in each at most `size` that write; None: in one part. What writes nothing is in the first."""
    if size is None:
        return [list(planned)]
    writing = [each for each in planned if not each.plan.empty]
    parts = [writing[start : start + size] for start in range(0, len(writing), size)] or [[]]
    parts[0] = [*parts[0], *(each for each in planned if each.plan.empty)]
    return parts


def _parts(by_conversation: dict[str, list[Event]], size: int | None) -> list[dict[str, list[Event]]]:
    """The conversations in parts of at most `size`, in their order; None: in one part."""
    if size is None or len(by_conversation) <= size:
        return [by_conversation] if by_conversation else []
    keys = list(by_conversation)
    starts = range(0, len(keys), size)
    return [{key: by_conversation[key] for key in keys[start : start + size]} for start in starts]


def _swept(planned: PlannedSweep, result: CommitResult | PlanRejected) -> SweptPair | None:
    """The ending of a pair with drift, by the result of its plan's commit."""
    if isinstance(result, PlanRejected):
        return told_drift(DriftClass.UNREADABLE, planned.plan.conversation_id, detail=result.reason)
    return planned.swept if result is CommitResult.COMMITTED else None


def _untouched(swept: SweptPair) -> SweptPair:
    """The drift as a sweep that writes nothing tells it."""
    drift = swept.drift
    is_planned = drift.end in {DriftEnd.REPAIRED, DriftEnd.WAITS}
    return SweptPair(
        drift=replace(
            drift,
            end=DriftEnd.PLANNED if is_planned else drift.end,
            # A work-item that is not created has no id.
            work_item_id=None if drift.creates else drift.work_item_id,
        )
    )
