"""Conversations between two of their events: a pair as it stands, and the shelf that keeps it as a few hundred bytes.

A large capture holds more pairs than would fit as documents; only the one that an event is about is taken down.
"""

import json
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson
from msgspec import Struct, field
from msgspec.structs import replace

from handlers.ports import Document, Plan
from sync.state import SyncState
from worker.store.documents import Collection
from worker.store.memory import MemoryStore
from worker.store.state_document import state_document, state_of

_QUICK: Final = 1
"""zlib's level: a third of the size for next to no time."""


class PairState(Struct, frozen=True, kw_only=True):
    """All that is stored of one conversation."""

    conversation: Document | None = None
    work_items: tuple[Document, ...] = ()
    state: SyncState = field(default_factory=SyncState)

    @classmethod
    def of(cls, conversation_id: str, store: MemoryStore) -> "PairState":
        """As the store has it, which must hold no other conversation."""
        return cls(
            conversation=store.conversation(conversation_id),
            work_items=tuple(store.documents(Collection.WORK_ITEMS)),
            state=store.state(conversation_id),
        )

    async def store(self, conversation_id: str) -> MemoryStore:
        """A store that holds nothing else."""
        store = MemoryStore()
        if self.conversation is not None:
            store.put_conversation(self.conversation)
        for document in self.work_items:
            store.put_work_item(document)
        if self.state != SyncState():
            # How often it was written is nobody's business but the store's: that it was is all that counts.
            state = replace(self.state, version=1)
            await store.commit([Plan(conversation_id=conversation_id, state=state)])
        return store

    @property
    def work_item(self) -> Document | None:
        """The pair's: the active one, else the one that the state names."""
        named = next((each for each in self.work_items if each["_id"] == self.state.work_item), None)
        return next((each for each in self.work_items if each.get("active")), named)

    def as_json(self, conversation_id: str) -> dict[str, Any]:
        """For the shelf."""
        return {
            "conversation": self.conversation,
            "workItems": self.work_items,
            "state": None if self.state == SyncState() else state_document(conversation_id, self.state),
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "PairState":
        """From the shelf."""
        return cls(
            conversation=kept["conversation"], work_items=tuple(kept["workItems"]), state=state_of(kept["state"])
        )


class PairArchive:
    """One JSON object a conversation, in the order in which they came."""

    def __init__(self) -> None:
        self._kept: dict[str, bytes] = {}

    def __iter__(self) -> Iterator[str]:
        """The conversations' ids."""
        return iter(tuple(self._kept))

    def take(self, conversation_id: str) -> dict[str, Any] | None:
        """What was put there last; None: nothing was."""
        kept = self._kept.get(conversation_id)
        return None if kept is None else _parsed(zlib.decompress(kept))

    def put(self, conversation_id: str, thing: Mapping[str, Any]) -> None:
        """In the place of what was there."""
        self._kept[conversation_id] = zlib.compress(_text(thing), _QUICK)


# orjson is ten times as quick; the standard library gives back whatever it took, half a surrogate pair and all.


def _text(thing: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(thing)
    except TypeError:
        return json.dumps(thing).encode()


def _parsed(text: bytes) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return json.loads(text)
