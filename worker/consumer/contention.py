"""Contention: conversations of a lane that met another writer are retried beside the lane, which goes on meanwhile.

Messages that must keep their order form a conflict group. A message that arrives for a conflict group waits until the
group is finished: a later message of the same conversation and, on a FIFO queue, of the same message group.
`handlers/batch_handler.py` decides how one conversation is retried.
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

_GROUPS_MAX: Final = 4
"""Conflict groups of one lane that are retried at a time."""


class Contention:
    """The conflict groups of one lane.

    `held_keys` are the ordering keys of all groups that are retried: an entry with one of them must wait. `finish`
    settles entries whose events have an ending. `on_released` is called when a group is finished and its keys are free.
    """

    def __init__(
        self,
        context: LaneContext,
        *,
        finish: Callable[[Sequence[LaneEntry], EventBatch], Awaitable[None]],
        on_released: Callable[[], None],
    ) -> None:
        self._context = context
        self._finish = finish
        self._on_released = on_released
        self._slots = asyncio.Semaphore(_GROUPS_MAX)
        self.held_keys: set[str] = set()

    def start(self, entries: Sequence[LaneEntry], batch: EventBatch, tasks: asyncio.TaskGroup) -> None:
        """Retry the unfinished entries of a batch, one task a conflict group. The endings go into `batch`."""
        fifo = self._context.fifo
        for keys in self._conflict_groups(entries):
            self.held_keys |= keys
            group = [entry for entry in entries if not keys.isdisjoint(entry.ordering_keys(fifo=fifo))]
            tasks.create_task(self._retry_group(group, keys, batch))

    def _conflict_groups(self, entries: Iterable[LaneEntry]) -> list[frozenset[str]]:
        """The ordering keys of each conflict group. Two entries are in one group if they share a key, directly or
        through other entries; a group mostly is one conversation."""
        groups: list[frozenset[str]] = []
        for entry in entries:
            keys = entry.ordering_keys(fifo=self._context.fifo)
            joined = [group for group in groups if not group.isdisjoint(keys)]
            groups = [group for group in groups if group.isdisjoint(keys)]
            groups.append(keys.union(*joined))
        return groups

    async def _retry_group(self, group: Sequence[LaneEntry], keys: frozenset[str], batch: EventBatch) -> None:
        """Retry the conversations of a group in order, one at a time; each entry is finished as soon as it may be."""
        async with self._slots:
            left = group
            while events := _first_open_events(left, batch):
                batch.end(await self._retry(events))
                finished, left = split_finished(left, batch, fifo=self._context.fifo)
                await self._finish(finished, batch)
        self.held_keys -= keys
        self._on_released()

    async def _retry(self, events: Sequence[Event]) -> list[HandledEvent]:
        context, runtime = self._context, self._context.runtime
        handle = partial(context.handler.handle_contended, events)
        handled = await catch_unexpected(runtime.store_availability.retry_while_away(handle, context.store_pause))
        if isinstance(handled, UnexpectedError):
            log_unexpected(events, handled, runtime.telemetry)
            return [context.failed(event, handled.error) for event in events]
        return handled


def split_finished(
    entries: Iterable[LaneEntry], batch: EventBatch, *, fifo: bool
) -> tuple[list[LaneEntry], list[LaneEntry]]:
    """The entries that can be settled now, and the rest.

    An entry can be settled if its event has an ending, or if it holds no event. In a FIFO group, an entry waits behind
    an earlier one that waits; and once an earlier one goes back, every later one can be settled, with or without an
    ending, because it goes back too.
    """
    groups_back: set[str] = set()
    groups_waiting: set[str] = set()
    finished: list[LaneEntry] = []
    left: list[LaneEntry] = []
    for entry in entries:
        group = entry.message.group if fifo else None
        ending = batch.ending(entry.parsed)
        is_open = ending is None and isinstance(entry.parsed, Event)
        waits = group not in groups_back and (is_open or group in groups_waiting)
        (left if waits else finished).append(entry)
        if group is not None and waits:
            groups_waiting.add(group)
        elif group is not None and ending is not None and isinstance(ending.outcome, Retry):
            groups_back.add(group)
    return finished, left


def _first_open_events(entries: Iterable[LaneEntry], batch: EventBatch) -> list[Event]:
    """The events without an ending of the first conversation that has one."""
    events = [
        entry.parsed for entry in entries if isinstance(entry.parsed, Event) and batch.ending(entry.parsed) is None
    ]
    return [event for event in events if event.conversation_id == events[0].conversation_id]
