"""What the use case needs from outside: a store, a clock, ids. Adapters in `worker/` provide them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, Protocol

from msgspec import Struct, field

from commands.context import CommandContext
from commands.session import SessionMove
from sync.gates import Side
from sync.state import SyncState

Document = Mapping[str, Any]
"""A stored conversation or work-item: the event's `data` with `_id`, `org`, `rev` on top (domain.md, *Documents*)."""


class StoreAway(Exception):
    """The store cannot be reached or cannot write. No message's fault: wait, then do the whole batch again."""


class LoadRequest(Struct, frozen=True, kw_only=True):
    """What one conversation's events make it necessary to load, besides what its stored documents name.

    `unanimous`: they are the conversation's own, and each tells of just these users and queues. Where both stored
    documents say so, too, no command can meet a queue or a session, and none need be read.
    """

    conversation_id: str
    work_item_ids: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()
    queues: frozenset[str] = frozenset()
    unanimous: bool = False


class Pair(Struct, frozen=True, kw_only=True):
    """A conversation with its active work-item, the wanted ones, its sync state, and the queues and sessions that any
    command of the batch can meet. What is not stored is None, or missing."""

    conversation: Document | None = None
    work_items: tuple[Document, ...] = ()
    state: SyncState = field(default_factory=SyncState)
    context: CommandContext = field(default_factory=CommandContext)


class DocumentWrite(Struct, frozen=True, kw_only=True):
    """One document's write. `before` is the document as loaded, and the write holds only while its `rev` still
    stands; None: the document is new, and the write holds only while there is none."""

    before: Document | None
    after: Document


class Announcement(Struct, frozen=True, kw_only=True):
    """An outbox entry: the event that tells of a write. `id` is stable however often it is published."""

    id: str
    conversation_id: str
    side: Side
    message: str
    created_at: datetime


class Plan(Struct, frozen=True, kw_only=True):
    """All that one conversation's events lead to: committed whole or not at all.

    `state` None: unchanged; else it holds only while the stored version is `state.version - 1` (0: none stored).
    """

    conversation_id: str
    conversation: DocumentWrite | None = None
    work_items: tuple[DocumentWrite, ...] = ()
    state: SyncState | None = None
    revisions: tuple[Document, ...] = ()
    moves: tuple[SessionMove, ...] = ()
    announcements: tuple[Announcement, ...] = ()

    @property
    def empty(self) -> bool:
        """True where there is nothing to write."""
        return self.conversation is None and not self.work_items and self.state is None


class CommitResult(Enum):
    """A plan's fate."""

    COMMITTED = "committed"
    CONFLICT = "conflict"
    AWAY = "away"
    """The store went away before this plan's turn, or on it, after others had met their fate."""


class PlanRejected(Struct, frozen=True, kw_only=True):
    """The fate of a plan that the store can never take: a document too large, or a value it cannot hold. Nothing of it
    was written. `reason` never holds a customer's content."""

    conversation_id: str
    reason: str


class Store(Protocol):
    """The documents, the sync state, the sessions and the outbox.

    `load` costs a constant number of round trips, however many conversations it is asked for; so does `commit` where
    no plan conflicts. Both raise `StoreAway`.
    """

    async def load(self, requests: Sequence[LoadRequest]) -> Mapping[str, Pair]:
        """The pairs by conversation id, one for every want."""
        ...

    async def commit(self, plans: Sequence[Plan]) -> Sequence[CommitResult | PlanRejected]:
        """Each plan's fate, in order. A conflict leaves nothing of its plan: load and decide again. Raises StoreAway
        only where no plan has met its fate; else the rest is `AWAY`."""
        ...


class Clock(Protocol):
    """Time, so that tests can own it."""

    def now(self) -> datetime:
        """Aware, UTC, cut off below the millisecond. Whoever sets the machine's clock moves it."""
        ...

    def monotonic(self) -> float:
        """Seconds since whenever, which nobody sets: for how long ago, and how much longer."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class Ids(Protocol):
    """Fresh ids."""

    def new(self) -> str:
        """24 hexadecimal digits, never given before."""
        ...


class Chance(Protocol):
    """Randomness for jitter."""

    def random(self) -> float:
        """From 0 up to, not including, 1."""
        ...
