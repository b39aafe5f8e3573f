"""The ports of the use case: store, clock, ids and chance. Adapters in `worker/` provide them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, Final, Protocol

from msgspec import Struct, field

from commands.context import CommandContext
from commands.session import SessionMove
from sync.gates import Side
from sync.state.sync_state import SyncState

Document = Mapping[str, Any]
"""A stored conversation or work-item: the event's `data` with `_id`, `org`, `rev` on top (docs/events.md,
*Documents as stored*)."""


class StoreAway(Exception):
    """The store cannot be reached or cannot write. No message is at fault: wait, then hand the same batch in again."""


class StoreTimeout(StoreAway):
    """The store did not answer within its deadline."""


COMMIT_MIN: Final = 10
"""A commit of so few conversations that times out has another cause than its size. Commits of 125 pass where MongoDB's
cache is the smallest that it can have (docs/growth.md)."""


class CommitTimeout(StoreTimeout):
    """The store answered the load of `conversations` conversations, and then did not answer the commit of their plans,
    or of a part of them, within its deadline. A commit of fewer may succeed, where it was more than `COMMIT_MIN`."""

    def __init__(self, reason: str, conversations: int) -> None:
        super().__init__(reason)
        self.conversations = conversations


class WaitSighting(Struct, frozen=True, kw_only=True):
    """A wait of a work-item in a queue, as an event or a stored document shows it after its end
    (handlers/routing/waiting_times.py).

    `id` is the id of the wait's record: all sightings of a wait have the same.
    `rev`: the revision of the write that ended the wait; of a later sighting, one more than the document's revision. Of
    two sightings of a wait, the one with the lower `rev` knows better in which queue the wait ended.
    """

    id: str
    rev: int
    work_item: str
    queue: str
    org: str | None
    entered_at: datetime
    duration_ms: int


class LoadRequest(Struct, frozen=True, kw_only=True):
    """The records that one conversation's events need, besides those that its stored documents name.

    `same_users_and_queues`: every event is of the conversation, and each names exactly these users and queues. If the
    stored conversation and its work-items name them too, no command can need a queue or a session, so the store loads
    neither.
    `waits`: the waits that the events show; None: waiting times are off, and no record of a wait is looked up.
    `may_create`: the conversation may get a new work-item. If it is open and has no active one, the store also loads
    its latest work-item, and the sessions and queues that a new one needs. `opens`: an event has it open, whether or
    not the stored one is: that may be older.
    `places`: also the sessions of the users whom the stored work-items name, on which these should have their places.
    """

    conversation_id: str
    work_item_ids: frozenset[str] = frozenset()
    users: frozenset[str] = frozenset()
    queues: frozenset[str] = frozenset()
    same_users_and_queues: bool = False
    waits: tuple[WaitSighting, ...] | None = None
    may_create: bool = False
    opens: bool = False
    places: bool = False


class PairWaits(Struct, frozen=True, kw_only=True):
    """The waits of a pair that its sync state does not name as recorded.

    `sightings`: those that its events and stored work-items show, one a wait. `recorded`: the records of those that
    are stored already, by id.
    """

    sightings: tuple[WaitSighting, ...] = ()
    recorded: Mapping[str, Document] = field(default_factory=dict)


class Pair(Struct, frozen=True, kw_only=True):
    """A conversation as loaded: its document, None where it is not stored; its active work-item and the requested
    ones; its sync state; the queues and sessions that a command of the batch may need.

    `waits`: None where the request asked for none.
    `latest_work_item`: the id of the conversation's latest work-item, for a request with `may_create`; None where one
    is active, or where there is none.

    `unreadable`: why the store cannot say what belongs to the pair, because a document of it cannot be read; the rest
    is then incomplete.
    """

    conversation: Document | None = None
    work_items: tuple[Document, ...] = ()
    state: SyncState = field(default_factory=SyncState)
    context: CommandContext = field(default_factory=CommandContext)
    waits: PairWaits | None = None
    latest_work_item: str | None = None
    unreadable: str | None = None


class DocumentWrite(Struct, frozen=True, kw_only=True):
    """The conditional write of one document.

    `before` is the document as loaded: the write succeeds only while the stored `rev` is still the same. `before` None:
    the document is new, and the write succeeds only while none is stored.
    """

    before: Document | None
    after: Document


class Announcement(Struct, frozen=True, kw_only=True):
    """An outbox entry: the event that announces a write. `id` stays the same each time the event is published.

    `write`: the write in the form of the audit record's `written`; None for an entry that was read from the store.
    """

    id: str
    conversation_id: str
    side: Side
    message: str
    created_at: datetime
    write: Mapping[str, Any] | None = None


class Plan(Struct, frozen=True, kw_only=True):
    """All writes of one conversation's events, committed whole or not at all.

    `state` None: unchanged. Else its write succeeds only while the stored version is `state.version - 1` (0: none is
    stored). `audits`: the kept records of the decisions (handlers/planning/kept_audit.py).
    """

    conversation_id: str
    conversation: DocumentWrite | None = None
    work_items: tuple[DocumentWrite, ...] = ()
    state: SyncState | None = None
    revisions: tuple[Document, ...] = ()
    waits: tuple[DocumentWrite, ...] = ()
    moves: tuple[SessionMove, ...] = ()
    announcements: tuple[Announcement, ...] = ()
    audits: tuple[Document, ...] = ()

    @property
    def empty(self) -> bool:
        """True where the plan writes nothing."""
        return self.conversation is None and not self.work_items and self.state is None


class CommitResult(Enum):
    """The result of a plan's commit."""

    COMMITTED = "committed"
    CONFLICT = "conflict"
    AWAY = "away"
    """The store went away before this plan was committed, while other plans of the batch have their results."""
    TIMED_OUT = "timed out"
    """The deadline passed before this plan was committed, while other plans of the batch have their results."""


