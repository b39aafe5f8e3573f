"""A stand-in for SQS in memory, with failures that a test sets."""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from handlers.ports import Clock
from worker.errors import QueueAway
from worker.ports.aws_calls import EntryResults, RefusedEntry
from worker.ports.message_queue import (
    SQS_ENTRIES_MAX,
    DeadLetter,
    Message,
    QueueAttributes,
    ReceiveResponse,
    VisibilityChange,
)

LATER = RefusedEntry(code="InternalError", reason="try again", final=False)
NEVER = RefusedEntry(code="ReceiptHandleIsInvalid", reason="no such delivery", final=True)


@dataclass(slots=True, kw_only=True)
class _Stored:
    id: str
    body: str
    attributes: dict[str, dict[str, Any]]
    group: str | None
    sent_at: datetime
    visible_at: float
    """Monotonic clock, seconds."""
    receives: int = 0
    receipt: str | None = None


@dataclass(slots=True)
class StandInQueue:
    """A `MessageQueue` in memory. `refusals` hold the results that the next entries of each action get (`refuse`)."""

    clock: Clock
    attributes: QueueAttributes = field(
        default_factory=lambda: QueueAttributes(
            visibility_timeout_s=60,
            receive_count_max=10,
            fifo=False,
            dead_letter_url="dead",
            dead_letter_bytes_max=262_144,
        )
    )
    dead: list[DeadLetter] = field(default_factory=list)
    calls: list[tuple[str, int]] = field(default_factory=list)
    hidden: list[VisibilityChange] = field(default_factory=list)
    ahead: timedelta = timedelta()
    refusals: dict[str, deque[RefusedEntry | QueueAway | None]] = field(default_factory=dict)
    _stored: list[_Stored] = field(default_factory=list)
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _numbers: Any = field(default_factory=lambda: count(1))

    @property
    def now(self) -> datetime:
        """The queue's clock: that of the worker, corrected by `ahead`."""
        return self.clock.now() + self.ahead

    def send(
        self,
        body: str,
        *,
        group: str | None = None,
        attributes: dict[str, dict[str, Any]] | None = None,
        ago: timedelta = timedelta(),
    ) -> str:
        """Store a message that was sent so long ago."""
        message_id = f"m{next(self._numbers)}"
        self._stored.append(
            _Stored(
                id=message_id,
                body=body,
                attributes=attributes or {},
                group=group,
                sent_at=self.now - ago,
                visible_at=self.clock.monotonic(),
            )
        )
        self._note_change()
        return message_id

    def refuse(self, action: str, *answers: RefusedEntry | QueueAway | None) -> None:
        """The next entries of an action (delete, hide, dead_letter, receive) get these; QueueAway fails a call."""
        self.refusals.setdefault(action, deque()).extend(answers)

    @property
    def left(self) -> list[str]:
        return [stored.id for stored in self._stored]

    def oldest_sent_at(self, *, receives_max: int) -> datetime | None:
        """When the oldest message that is still stored was sent, of those delivered at most `receives_max` times."""
        return min((one.sent_at for one in self._stored if one.receives <= receives_max), default=None)

    def visible_in_seconds(self, message_id: str) -> float:
        stored = next(one for one in self._stored if one.id == message_id)
        return max(stored.visible_at - self.clock.monotonic(), 0)

    async def receive(self, *, wait_s: int) -> ReceiveResponse:
        self._check("receive", 1)
        ends_at = self.clock.monotonic() + wait_s
        while not self._ready and self.clock.monotonic() < ends_at:
            await self._wait_for_message(ends_at)
        messages = [self._deliver(stored) for stored in self._ready[:SQS_ENTRIES_MAX]]
        return ReceiveResponse(messages=messages, date=self.now.replace(microsecond=0))

    @property
    def _ready(self) -> list[_Stored]:
        now = self.clock.monotonic()
        locked = {stored.group for stored in self._stored if stored.group and stored.visible_at > now}
        return [stored for stored in self._stored if stored.visible_at <= now and stored.group not in locked]

    async def _wait_for_message(self, ends_at: float) -> None:
        """Wait until a message is sent or becomes visible, but not longer than until `ends_at`."""
        now = self.clock.monotonic()
        wakes_at = min([ends_at, *(stored.visible_at for stored in self._stored if stored.visible_at > now)])
        waits = [asyncio.ensure_future(self._changed.wait()), asyncio.ensure_future(self.clock.sleep(wakes_at - now))]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    def _deliver(self, stored: _Stored) -> Message:
        stored.receives += 1
        stored.receipt = f"{stored.id}-r{stored.receives}"
        stored.visible_at = self.clock.monotonic() + self.attributes.visibility_timeout_s
        return Message(
            id=stored.id,
            receipt=stored.receipt,
            body=stored.body,
            attributes=stored.attributes,
            receive_count=stored.receives,
            sent_at=stored.sent_at,
            received_at=self.clock.now(),
            group=stored.group,
        )

    async def delete_batch(self, receipts: Sequence[str]) -> EntryResults:
        answers = self._check("delete", len(receipts))
        for place, receipt in enumerate(receipts):
            if answers[place] is None:
                answers[place] = None if self._find(receipt) else NEVER
                self._stored = [stored for stored in self._stored if stored.receipt != receipt]
                self._note_change()
        return answers

    async def change_visibility_batch(self, changes: Sequence[VisibilityChange]) -> EntryResults:
        answers = self._check("hide", len(changes))
        for place, hide in enumerate(changes):
            stored = self._find(hide.receipt)
            if answers[place] is None and stored is not None:
                stored.visible_at = self.clock.monotonic() + hide.timeout_s
                self._note_change()
                self.hidden.append(hide)
            elif answers[place] is None:
                answers[place] = NEVER
        return answers

    async def dead_letter_batch(self, letters: Sequence[DeadLetter]) -> EntryResults:
        answers = self._check("dead_letter", len(letters))
        self.dead.extend(letter for letter, answer in zip(letters, answers, strict=True) if answer is None)
        return answers

    def _note_change(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _find(self, receipt: str) -> _Stored | None:
        return next((stored for stored in self._stored if stored.receipt == receipt), None)

    def _check(self, action: str, entries: int) -> list[RefusedEntry | None]:
        assert entries <= SQS_ENTRIES_MAX, "SQS takes no more in one call"
        self.calls.append((action, entries))
        waiting = self.refusals.get(action, deque())
        answers: list[RefusedEntry | None] = []
        for _ in range(entries):
            answer = waiting.popleft() if waiting else None
            if isinstance(answer, QueueAway):
                raise answer
            answers.append(answer)
        return answers
