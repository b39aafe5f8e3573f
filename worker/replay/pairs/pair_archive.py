"""The pairs of a replay between two of their events, and how a pair stands in a store.

A large capture holds more pairs than fit into memory as documents. The archive keeps those that an event reached
lately as they are and packs the others into a few hundred bytes each.
"""

import pickle
import zlib
from collections import OrderedDict
from collections.abc import Iterator
from typing import Final, Generic, TypeVar

from handlers.ports import Document, Pair
from worker.store.documents import Collection
from worker.store.memory.store import MemoryStore

UNPACKED_MAX: Final = 200
"""How many values the archive keeps unpacked: some 20 kB each."""
_COMPRESSION_LEVEL: Final = 1
"""zlib's fastest level: it leaves a third of the size."""

T = TypeVar("T")


class PairArchive(Generic[T]):
    """One value a conversation, in the order of their first `put`."""

    def __init__(self) -> None:
        self._packed: dict[str, bytes | None] = {}
        """None: the value is unpacked."""
        self._unpacked: OrderedDict[str, T] = OrderedDict()

    def __iter__(self) -> Iterator[str]:
        """The conversations' ids."""
        return iter(tuple(self._packed))

    def get(self, conversation_id: str) -> T | None:
        """The value that was put last, or None. Put it again after a change."""
        if conversation_id in self._unpacked:
            return self._unpacked[conversation_id]
        packed = self._packed.get(conversation_id)
        if packed is None:
            return None
        value: T = pickle.loads(zlib.decompress(packed))  # noqa: S301 - packed below, by this process
        return value

    def put(self, conversation_id: str, value: T) -> None:
        """Keep the value in place of the one before."""
        self._packed[conversation_id] = None
        self._unpacked[conversation_id] = value
        self._unpacked.move_to_end(conversation_id)
        if len(self._unpacked) > UNPACKED_MAX:
            oldest, unpacked = self._unpacked.popitem(last=False)
            self._packed[oldest] = zlib.compress(pickle.dumps(unpacked, pickle.HIGHEST_PROTOCOL), _COMPRESSION_LEVEL)


def pair_in(store: MemoryStore, conversation_id: str) -> Pair:
    """The pair as it stands in a store that holds no other conversation."""
    return Pair(
        conversation=store.conversation(conversation_id),
        work_items=tuple(store.documents(Collection.WORK_ITEMS)),
        state=store.state(conversation_id),
    )


def work_item_in(pair: Pair) -> Document | None:
    """The pair's work-item: the active one, else the one that the sync state names."""
    named = next((each for each in pair.work_items if each["_id"] == pair.state.work_item), None)
    return next((each for each in pair.work_items if each.get("active")), named)
