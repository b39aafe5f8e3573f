"""What the worker holds of the queue: every message received and not settled yet, with back-pressure at its door.

Receivers reserve room before they ask SQS, so that there is never more in hand than was agreed. Left out: who extends
visibility (heartbeat.py) and who settles (settle.py).
"""

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from handlers.ports import Clock
from worker.ports import Message


@dataclass(slots=True, kw_only=True)
class _InFlightMessage:
    message: Message
    visible_again: float
    """By the clock that nobody sets."""


class InFlight:
    """The registry. `visibility_timeout_s` is the queue's: how long a delivery stays hidden from others."""

    def __init__(self, *, count_max: int, visibility_timeout_s: int, clock: Clock) -> None:
        self.visibility_timeout_s = visibility_timeout_s
        self._count_max = count_max
        self._clock = clock
        self._held: dict[str, _InFlightMessage] = {}
        self._reserved = 0
        self._changed = asyncio.Condition()

    def __len__(self) -> int:
        return len(self._held)

    @property
    def messages(self) -> list[Message]:
        """All that is in hand, the oldest first."""
        return [held.message for held in self._held.values()]

    async def reserve(self, count: int) -> None:
        """Wait until `count` more fit, and keep room for them. One `add` or `cancel_reservation` must follow."""
        async with self._changed:
            await self._changed.wait_for(lambda: len(self._held) + self._reserved + count <= self._count_max)
            self._reserved += count

    async def add(self, messages: Iterable[Message], *, reserved: int) -> None:
        """Messages just received come in; the rest of the room is free again."""
        again = self._clock.monotonic() + self.visibility_timeout_s
        for message in messages:
            self._held[message.receipt] = _InFlightMessage(message=message, visible_again=again)
        await self.cancel_reservation(reserved)

    async def cancel_reservation(self, reserved: int) -> None:
        """Room that is not needed after all."""
        self._reserved -= reserved
        await self._tell()

    async def release(self, receipts: Iterable[str]) -> None:
        """Settled, or left to redelivery: no longer in hand."""
        for receipt in receipts:
            self._held.pop(receipt, None)
        await self._tell()

    async def empty(self) -> None:
        """Wait until nothing is in hand."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._held)

    def due_for_extension(self) -> list[str]:
        """Receipts of the messages whose time is half over."""
        return self._expiring_within(self.visibility_timeout_s / 2)

    def expired(self) -> list[str]:
        """Receipts of the messages whose time is over."""
        return self._expiring_within(0)

    def _expiring_within(self, seconds: float) -> list[str]:
        limit = self._clock.monotonic() + seconds
        return [receipt for receipt, held in self._held.items() if held.visible_again <= limit]

    def note_extended(self, receipts: Sequence[str], *, asked_at: float) -> None:
        """Hidden for a whole timeout from `asked_at` (monotonic) on."""
        again = asked_at + self.visibility_timeout_s
        for receipt in receipts:
            if receipt in self._held:
                self._held[receipt].visible_again = again

    def holds(self, receipt: str) -> bool:
        """Whether that delivery is still in hand."""
        return receipt in self._held

    async def _tell(self) -> None:
        async with self._changed:
            self._changed.notify_all()
