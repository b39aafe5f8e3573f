"""Lanes: each takes all its waiting entries as one batch, handles it, logs and settles the messages, and hands the
announcements on.

A conversation that meets another writer is retried beside its lane (`contention.py`). While the store is away, a lane
repeats its batch, in smaller transactions where the store was too slow for one (worker/runtime/transaction_limit.py).
If the batch meets an unexpected error, the lane splits it by conversation, and returns only the messages of the
conversation with the error to the queue.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from functools import partial
from typing import assert_never
from zlib import crc32

from commands.reason import ReasonCode
from handlers.events.event import Event, Malformed, OwnSync, UnsupportedEvent
from handlers.events.heartbeat import is_heartbeat
from handlers.outcome import Done, MessageOutcome, Poison, Retry
from handlers.planning.event_batch import EventBatch
from handlers.ports import CommitTimeout
from worker.consumer.contention import Contention, split_finished
from worker.consumer.lane_context import LaneContext, LaneEntry
from worker.consumer.settlement import ReturnReason, Settlement
from worker.errors import first_line
from worker.runtime.transaction_limit import TransactionLimit
from worker.runtime.unexpected import UnexpectedError, catch_unexpected, log_unexpected
from worker.telemetry.audit_log import log_handled, log_own_syncs, log_unsupported
from worker.telemetry.logs import error_fields
from worker.telemetry.metrics import Metric


class Lane:
    """A queue of entries in memory, and the work on it. `idle` is set while no entry waits and none is handled.

    A batch has no more entries than the limit has conversations: `BATCH_MAX` while it is whole.
    """

    def __init__(self, context: LaneContext, transaction_limit: TransactionLimit) -> None:
        self._context = context
        self._transaction_limit = transaction_limit
        self._runtime = context.runtime
        self._waiting: deque[LaneEntry] = deque()
        self._work_arrived = asyncio.Event()
        self._contention = Contention(context, finish=self._finish, on_released=self._on_released)
        self.idle = asyncio.Event()
        self.idle.set()

    def put(self, entry: LaneEntry) -> None:
        """Append the entry to the queue."""
        self._waiting.append(entry)
        self.idle.clear()
        self._work_arrived.set()

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as retries:
            while True:
                await self._work_arrived.wait()
                entries = self._next_entries()
                if entries:
                    await self._handle_entries(entries, retries)
                if not entries or not self._waiting:
                    self._work_arrived.clear()
                    self._update_idle()

    def _next_entries(self) -> list[LaneEntry]:
        """As many entries as the limit allows, the oldest first, without those that wait for a conflict group."""
        entries_max = self._transaction_limit.conversations_max
        if not self._contention.held_keys:
            return [self._waiting.popleft() for _ in range(min(len(self._waiting), entries_max))]
        taken: list[LaneEntry] = []
        kept: deque[LaneEntry] = deque()
        held_keys = set(self._contention.held_keys)
        for entry in self._waiting:
            keys = entry.ordering_keys(fifo=self._context.fifo)
            if len(taken) < entries_max and held_keys.isdisjoint(keys):
                taken.append(entry)
            else:
                # No later entry may overtake the one that waits.
                held_keys |= keys
                kept.append(entry)
        self._waiting = kept
        return taken

    def _on_released(self) -> None:
        """A conflict group is finished: entries that waited for it may be taken."""
        if self._waiting:
            self._work_arrived.set()
        self._update_idle()

    def _update_idle(self) -> None:
        if not self._waiting and not self._contention.held_keys and not self._work_arrived.is_set():
            self.idle.set()

    async def _handle_entries(self, entries: Sequence[LaneEntry], retries: asyncio.TaskGroup) -> None:
        entries = self._in_flight_entries(entries)
        batch = EventBatch(entry.parsed for entry in entries if isinstance(entry.parsed, Event))
        if batch.events:
            await self._handle(batch)
        if not batch.open:
            await self._finish(entries, batch)
            return
        finished, left = split_finished(entries, batch, fifo=self._context.fifo)
        self._contention.start(left, batch, retries)
        await self._finish(finished, batch)

    def _in_flight_entries(self, entries: Sequence[LaneEntry]) -> list[LaneEntry]:
        """The entries without those that the visibility extender has handed back while the store was away."""
        return [entry for entry in entries if self._context.in_flight.holds(entry.message.receipt)]

    async def _handle(self, batch: EventBatch) -> None:
        """End the events of the batch. The events of a conversation that met another writer stay open."""
        context, runtime = self._context, self._runtime
        began_at = runtime.clock.monotonic()
        handle = partial(self._handle_open, batch)
        result = await catch_unexpected(runtime.store_availability.retry_while_away(handle, context.store_pause))
        if not isinstance(result, UnexpectedError):
            metrics = runtime.telemetry.metrics
            metrics.distribution(Metric.BATCH_SIZE, len(batch.events))
            seconds = runtime.clock.monotonic() - began_at
            metrics.distribution(Metric.BATCH_DURATION, seconds * 1_000)
            return
        by_conversation = log_unexpected(batch.open, result, runtime.telemetry)
        if len(by_conversation) == 1:
            batch.end([context.failed(event, result.error) for event in batch.open])
            return
        for events in by_conversation.values():
            part = EventBatch(events)
            await self._handle(part)
            batch.end(part.handled)

    async def _handle_open(self, batch: EventBatch) -> None:
        """Hand the open events to the handler, in transactions within the limit. Raises StoreAway."""
        limit = self._transaction_limit
        began_with = limit.conversations_max
        try:
            needed_store = await self._context.handler.handle_batch(batch, began_with)
        except CommitTimeout as timeout:
            if limit.timed_out(timeout.conversations, began_with=began_with):
                self._runtime.telemetry.log.warning(
                    "smaller transactions: a commit timed out",
                    conversations=limit.conversations_max,
                    before=began_with,
                    timedOut=timeout.conversations,
                    reason=first_line(timeout),
                )
            raise
        # Own syncs go on while the store is away, and say nothing of it.
        if needed_store and limit.handled():
            self._runtime.telemetry.log.info("transactions whole again", conversations=limit.whole)

    async def _finish(self, entries: Sequence[LaneEntry], batch: EventBatch) -> None:
        """Log, settle and announce entries. The message of an event without an ending is returned to the queue."""
        context, telemetry = self._context, self._runtime.telemetry
        endings = (batch.ending(entry.parsed) for entry in entries)
        handled = [ending for ending in endings if ending is not None]
        # Before settling: if the process is killed in between, an audit line is written twice. In the other order, the
        # only audit line would be lost.
        log_handled(handled, telemetry)
        own_syncs = [entry.parsed for entry in entries if isinstance(entry.parsed, OwnSync)]
        log_own_syncs(own_syncs, context.policy, self._runtime.clock.now(), telemetry)
        unsupported = [entry.parsed for entry in entries if isinstance(entry.parsed, UnsupportedEvent)]
        log_unsupported([event for event in unsupported if not is_heartbeat(event)], context.policy, telemetry)
        settled = self._in_flight_entries(entries)
        returned_groups = await context.settler.settle([self._settlement(entry, batch) for entry in settled])
        await self._return_waiting_followers(returned_groups)
        context.announcer.offer([announcement for ending in handled for announcement in ending.announcements])
        self._runtime.health.note_progress()

    def _settlement(self, entry: LaneEntry, batch: EventBatch) -> Settlement:
        outcome: MessageOutcome
        match entry.parsed:
            case Event():
                ending = batch.ending(entry.parsed)
                outcome = Retry(reason=ReturnReason.EARLIER_OF_GROUP_WENT_BACK) if ending is None else ending.outcome
            case OwnSync():
                outcome = Done(reason=ReasonCode.IS_SYNC)
            case UnsupportedEvent():
                outcome = Done(reason=ReasonCode.UNSUPPORTED_EVENT)
            case Malformed(code=code, reason=reason):
                outcome = Poison(code=code, reason=reason)
            case UnexpectedError(error=error):
                self._runtime.telemetry.log.error(
                    "a message met a fault in our code", messageId=entry.message.id, **error_fields(error)
                )
                outcome = Retry(reason=ReturnReason.READ_FAULT)
            case _:
                assert_never(entry.parsed)
        return Settlement(message=entry.message, outcome=outcome, event=entry.name)

    async def _return_waiting_followers(self, groups: frozenset[str]) -> None:
        """Return the waiting entries of these FIFO message groups to the queue: none may overtake the earlier message
        of its group that was returned."""
        if not groups:
            return
        followers = [entry for entry in self._waiting if entry.message.group in groups]
        self._waiting = deque(entry for entry in self._waiting if entry.message.group not in groups)
        retry = Retry(reason=ReturnReason.EARLIER_OF_GROUP_WENT_BACK)
        await self._context.settler.settle(
            [Settlement(message=entry.message, outcome=retry, event=entry.name) for entry in followers]
        )


class Lanes:
    """`count` lanes for events that need the store, and two lanes for entries that do not; a batch holds up to
    `batch_max` entries, or fewer in the lanes of the first kind while the store is too slow for so many.

    A conversation always goes to the same lane, so two lanes never conflict. The gap poll of the process works beside
    the lanes and can conflict with one. The order of unsupported events does not matter, nor, on a standard queue, the
    order of events that announce this service's own syncs. Both kinds share a lane, where they form large batches and
    do not wait for the store. Malformed messages have a lane of their own: a dead-letter queue that refuses them delays
    no other message.
    """

    def __init__(self, *, count: int, batch_max: int, context: LaneContext) -> None:
        limit = TransactionLimit(batch_max, context.runtime.clock)
        self._for_pairs = [Lane(context, limit) for _ in range(count)]
        # Nothing is committed in these two, so nothing lowers their limit.
        without_commits = TransactionLimit(batch_max, context.runtime.clock)
        self._for_storeless = Lane(context, without_commits)
        self._for_malformed = Lane(context, without_commits)
        self._all = (*self._for_pairs, self._for_storeless, self._for_malformed)
        self._fifo = context.fifo

    def put(self, entry: LaneEntry) -> None:
        """Append the entry to its lane."""
        self._lane(entry.parsed).put(entry)

    def _lane(self, parsed: object) -> Lane:
        if isinstance(parsed, Malformed):
            return self._for_malformed
        if not isinstance(parsed, Event | OwnSync):
            return self._for_storeless
        if not self._fifo and (isinstance(parsed, OwnSync) or parsed.is_own_sync):
            return self._for_storeless
        return self._for_pairs[crc32(parsed.conversation_id.encode()) % len(self._for_pairs)]

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for lane in self._all:
                tasks.create_task(lane.run())

    async def idle(self) -> None:
        """Return when no lane has an entry that waits or is handled."""
        for lane in self._all:
            await lane.idle.wait()
