"""The worker's ports: the queue, the topics, the outbox, the sync states by age, the fleet, the waiting times and the
queues of work-items, and two between rooms of the worker.

| port | adapter | raises |
|---|---|---|
| `MessageQueue` | `aws/sqs/message_queue.py` | `QueueAway` |
| `Topics` | `aws/sns/topics.py` | `TopicsAway` |
| `Outbox` | `mongo/collections/outbox.py`, `store/memory/store.py` | `StoreAway` |
| `SyncStatesByAge` | `mongo/collections/sync_states_by_age.py`, `store/memory/store.py` | `StoreAway` |
| `Fleet` | `mongo/collections/fleet.py`, `store/memory/fleet.py` | `StoreAway` |
| `WaitingTimes` | `mongo/collections/waiting_times.py`, `store/memory/waiting_times.py` | `StoreAway` |
| `QueueDirectory` | `mongo/collections/queue_directory.py`, `store/memory/waiting_times.py` | `StoreAway` |
| `DeliveryInspection` | `aws/checks/delivery.py` | – |
| `Announcer` | `outbox/publisher.py` | – |
| `Watermark` | `consumer/watermark.py` | – |

The ports of the use case (`Store`, `Clock`, `QueueClock`, `Ids`, `Chance`) are in handlers/ports.py. An `…Away` error
means that the service cannot be used now: wait and call again. `QueueDirectory` raises `UnreadableDocument`, too. Every
call of `Outbox`, `SyncStatesByAge`, `Fleet`, `WaitingTimes` and `QueueDirectory` may be repeated. A batch call to SQS
or SNS does not raise for a single bad entry: it returns one result per entry, in the order of the entries.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

from msgspec import Struct

from handlers.ports import Announcement
from worker.findings import Result

# Shared by SQS and SNS


class AwsEndpoint(Struct, frozen=True, kw_only=True):
    """The address of an AWS service. `url` None means AWS itself; LocalStack and moto have an address of their own."""

    region: str
    url: str | None = None


class RefusedEntry(Struct, frozen=True, kw_only=True):
    """One entry that AWS refused. `final` means that AWS will refuse the same entry at every later try."""

    code: str
    reason: str
    final: bool


EntryResults = Sequence[RefusedEntry | None]
"""One result per entry, in the order of the entries; None means that AWS took the entry."""


def size_bytes(body: str, attributes: Mapping[str, Mapping[str, Any]]) -> int:
    """The size of a message as AWS counts it: the body, and the name, type and value of each attribute."""
    size = len(body.encode(errors="surrogatepass"))
    for name, value in attributes.items():
        size += len(name.encode())
        for part in value.values():
            size += len(part if isinstance(part, bytes) else str(part).encode())
    return size


def is_fifo(arn: str) -> bool:
    """Whether the topic or queue keeps the order of each message group."""
    return arn.endswith(".fifo")


# The queue

SQS_ENTRIES_MAX: Final = 10
"""Entries of one call to SQS."""
VISIBILITY_TIMEOUT_S_MAX: Final = 43_200
"""SQS hides a message for at most 12 hours, counted from its receipt."""
LONG_POLL_S: Final = 20
"""The longest wait of one receive call."""
SENT_LONG_AGO: Final = datetime(1970, 1, 1, tzinfo=UTC)
"""The `sent_at` of a message whose age is unknown: it may have lain in the queue for any time."""


class Message(Struct, frozen=True, kw_only=True):
    """One delivery of a message.

    `id` names the message and `receipt` the delivery: a redelivery has a new receipt. `attributes` are the message's
    own, in SQS's form `{name: {DataType, StringValue | BinaryValue}}`. `receive_count` counts this delivery too.
    `sent_at` is the time at which the message entered the queue, by SQS's clock (`SentTimestamp`); `SENT_LONG_AGO` if
    SQS does not say. `group` is the message group of a FIFO queue.
    """

    id: str
    receipt: str
    body: str
    attributes: Mapping[str, Mapping[str, Any]]
    receive_count: int
    sent_at: datetime
    received_at: datetime
    group: str | None = None


class ReceiveResponse(Struct, frozen=True, kw_only=True):
    """The response to one receive call. `date` is the response's `Date` header, which is SQS's clock cut to the second;
    None if the response has none."""

    messages: Sequence[Message] = ()
    date: datetime | None = None


class QueueAttributes(Struct, frozen=True, kw_only=True):
    """The queue's attributes as read at start. `receive_count_max` is the redrive policy's `maxReceiveCount`.

    `created_at` is None if the queue does not say when it was created.
    """

    visibility_timeout_s: int
    receive_count_max: int
    fifo: bool
    dead_letter_url: str
    dead_letter_bytes_max: int
    created_at: datetime | None = None


class VisibilityChange(Struct, frozen=True, kw_only=True):
    """A message that becomes visible again in `timeout_s` seconds from now; 0 means at once."""

    receipt: str
    timeout_s: int


NO_CODE: Final = "NO_CODE"
"""The code under which operators see a dead letter that SQS moved after `maxReceiveCount` deliveries: such a letter has
no attributes."""


class DeadLetter(Struct, frozen=True, kw_only=True):
    """A message for the dead-letter queue. `group` and `deduplication_id` are set only if that queue is FIFO."""

    body: str
    attributes: Mapping[str, Mapping[str, Any]]
    group: str | None = None
    deduplication_id: str | None = None


class MessageQueue(Protocol):
    """One queue and its dead-letter queue. A batch has at most `SQS_ENTRIES_MAX` entries."""

    async def receive(self, *, wait_s: int) -> ReceiveResponse:
        """Receive up to ten messages. Waits up to `wait_s` seconds while the queue is empty."""
        ...

    async def delete_batch(self, receipts: Sequence[str]) -> EntryResults:
        """Delete the messages with these receipts."""
        ...

    async def change_visibility_batch(self, changes: Sequence[VisibilityChange]) -> EntryResults:
        """Change when the messages become visible again."""
        ...

    async def dead_letter_batch(self, letters: Sequence[DeadLetter]) -> EntryResults:
        """Send to the dead-letter queue; the source messages stay in their queue."""
        ...


# The topics


class TopicMessage(Struct, frozen=True, kw_only=True):
    """A message for a topic. `id` is the same at every try; `group` is the message group on a FIFO topic.

    `size_bytes` is the size as SNS counts it: text and attributes.
    """

    id: str
    group: str
    text: str
    attributes: Mapping[str, Mapping[str, str | bytes]]
    size_bytes: int


class Topics(Protocol):
    """SNS. `outbox/topic_message.py` holds SNS's limits and packs messages into calls."""

    async def publish(self, arn: str, messages: Sequence[TopicMessage]) -> EntryResults:
        """Publish one call's messages to the topic."""
        ...


