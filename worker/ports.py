"""The queue as the worker sees it: a port. Adapters: `worker/sqs.py`, and the stand-in of the tests.

Every call raises `QueueAway` where the queue cannot be used now. What AWS says of single entries is a value, in the
order of the entries: None where it took the entry.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from msgspec import Struct

from handlers.ports import Announcement

SQS_ENTRIES_MAX: Final = 10
"""Entries that SQS takes in one call."""
VISIBILITY_TIMEOUT_S_MAX: Final = 43_200
"""How long SQS hides a message at most, counted from its receipt: 12 hours."""
LONG_POLL_S: Final = 20


class AwsEndpoint(Struct, frozen=True, kw_only=True):
    """`url` None for AWS itself, an address for LocalStack or moto."""

    region: str
    url: str | None = None


class Message(Struct, frozen=True, kw_only=True):
    """One delivery. `receipt` names the delivery, `id` the message; a message delivered again has a new receipt.

    `attributes` are the message's own, in SQS' shape `{name: {DataType, StringValue | BinaryValue}}`. `receive_count`
    counts this delivery. `group` is the message group of a FIFO queue.
    """

    id: str
    receipt: str
    body: str
    attributes: Mapping[str, Mapping[str, Any]]
    receive_count: int
    received_at: datetime
    group: str | None = None


def size_bytes(body: str, attributes: Mapping[str, Mapping[str, Any]]) -> int:
    """What AWS counts of a message: the body, and each attribute's name, type and value."""
    size = len(body.encode(errors="surrogatepass"))
    for name, value in attributes.items():
        size += len(name.encode())
        for part in value.values():
            size += len(part if isinstance(part, bytes) else str(part).encode())
    return size


class RefusedEntry(Struct, frozen=True, kw_only=True):
    """One entry of a batch that AWS did not take. `final`: it will not take it at another try either."""

    code: str
    reason: str
    final: bool


class QueueFacts(Struct, frozen=True, kw_only=True):
    """What the queue is, as read at start."""

    visibility_timeout_s: int
    receive_count_max: int
    fifo: bool
    dead_letter_url: str
    dead_letter_bytes_max: int


class VisibilityChange(Struct, frozen=True, kw_only=True):
    """A message to be seen again in `seconds`: 0 at once."""

    receipt: str
    timeout_s: int


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A message for the dead-letter queue. `group` and `deduplication` only where that queue is FIFO."""

    body: str
    attributes: Mapping[str, Mapping[str, Any]]
    group: str | None = None
    deduplication: str | None = None


EntryResults = Sequence[RefusedEntry | None]


class MessageQueue(Protocol):
    """One queue and its dead-letter queue. Batches hold at most `SQS_ENTRIES_MAX` entries."""

    async def receive(self, *, wait_s: int) -> Sequence[Message]:
        """Up to ten messages; waits up to `wait_s` for the first."""
        ...

    async def delete_batch(self, receipts: Sequence[str]) -> EntryResults:
        """Settle for good."""
        ...

    async def change_visibility_batch(self, changes: Sequence[VisibilityChange]) -> EntryResults:
        """Change when messages are seen again."""
        ...

    async def dead_letter_batch(self, letters: Sequence[DeadLetter]) -> EntryResults:
        """Send to the dead-letter queue; the source message stays."""
        ...


class TopicMessage(Struct, frozen=True, kw_only=True):
    """A published message on its way to a topic. `id` is stable however often it is sent; `group` orders on FIFO.

    `size_bytes` is what SNS counts: the text and the attributes.
    """

    id: str
    group: str
    text: str
    attributes: Mapping[str, Mapping[str, str]]
    size_bytes: int


class Topics(Protocol):
    """SNS. Raises `TopicsAway` where it cannot be used now."""

    async def publish(self, arn: str, messages: Sequence[TopicMessage]) -> Sequence[RefusedEntry | None]:
        """One call with what `pack_into_calls` made; each message's answer in order, None where it was taken."""
        ...


def is_fifo(arn: str) -> bool:
    """Whether that topic or queue keeps order by group."""
    return arn.endswith(".fifo")


class OutboxBacklog(Struct, frozen=True, kw_only=True):
    """What is left in the outbox: how many wait, since when the oldest, and how many were set aside."""

    count: int
    oldest: datetime | None
    set_aside: int


class Outbox(Protocol):
    """The entries left to publish. Every call raises `StoreAway` where the store is away, and may be repeated."""

    async def waiting(
        self, older_than: datetime, limit: int, *, skip: int = 0, or_after: datetime | None = None
    ) -> Sequence[Announcement]:
        """At most `limit` (1 or more) entries created before `older_than` (or after `or_after`, by a clock that was
        ahead), oldest first, none that was set aside; the oldest `skip` of them are left out."""
        ...

    async def sent(self, ids: Iterable[str]) -> None:
        """Remove them; one that is gone already is gone."""
        ...

    async def set_aside(self, entry_id: str, reason: str) -> None:
        """Keep it, with the reason, and let it wait no more; nothing happens if it is gone."""
        ...

    async def backlog(self) -> OutboxBacklog:
        """What is left now."""
        ...


class WaitingBacklog(Struct, frozen=True, kw_only=True):
    """How many pairs have a field that waits, and since when the oldest does."""

    count: int
    oldest: datetime | None


class WaitingPairs(Protocol):
    """Every call raises `StoreAway` where the store is away, and may be repeated."""

    async def waiting_longer(self, than: datetime, limit: int) -> Sequence[str]:
        """The conversations of at most `limit` (1 or more) pairs that wait since before `than`, oldest first."""
        ...

    async def waiting_backlog(self) -> WaitingBacklog:
        """All that wait now."""
        ...

    async def forget(self, before: datetime, limit: int) -> int:
        """Remove the states of at most `limit` (1 or more) pairs that finished before `before`; how many went.

        One that is written meanwhile stays if it is finished no more; if it goes, the writer meets a conflict.
        """
        ...


class Announcer(Protocol):
    """Publishes the announcements of settled events (`outbox/publisher.py`)."""

    def offer(self, announcements: Sequence[Announcement]) -> None:
        """Accept the announcements or leave them to the relay; never waits."""
        ...


class QueueLateness(Protocol):
    """How late events reach the worker (`consumer/queue_lag.py`)."""

    def current(self) -> timedelta | None:
        """The greatest recent lateness; None while the queue does not answer."""
        ...
