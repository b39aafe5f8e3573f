"""The port of the dead-letter queue as its operator sees it: look at letters, put them back into the queue.

| port | adapter | raises |
|---|---|---|
| `LetterQueue` | `aws/sqs/letter_queue.py` | `QueueAway`, and `describe` Misconfigured |

The worker itself only sends dead letters (`MessageQueue` in worker/ports/message_queue.py).
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from msgspec import Struct

from worker.ports.aws_calls import EntryResults
from worker.ports.message_queue import Message


class LetterDelivery(Struct, frozen=True, kw_only=True):
    """One delivery of a dead letter. `moved_from`: the ARN of the queue from which SQS moved it; None where it was
    sent, or where SQS does not say."""

    message: Message
    moved_from: str | None = None


class LetterQueueState(Struct, frozen=True, kw_only=True):
    """The dead-letter queue as SQS describes it now. The counts are approximate.

    `hidden`: letters that a reader has received. `retention_s`: SQS removes a letter at that age. `receive_count_max`:
    the `maxReceiveCount` of a redrive policy that the dead-letter queue has of its own; None: it has none, as usual.
    `read_at`: SQS's clock, cut to the second; None if SQS does not say.
    """

    name: str
    fifo: bool
    visible: int
    hidden: int
    retention_s: int
    receive_count_max: int | None = None
    read_at: datetime | None = None


class ReturnedMessage(Struct, frozen=True, kw_only=True):
    """A message for the queue of events. `group` and `deduplication_id` are set only if that queue is FIFO."""

    body: str
    attributes: Mapping[str, Mapping[str, Any]]
    group: str | None = None
    deduplication_id: str | None = None


class LetterQueue(Protocol):
    """A dead-letter queue and the queue of events before it. A batch has at most `SQS_ENTRIES_MAX` entries."""

    async def describe(self) -> LetterQueueState:
        """The dead-letter queue as it is now. Raises Misconfigured if it does not exist or cannot be read."""
        ...

    async def receive(self, *, count_max: int, hidden_s: int, wait_s: int) -> Sequence[LetterDelivery]:
        """Receive up to `count_max` letters, 10 at most, and hide them for `hidden_s`. Waits up to `wait_s` seconds
        while no letter is visible."""
        ...

    async def give_back(self, receipts: Sequence[str]) -> EntryResults:
        """Make the letters visible again at once."""
        ...

    async def delete_batch(self, receipts: Sequence[str]) -> EntryResults:
        """Delete the letters with these receipts."""
        ...

    async def put_back_batch(self, messages: Sequence[ReturnedMessage]) -> EntryResults:
        """Send to the queue of events, in this order. A call that fails is a refusal of its entries that may pass, and
        does not raise: the entries before it have been sent."""
        ...
