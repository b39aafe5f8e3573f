"""The entries of both records in one order."""

import heapq
from collections import deque
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Final

from worker.investigate.timeline.entry import TimelineEntry

_EARLIEST: Final = datetime.min.replace(tzinfo=UTC)


def in_order_of_time(records: Sequence[Sequence[TimelineEntry]]) -> Iterator[TimelineEntry]:
    """The entries by time. `records`: for each record its entries by revision; the conversation's, if any, first.

    Two facts go before the times, because the clocks of the services differ: a record's revisions keep their order,
    and a work-item's revision goes after the conversation's revision that it knew.
    """
    waiting = [deque(_with_times(entries)) for entries in records]
    heads = [(queue[0][0], number) for number, queue in enumerate(waiting) if queue]
    heapq.heapify(heads)
    conversation = waiting[0] if waiting and waiting[0] and waiting[0][0][1].side == "conversation" else deque()
    while heads:
        head_at, number = heapq.heappop(heads)
        queue = waiting[number]
        if not queue or queue[0][0] != head_at:
            # The conversation's entry went before, with a work-item's entry that knew it.
            if queue:
                heapq.heappush(heads, (queue[0][0], number))
            continue
        knew = queue[0][1].known_conversation_rev
        while knew is not None and conversation and conversation[0][1].rev <= knew:
            yield conversation.popleft()[1]
        yield queue.popleft()[1]
        if queue:
            heapq.heappush(heads, (queue[0][0], number))


def _with_times(entries: Sequence[TimelineEntry]) -> Iterator[tuple[datetime, TimelineEntry]]:
    """Each entry with its time, which is no earlier than that of the revision before it."""
    at = _EARLIEST
    for entry in entries:
        at = at if entry.at is None else max(entry.at, at)
        yield at, entry
