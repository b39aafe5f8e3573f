"""The order in which captured writes are re-enacted: that of publication, but never against what must have been.

A document's writes go by revision, and a work-item's write goes after the conversation's writes that it says it knew.
Producers publish after they write, each in its own time, so a capture may have either the wrong way round. What is
held is bounded: an event is put right among the next thousand.
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
    """The same events, each once; `held_max` None: put right whatever the distance."""
    order = _Order()
    for one in captured:
        order.add(one)
        if held_max is not None and order.held > held_max:
            yield from order.next()
    while order.held:
        yield from order.next()


class _Order:
    """Slots in order of publication, one an event; a document's slots are filled in order of its revisions."""

    def __init__(self) -> None:
        self.held = 0
        self._slots: list[_Slot] = []
        self._waiting: dict[str, list[tuple[int, int, CapturedEvent]]] = {}
        self._number = 0
        self._at = EPOCH

    def add(self, captured: CapturedEvent) -> None:
        event = captured.event
        # One that does not say when keeps its place among its neighbours.
        self._at = event.published_at or self._at
        self._number += 1
        self.held += 1
        heapq.heappush(self._slots, (self._at, self._number, event.document_id))
        heapq.heappush(self._waiting.setdefault(event.document_id, []), (event.rev, self._number, captured))

    def next(self) -> Iterator[CapturedEvent]:
        """What comes next: one event with what it knew, or none where a slot's event went ahead of it."""
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
