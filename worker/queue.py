"""The queue as the worker sees it: a port. Adapters: `worker/sqs.py`, and the stand-in of the tests.

Every call raises `QueueAway` where the queue cannot be used now. What AWS says of single entries is a value, in the
order of the entries: None where it took the entry.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from commands.record import record
from worker.message import Message
from worker.refused import Refused

ENTRIES_MAX: Final = 10
"""Entries that SQS takes in one call."""
VISIBILITY_SECONDS_MAX: Final = 43_200
"""How long SQS hides a message at most, counted from its receipt: 12 hours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueFacts:
    """What the queue is, as read at start."""

    visibility_seconds: int
    receive_count_max: int
    fifo: bool
    dead_letter_url: str
    dead_letter_bytes_max: int


@record
class Hide:
    """A message to be seen again in `seconds`: 0 at once."""

    receipt: str
    seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """A message for the dead-letter queue. `group` and `deduplication` only where that queue is FIFO."""

    body: str
    attributes: Mapping[str, Mapping[str, Any]]
    group: str | None = None
    deduplication: str | None = None


Answers = Sequence[Refused | None]


class Queue(Protocol):
    """One queue and its dead-letter queue. Batches hold at most `ENTRIES_MAX` entries."""

    async def receive(self, *, wait_seconds: int) -> Sequence[Message]:
        """Up to ten messages; waits up to `wait_seconds` for the first."""
        ...

    async def delete_batch(self, receipts: Sequence[str]) -> Answers:
        """Settle for good."""
        ...

    async def hide_batch(self, hides: Sequence[Hide]) -> Answers:
        """Change when messages are seen again."""
        ...

    async def dead_letter_batch(self, letters: Sequence[DeadLetter]) -> Answers:
        """Send to the dead-letter queue; the source message stays."""
        ...
