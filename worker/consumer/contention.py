"""Contention: retries the conversations of a lane that met another writer, while the lane handles its next batches.

Entries that must keep their order form a conflict group: the entries of one conversation and, on a FIFO queue, of one
message group. While a conflict group is retried, a later entry with one of its ordering keys waits in the lane.
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
"""The conflict groups of one lane that are retried at the same time."""


class Contention:
    """The conflict groups of one lane.

    `held_keys` are the ordering keys of all conflict groups that are being retried: an entry with one of them must
    wait. `finish` settles entries whose events have an ending. `on_released` is called after a conflict group has
    finished and its keys were removed from `held_keys`.
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
        """Retry the unfinished entries of a batch, with one task per conflict group. Adds the endings to `batch`."""
        fifo = self._context.fifo
        for keys in self._conflict_group_keys(entries):
            self.held_keys |= keys
            conflict_group = [entry for entry in entries if not keys.isdisjoint(entry.ordering_keys(fifo=fifo))]
            tasks.create_task(self._retry_conflict_group(conflict_group, keys, batch))

    def _conflict_group_keys(self, entries: Iterable[LaneEntry]) -> list[frozenset[str]]:
        """The ordering keys of each conflict group.

        Two entries are in one conflict group if they share a key, or if a chain of other entries links them. Most
        conflict groups are one conversation.
        """
        key_sets: list[frozenset[str]] = []
        for entry in entries:
            keys = entry.ordering_keys(fifo=self._context.fifo)
            joined = [key_set for key_set in key_sets if not key_set.isdisjoint(keys)]
            key_sets = [key_set for key_set in key_sets if key_set.isdisjoint(keys)]
            key_sets.append(keys.union(*joined))
        return key_sets

    async def _retry_conflict_group(
        self, conflict_group: Sequence[LaneEntry], keys: frozenset[str], batch: EventBatch
    ) -> None:
        """Retry the conversations of a conflict group in order, one at a time, and finish each entry as soon as its
        order allows."""
        async with self._slots:
            left = conflict_group
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
    """Split `entries`, in queue order, into those that can be settled now and the rest.

    An entry can be settled if its event has an ending, or if it holds no event. Within a FIFO message group, an entry
    waits while an earlier entry waits. After an earlier entry ends with `Retry`, every later entry of the message group
    can be settled, because the settler returns it to the queue too.
    """
    returned_groups: set[str] = set()
    waiting_groups: set[str] = set()
    finished: list[LaneEntry] = []
    left: list[LaneEntry] = []
    for entry in entries:
        message_group = entry.message.group if fifo else None
        ending = batch.ending(entry.parsed)
        is_open = ending is None and isinstance(entry.parsed, Event)
        waits = message_group not in returned_groups and (is_open or message_group in waiting_groups)
        (left if waits else finished).append(entry)
        if message_group is not None and waits:
            waiting_groups.add(message_group)
        elif message_group is not None and ending is not None and isinstance(ending.outcome, Retry):
            returned_groups.add(message_group)
    return finished, left


def _first_open_events(entries: Iterable[LaneEntry], batch: EventBatch) -> list[Event]:
    """The open events (without an ending) of the first conversation that has any."""
    events = [
        entry.parsed for entry in entries if isinstance(entry.parsed, Event) and batch.ending(entry.parsed) is None
    ]
    return [event for event in events if event.conversation_id == events[0].conversation_id]