# The outbox


class OutboxBacklog(Struct, frozen=True, kw_only=True):
    """The present number of waiting entries, the creation time of the oldest, and the number of entries set aside."""

    count: int
    oldest: datetime | None
    set_aside: int


class Outbox(Protocol):
    """The announcements that the store's transactions left to be published."""

    async def waiting_entries(
        self, older_than: datetime, limit: int, *, skip: int = 0, or_after: datetime | None = None
    ) -> Sequence[Announcement]:
        """At most `limit` (1 or more) waiting entries, oldest first, without the oldest `skip` of them.

        An entry counts if it was created before `older_than`, or after `or_after`: a writer whose clock was ahead gave
        it a time in the future.
        """
        ...

    async def remove_entries(self, ids: Iterable[str]) -> None:
        """Remove published entries; an id without an entry is ignored."""
        ...

    async def set_aside(self, entry_id: str, reason: str) -> None:
        """Set the entry aside with the reason: it is kept and no longer waits. An id without an entry is ignored."""
        ...

    async def backlog(self) -> OutboxBacklog:
        """The present backlog."""
        ...


# The sync states by age


class WaitingBacklog(Struct, frozen=True, kw_only=True):
    """The number of pairs with a waiting field, and the time since which the oldest waits."""

    count: int
    oldest: datetime | None


