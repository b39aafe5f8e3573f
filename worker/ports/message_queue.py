"""The port of SQS: the queue with its dead-letter queue."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from msgspec import Struct

from worker.ports.aws_calls import EntryResults

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
