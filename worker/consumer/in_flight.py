"""Messages in flight: received from the queue and not settled yet, with limits on their number and their bytes.

A receiver reserves room before it calls SQS, so that the number is never exceeded. The bytes are known only afterwards:
above their limit no call begins, and the calls under way may bring ten messages each. `visibility.py` extends the
visibility of the messages here; `settlement.py` ends them.
"""

import asyncio
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from handlers.ports import Clock
from worker.ports.message_queue import Message


@dataclass(slots=True, kw_only=True)
class _InFlightMessage:
    """Times are seconds of the monotonic clock."""

    message: Message
    received_at: float
    visible_at: float

    @property
    def body_bytes(self) -> int:
        """The bytes of the body in memory, up to four for a character."""
        return sys.getsizeof(self.message.body)


class InFlight:
    """The registry of the process. `visibility_timeout_s` is the queue's visibility timeout; `bytes_max` limits the
    bytes of the bodies in memory."""

    def __init__(self, *, count_max: int, bytes_max: int, visibility_timeout_s: int, clock: Clock) -> None:
        self.visibility_timeout_s = visibility_timeout_s
        self._count_max = count_max
        self._bytes_max = bytes_max
        self._bytes = 0
        self._clock = clock
        self._by_receipt: dict[str, _InFlightMessage] = {}
        self._reserved = 0
        self._changed = asyncio.Condition()

    def __len__(self) -> int:
        return len(self._by_receipt)

    @property
    def messages(self) -> list[Message]:
        """All messages in flight, the first received first."""
        return [entry.message for entry in self._by_receipt.values()]

    @property
    def is_receiving(self) -> bool:
        """Whether a receiver has reserved room: a receive call may bring messages at any moment."""
        return self._reserved > 0

    async def reserve(self, count: int) -> None:
        """Wait until there is room for `count` more messages, and keep it. Exactly one `add` or `cancel_reservation`
        must follow."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._has_room(count))
            self._reserved += count

    def _has_room(self, count: int) -> bool:
        return len(self._by_receipt) + self._reserved + count <= self._count_max and self._bytes < self._bytes_max

    async def add(self, messages: Iterable[Message], *, reserved: int) -> None:
        """Add the messages of one call to SQS and free the room that was reserved for it."""
        now = self._clock.monotonic()
        visible_at = now + self.visibility_timeout_s
        for message in messages:
            entry = _InFlightMessage(message=message, received_at=now, visible_at=visible_at)
            self._remove(message.receipt)
            self._by_receipt[message.receipt] = entry
            self._bytes += entry.body_bytes
        await self.cancel_reservation(reserved)

    async def cancel_reservation(self, reserved: int) -> None:
        """Free reserved room."""
        self._reserved -= reserved
        await self._notify()

    async def release(self, receipts: Iterable[str]) -> None:
        """Forget deliveries that are settled or left to redelivery; an unknown receipt is ignored."""
        for receipt in receipts:
            self._remove(receipt)
        await self._notify()

    def _remove(self, receipt: str) -> None:
        entry = self._by_receipt.pop(receipt, None)
        if entry is not None:
            self._bytes -= entry.body_bytes

    def due_for_extension(self) -> list[str]:
        """Receipts whose visibility timeout is half over."""
        return self._visible_within(self.visibility_timeout_s / 2)

    def received_before(self, seconds: float) -> list[Message]:
        """The messages that were received at least `seconds` ago, the first received first."""
        limit = self._clock.monotonic() - seconds
        return [entry.message for entry in self._by_receipt.values() if entry.received_at <= limit]

    def oldest_sent_at(self, *, receive_count_max: int) -> datetime | None:
        """When the oldest message in flight was sent, of those received at most `receive_count_max` times."""
        messages = (entry.message for entry in self._by_receipt.values())
        counted = (message.sent_at for message in messages if message.receive_count <= receive_count_max)
        return min(counted, default=None)

    def expired(self) -> list[str]:
        """Receipts whose visibility timeout is over."""
        return self._visible_within(0)

    def _visible_within(self, seconds: float) -> list[str]:
        limit = self._clock.monotonic() + seconds
        return [receipt for receipt, entry in self._by_receipt.items() if entry.visible_at <= limit]

    def note_extended(self, receipts: Sequence[str], *, asked_at: float) -> None:
        """The deliveries are hidden for a whole visibility timeout from `asked_at` (monotonic clock, seconds) on."""
        visible_at = asked_at + self.visibility_timeout_s
        for receipt in receipts:
            if receipt in self._by_receipt:
                self._by_receipt[receipt].visible_at = visible_at

    def holds(self, receipt: str) -> bool:
        """Whether that delivery is in flight."""
        return receipt in self._by_receipt

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()
