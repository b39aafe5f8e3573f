"""What the acts of a node share: the time, which is the number of acts, and readings of the store and of messages."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from msgspec.structs import replace as with_changes

from handlers.events.event import Event
from handlers.events.parser import read_message
from handlers.ports import LoadRequest
from tests.causality.outside import NOW
from tests.causality.ports import run_to_end
from worker.store.documents import Collection
from worker.store.memory.store import MemoryStore

C: Final = "c"
"""The one conversation."""


class ActClock:
    """SQS's clock: the acts so far, those between a worker's load and its decision included."""

    def __init__(self, instant: Callable[[], int]) -> None:
        self._instant = instant

    def now(self) -> datetime:
        return time_of(self._instant())


def time_of(instant: int) -> datetime:
    """The time of an act."""
    return NOW + timedelta(seconds=instant)


def without_conversation(store: MemoryStore) -> MemoryStore:
    """A copy of the store without the conversation."""
    items = frozenset(item["_id"] for item in store.documents(Collection.WORK_ITEMS))
    pairs = run_to_end(store.load([LoadRequest(conversation_id=C, work_item_ids=items)]))
    return MemoryStore.seeded({C: with_changes(pairs[C], conversation=None)})


def event_of(message: str) -> Event:
    """The event that a message of the worker's own holds."""
    event = read_message(message)
    assert isinstance(event, Event)
    return event
