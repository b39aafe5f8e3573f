"""Conversations of a lane that met other writers: tried again side by side, beside the lane, which goes on meanwhile.

What may have to go back with one of them waits for it: what else comes of its conversation and, of a FIFO queue, of its
message groups. Left out: how a conversation is tried again (handlers/batch.py).
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Final

from handlers.events.event import Event
from handlers.outcome import HandledEvent, Retry
from handlers.planning.event_batch import EventBatch
from worker.consumer.lane_context import LaneContext, LaneEntry
from worker.runtime.unexpected import UnexpectedError, catch_unexpected, log_unexpected

_TRIED_MAX: Final = 4
"""So many of a lane are tried at a time."""


class Contention:
    """`finish` tells, settles and publishes what has come to its end; `freed` hears that what waited may go on.

    `held` are the ties of all that is tried (`LaneEntry.ties`): what has one of them must wait.
    """

    def __init__(
        self,
        parts: LaneContext,
        *,
        finish: Callable[[Sequence[LaneEntry], EventBatch], Awaitable[None]],
        freed: Callable[[], None],
    ) -> None:
        self._parts = parts
        self._finish = finish
        self._freed = freed
        self._places = asyncio.Semaphore(_TRIED_MAX)
        self.held: set[str] = set()

    def begin(self, entries: Sequence[LaneEntry], batch: EventBatch, tasks: asyncio.TaskGroup) -> None:
        """Try what is left of a batch, in tasks; each conversation ends its events in the batch."""
        for ties in self._knots(entries):
            self.held |= ties
            knot = [entry for entry in entries if not ties.isdisjoint(entry.ties(fifo=self._parts.fifo))]
            tasks.create_task(self._try(knot, ties, batch))

    def _knots(self, entries: Iterable[LaneEntry]) -> list[frozenset[str]]:
        """The ties of those that depend on each other, if only through a third; mostly those of one conversation."""
        knots: list[frozenset[str]] = []
        for entry in entries:
            ties = entry.ties(fifo=self._parts.fifo)
            met = [knot for knot in knots if not knot.isdisjoint(ties)]
            knots = [knot for knot in knots if knot.isdisjoint(ties)]
            knots.append(ties.union(*met))
        return knots

    async def _try(self, knot: Sequence[LaneEntry], ties: frozenset[str], batch: EventBatch) -> None:
        """One conversation after the other, in their order; each entry ends as soon as it may."""
        async with self._places:
            left = knot
            while events := _first(left, batch):
                batch.end(await self._again(events))
                ended, left = parted(left, batch, fifo=self._parts.fifo)
                await self._finish(ended, batch)
        self.held -= ties
        self._freed()

    async def _again(self, events: Sequence[Event]) -> list[HandledEvent]:
        parts = self._parts
        done = await catch_unexpected(
            parts.store_availability.retry_while_away(
                partial(parts.handler.handle_contended, events), parts.store_pause
            )
        )
        if isinstance(done, UnexpectedError):
            log_unexpected(events, done, parts.telemetry)
            return [parts.failed(event, done.error) for event in events]
        return done


def parted(entries: Iterable[LaneEntry], batch: EventBatch, *, fifo: bool) -> tuple[list[LaneEntry], list[LaneEntry]]:
    """What has come to its end, and the rest.

    In a group of a FIFO queue, all that follows an event without an end waits for it, and all that follows one that
    goes back has come to its end: it goes back, too, whether it has an end of its own or not.
    """
    back: set[str] = set()
    waiting: set[str] = set()
    ended: list[LaneEntry] = []
    left: list[LaneEntry] = []
    for entry in entries:
        group = entry.message.group if fifo else None
        ending = batch.ending(entry.read)
        is_open = ending is None and isinstance(entry.read, Event)
        waits = group not in back and (is_open or group in waiting)
        (left if waits else ended).append(entry)
        if group is not None and waits:
            waiting.add(group)
        elif group is not None and ending is not None and isinstance(ending.outcome, Retry):
            back.add(group)
    return ended, left


def _first(entries: Iterable[LaneEntry], batch: EventBatch) -> list[Event]:
    """The events without an ending of the conversation that comes first."""
    events = [entry.read for entry in entries if isinstance(entry.read, Event) and batch.ending(entry.read) is None]
    return [event for event in events if event.conversation_id == events[0].conversation_id]