class SyncStatesByAge(Protocol):
    """Finds and removes sync states by age: of pairs with a waiting field, and of finished pairs."""

    async def waiting_since_before(self, instant: datetime, limit: int) -> Sequence[str]:
        """The conversation ids of at most `limit` (1 or more) pairs that have waited since before `instant`, oldest
        first."""
        ...

    async def waiting_backlog(self) -> WaitingBacklog:
        """The present backlog of waiting pairs."""
        ...

    async def remove_finished(self, before: datetime, limit: int) -> int:
        """Remove the states of at most `limit` (1 or more) pairs that finished before `before`; returns how many.

        A state that another writer changes meanwhile stays if its pair is no longer finished. If the state is removed
        first, the other writer meets a conflict.
        """
        ...


# The fleet


class Deployment(Struct, frozen=True, kw_only=True):
    """What a worker runs: DD_VERSION, and SYNC_POLICY."""

    version: str
    policy: str


class Fleet(Protocol):
    """What the workers of one deployment agree on. All times are the database's: no worker's clock is trusted."""

    async def acquire_lease(self, name: str, holder: str, seconds: float) -> bool:
        """Whether `holder` has the lease for the next `seconds`. The holder prolongs its lease by asking again. Another
        holder gets it once it has expired."""
        ...

    async def started_at(self) -> datetime:
        """The time at which the first worker of the deployment started: the first call stores it, and every call
        returns it."""
        ...

    async def replace_deployment(self, deployment: Deployment) -> Deployment | None:
        """Store what the calling worker runs; returns what the worker ran that started before it. None: none did."""
        ...


# The waiting times

LATEST_WAIT_WITHIN: Final = timedelta(days=1)
"""The latest wait of a queue is the one that ended last, if it ended no longer ago than this. A clock that is ahead may
have it end later than now, by as much at most: an event with a time years ahead would hide every other wait."""


class EndedWait(Struct, frozen=True, kw_only=True):
    """A work-item's wait in a queue that has ended (handlers/routing/waiting_times.py)."""

    work_item: str
    ended_at: datetime
    duration_ms: int

    @property
    def seconds(self) -> int:
        """The whole seconds of the wait, rounded down."""
        return self.duration_ms // 1_000


class WaitingTimes(Protocol):
    """The waits of work-items in queues: those that ended, and how many work-items wait now. A queue without any is
    left out of every answer. Of two waits that ended in the same millisecond, the one with the higher id of its record
    ended last."""

    async def latest(self, queue_ids: Sequence[str], *, now: datetime) -> Mapping[str, EndedWait]:
        """By queue: the wait that ended last of those that ended within `LATEST_WAIT_WITHIN` before or after `now`."""
        ...

    async def latest_in(
        self, begin: datetime, end: datetime, *, queue_ids: Sequence[str] | None, org: str | None
    ) -> Mapping[str, EndedWait]:
        """By queue: the wait that ended last from `begin` to `end`, both included.

        `queue_ids` None: every queue in which a wait of the org ended. `org` None: of any org. With both, only the
        waits of that org in those queues.
        """
        ...

    async def waiting(self, queue_ids: Sequence[str]) -> Mapping[str, int]:
        """By queue: how many work-items wait in it now, that is, have the status queued."""
        ...


# The queues of work-items


class QueueDescription(Struct, frozen=True, kw_only=True):
    """A queue's name and org, where its document has them."""

    id: str
    name: str | None = None
    org: str | None = None


class QueueDirectory(Protocol):
    """The queues of work-items, as the service that owns them stores them."""

    async def described(self, queue_ids: Sequence[str]) -> Mapping[str, QueueDescription]:
        """The queues by id; an unknown id is left out."""
        ...

    async def first(self, limit: int) -> Sequence[str]:
        """The ids of at most `limit` queues, the lowest ids first."""
        ...


# Between rooms of the worker


class Announcer(Protocol):
    """Publishes the announcements of settled events."""

    def offer(self, announcements: Sequence[Announcement]) -> None:
        """Accept the announcements or leave them to the relay; never waits."""
        ...


class DeliveryInspection(Protocol):
    """Looks at what must stand for events to reach the queue: its policy and its subscriptions."""

    async def look(self) -> Sequence[Result]:
        """What was found; what AWS does not say is `Untried`, with the subject that a finding there has."""
        ...


class Watermark(Protocol):
    """The time before which nothing sent to the queue is still undelivered, by SQS's clock."""

    def current(self) -> datetime | None:
        """The present watermark; None while there is none. A later call may return an earlier time."""
        ...
