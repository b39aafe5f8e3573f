"""The order in which captured writes are re-enacted: the order of publication, corrected by two facts.

A document's writes go by revision, and a work-item's write goes after the conversation's writes that it knew. Producers
publish after they write, with different delays, so a capture may have both the wrong way round. At most `HELD_MAX`
events are held, so an event is put in order among that many.
"""

import heapq
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Final

from worker.replay.captured_events import CapturedEvent
from worker.replay.clock import EPOCH

HELD_MAX: Final = 1_000

_Slot = tuple[datetime, int, str]


def in_order(captured: Iterable[CapturedEvent], held_max: int | None) -> Iterator[CapturedEvent]:
    """The same events in order, each once. `held_max` None: all are held, so the order is right over any distance."""
    order = _Order()
    for each in captured:
        order.add(each)
        if held_max is not None and order.held > held_max:
            yield from order.next()
    while order.held:
        yield from order.next()


class _Order:
    """One slot an event, in the order of publication. A document's slots take its events in the order of revisions."""

    def __init__(self) -> None:
        self.held = 0
        self._slots: list[_Slot] = []
        self._waiting: dict[str, list[tuple[int, int, CapturedEvent]]] = {}
        self._number = 0
        self._at = EPOCH

    def add(self, captured: CapturedEvent) -> None:
        event = captured.event
        # An event without `publishedAt` keeps its place after the one before it.
        self._at = event.published_at or self._at
        self._number += 1
        self.held += 1
        heapq.heappush(self._slots, (self._at, self._number, event.document_id))
        heapq.heappush(self._waiting.setdefault(event.document_id, []), (event.rev, self._number, captured))

    def next(self) -> Iterator[CapturedEvent]:
        """The next slot's event, after the conversation's events that it knew; none where it was taken ahead."""
        _, _, document = heapq.heappop(self._slots)
        if document not in self._waiting:
            return
        captured = self._take(document)
        knew, conversation = captured.event.knew, captured.event.conversation_id
        while knew is not None and conversation in self._waiting and self._waiting[conversation][0][0] <= knew:
            yield self._take(conversation)
        yield captured

    def _take(self, document: str) -> CapturedEvent:
        waiting = self._waiting[document]
        _, _, captured = heapq.heappop(waiting)
        if not waiting:
            del self._waiting[document]
        self.held -= 1
        return captured
