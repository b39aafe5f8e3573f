"""One lane: it takes all that waits as one batch, and handles, tells, settles and publishes it.

A conversation that meets other writers is tried again beside the lane, which goes on without it (contention.py). While
the store is away a lane keeps its batch and tries again; while our code has a fault, the batch is taken apart by
conversation and only the one that meets it goes back.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from functools import partial
from zlib import crc32

from commands.reason import ReasonCode
from handlers.events.event import Event, Malformed, UnsupportedEvent
from handlers.outcome import Done, MessageOutcome, Poison, Retry
from handlers.planning.event_batch import EventBatch, lateness
from worker.consumer.contention import Contention, parted
from worker.consumer.lane_context import LaneContext, LaneEntry
from worker.consumer.settlement import ReturnReason, Settlement
from worker.runtime.unexpected import UnexpectedError, catch_unexpected, log_unexpected
from worker.telemetry.audit_log import log_handled, log_unsupported
from worker.telemetry.logs import error_fields
from worker.telemetry.metrics import Metric


class Lane:
    """A queue of its own, and the work on it. `idle` is set while nothing waits and nothing is under way."""

    def __init__(self, batch_max: int, parts: LaneContext) -> None:
        self._batch_max = batch_max
        self._parts = parts
        self._waiting: deque[LaneEntry] = deque()
        self._some = asyncio.Event()
        self._contention = Contention(parts, finish=self._finish, freed=self._go_on)
        self.idle = asyncio.Event()
        self.idle.set()

    def put(self, entry: LaneEntry) -> None:
        """Line up behind what came before."""
        self._waiting.append(entry)
        self.idle.clear()
        self._some.set()

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as beside:
            while True:
                await self._some.wait()
                batch = self._next()
                if batch:
                    await self._work(batch, beside)
                if not batch or not self._waiting:
                    self._some.clear()
                    self._note_idle()

    def _next(self) -> list[LaneEntry]:
        """As many as a batch holds, the oldest first, but for what waits for a conversation that is tried again."""
        if not self._contention.held:
            return [self._waiting.popleft() for _ in range(min(len(self._waiting), self._batch_max))]
        batch: list[LaneEntry] = []
        kept: deque[LaneEntry] = deque()
        held = set(self._contention.held)
        for entry in self._waiting:
            ties = entry.ties(fifo=self._parts.fifo)
            if len(batch) < self._batch_max and held.isdisjoint(ties):
                batch.append(entry)
            else:
                # It must be overtaken by nothing either.
                held |= ties
                kept.append(entry)
        self._waiting = kept
        return batch

    def _go_on(self) -> None:
        """Something that waited for a conversation may wait no longer."""
        if self._waiting:
            self._some.set()
        self._note_idle()

    def _note_idle(self) -> None:
        if not self._waiting and not self._contention.held and not self._some.is_set():
            self.idle.set()

    async def _work(self, entries: Sequence[LaneEntry], beside: asyncio.TaskGroup) -> None:
        parts = self._parts
        batch = EventBatch(entry.read for entry in entries if isinstance(entry.read, Event))
        # One that comes again says nothing of the queue: it was held back by us.
        first_time = (entry.read for entry in entries if entry.message.receive_count == 1)
        parts.lag.note_lateness(lateness((each for each in first_time if isinstance(each, Event)), parts.clock.now()))
        if batch.events:
            await self._handle(batch)
        if not batch.open:
            await self._finish(entries, batch)
            return
        ended, left = parted(entries, batch, fifo=parts.fifo)
        self._contention.begin(left, batch, beside)
        await self._finish(ended, batch)

    async def _finish(self, entries: Sequence[LaneEntry], batch: EventBatch) -> None:
        """Tell, settle and publish what has come to its end. An event without an end goes back untouched."""
        parts = self._parts
        endings = (batch.ending(entry.read) for entry in entries)
        handled = [ending for ending in endings if ending is not None]
        # Before settling: a kill in between then repeats an audit line, where it would have lost the only one.
        log_handled(handled, parts.telemetry)
        unsupported = [entry.read for entry in entries if isinstance(entry.read, UnsupportedEvent)]
        log_unsupported(unsupported, parts.policy, parts.telemetry)
        went_back = await parts.settler.settle([self._settlement(entry, batch) for entry in entries])
        await self._send_followers_back(went_back)
        parts.announcer.offer([announcement for one in handled for announcement in one.announcements])
        parts.health.note_progress()

    async def _handle(self, batch: EventBatch) -> None:
        """End the events of the batch. Those whose conversation met another writer stay open."""
        began = self._parts.clock.monotonic()
        handle = partial(self._parts.handler.handle_batch, batch)
        done = await catch_unexpected(self._parts.store_availability.retry_while_away(handle, self._parts.store_pause))
        metrics = self._parts.telemetry.metrics
        if not isinstance(done, UnexpectedError):
            metrics.distribution(Metric.BATCH_SIZE, len(batch.events))
            seconds = self._parts.clock.monotonic() - began
            metrics.distribution(Metric.BATCH_DURATION, seconds * 1_000)
            return
        by_conversation = log_unexpected(batch.open, done, self._parts.telemetry)
        if len(by_conversation) == 1:
            batch.end([self._parts.failed(event, done.error) for event in batch.open])
            return
        for events in by_conversation.values():
            part = EventBatch(events)
            await self._handle(part)
            batch.end(part.handled)

    def _settlement(self, entry: LaneEntry, batch: EventBatch) -> Settlement:
        outcome: MessageOutcome
        match entry.read:
            case Event():
                ending = batch.ending(entry.read)
                outcome = Retry(reason=ReturnReason.EARLIER_OF_GROUP_WENT_BACK) if ending is None else ending.outcome
            case UnsupportedEvent():
                outcome = Done(reason=ReasonCode.UNSUPPORTED_EVENT)
            case Malformed(code=code, reason=reason):
                outcome = Poison(code=code, reason=reason)
            case UnexpectedError(error=error):
                self._parts.telemetry.log.error(
                    "a message met a fault in our code", messageId=entry.message.id, **error_fields(error)
                )
                outcome = Retry(reason=ReturnReason.READ_FAULT)
        return Settlement(message=entry.message, outcome=outcome, event=entry.name)

    async def _send_followers_back(self, groups: frozenset[str]) -> None:
        """FIFO: what waits here of a group that went back must not overtake it."""
        if not groups:
            return
        followers = [entry for entry in self._waiting if entry.message.group in groups]
        self._waiting = deque(entry for entry in self._waiting if entry.message.group not in groups)
        back = Retry(reason=ReturnReason.EARLIER_OF_GROUP_WENT_BACK)
        await self._parts.settler.settle(
            [Settlement(message=entry.message, outcome=back, event=entry.name) for entry in followers]
        )


class Lanes:
    """`count` lanes for what asks the store; a batch holds up to `batch_max` messages.

    Two more never ask it. What is no event of ours has no order to keep, a sync of our own none but a message group's:
    together they make larger batches, and they wait for nobody's store. What is malformed is by itself, and holds up
    nothing else while the dead-letter queue refuses it.
    """

    def __init__(self, *, count: int, batch_max: int, parts: LaneContext) -> None:
        self._for_pairs = [Lane(batch_max, parts) for _ in range(count)]
        self._for_storeless = Lane(batch_max, parts)
        self._for_malformed = Lane(batch_max, parts)
        self._all = (*self._for_pairs, self._for_storeless, self._for_malformed)
        self._fifo = parts.fifo

    def put(self, entry: LaneEntry) -> None:
        """Line up behind what came before."""
        self._lane(entry.read).put(entry)

    def _lane(self, read: object) -> Lane:
        if isinstance(read, Malformed):
            return self._for_malformed
        if not isinstance(read, Event) or (read.ours and not self._fifo):
            return self._for_storeless
        return self._for_pairs[crc32(read.conversation_id.encode()) % len(self._for_pairs)]

    async def run(self) -> None:
        """Work until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for lane in self._all:
                tasks.create_task(lane.run())

    async def idle(self) -> None:
        """Wait until every lane is empty and no batch is under way."""
        for lane in self._all:
            await lane.idle.wait()