class PlanRejected(Struct, frozen=True, kw_only=True):
    """The result of a plan that the store cannot write: a document is too large, or holds a value that the store cannot
    keep. Nothing of the plan was written.

    The plan's events end with a retry, not as dead letters: a later plan of the same events may be writable, because it
    is made from newer documents. The queue's redrive policy ends the retries. `reason` never holds a customer's
    content.
    """

    conversation_id: str
    reason: str


class Store(Protocol):
    """The store of documents, sync states, sessions and the outbox.

    `load` takes a constant number of round trips for any number of conversations, and so does `commit` where no plan
    conflicts.
    """

    async def load(self, requests: Sequence[LoadRequest]) -> Mapping[str, Pair]:
        """The pairs by conversation id, one for every request. Raises StoreAway."""
        ...

    async def commit(self, plans: Sequence[Plan]) -> Sequence[CommitResult | PlanRejected]:
        """Each plan's result, in order.

        Nothing of a plan that conflicts is written: load and decide again. Raises StoreAway only where no plan has a
        result (StoreTimeout: because the deadline passed); else the plans without one are `AWAY`, or `TIMED_OUT`.
        """
        ...


class WorkItems(Protocol):
    """The reads of the API: work-items by id and by conversation. Each raises StoreAway.

    `org` None: of every org. Else a document of another org is not found.
    """

    async def work_item(self, work_item_id: str, *, org: str | None) -> Document | None:
        """The stored work-item, or None."""
        ...

    async def of_conversation(self, conversation_id: str, *, org: str | None, limit: int) -> Sequence[Document] | None:
        """The latest `limit` work-items of the conversation, the one with the highest number first. None if neither
        the conversation nor a work-item of it is stored."""
        ...

    async def queue_id(self, key: str, *, org: str | None) -> str | None:
        """The id of the org's queue with this key, or None."""
        ...


class Clock(Protocol):
    """The time; tests have a clock of their own."""

    def now(self) -> datetime:
        """The wall clock: aware, UTC, cut to the millisecond. Setting the machine's clock moves it."""
        ...

    def monotonic(self) -> float:
        """The monotonic clock, in seconds from an arbitrary start: for durations and deadlines."""
        ...

    async def sleep(self, seconds: float) -> None:
        """Wait for so many seconds."""
        ...


class QueueClock(Protocol):
    """SQS's clock: the same for all workers, whatever the clocks of their machines show."""

    def now(self) -> datetime:
        """The time by SQS's clock: aware, UTC."""
        ...


class Ids(Protocol):
    """The source of fresh ids."""

    def new(self) -> str:
        """An id of 24 hexadecimal digits that was never given before."""
        ...


class Chance(Protocol):
    """The source of randomness for jitter."""

    def random(self) -> float:
        """A number of at least 0 and below 1."""
        ...
