"""Putting dead letters back into the queue of events: send, then delete, ten by ten, at a bounded rate.

SQS has no call that does both. A kill between the two leaves letters that were sent and not deleted, at most those of
the calls under way: the next run sends them again. On a FIFO queue SQS drops the second copy within five minutes, by
the deduplication id, which is the letter's own. On a standard queue the worker handles the copy as a late or repeated
event, which changes nothing.

A letter that the reader refuses would come back at once. It stays, unless it is asked for.
"""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Protocol

from msgspec import Struct

from handlers.events.envelope import Limits
from handlers.ports import Clock
from worker.errors import QueueAway
from worker.letters.entry_retries import send_with_retries
from worker.letters.letter import EXPLAINING_ATTRIBUTES, Letter, read_letters
from worker.letters.letter_filter import LetterFilter
from worker.letters.scan import CALLS_MAX, LetterScan, ScanLimits
from worker.ports.aws_calls import RefusedEntry
from worker.ports.letters import LetterQueue, ReturnedMessage
from worker.ports.message_queue import SQS_ENTRIES_MAX
from worker.runtime.backoff import JitteredBackoff

_PER_CALL_S: Final = 100
"""The rate up to which one call at a time is enough. Few calls at a time leave few copies behind after a kill."""


class LetterEnd(StrEnum):
    """What became of a letter that was meant."""

    PUT_BACK = "put-back"
    PLANNED = "planned"
    """A dry run: it would be put back."""
    UNREADABLE = "unreadable"
    """It stays: the reader refuses it."""
    REFUSED = "refused"
    """It stays: SQS does not take it."""
    NOT_DELETED = "not-deleted"
    """It was put back, and stays too: SQS does not delete it. The next run sends it again."""


class RedriveRequest(Struct, frozen=True, kw_only=True):
    """Which letters to put back, `per_s` in a second at most."""

    chosen: LetterFilter
    also_unreadable: bool
    dry_run: bool
    per_s: float

    @property
    def scan_limits(self) -> ScanLimits:
        """The limits of the scan. A dry run sends nothing, so that it need not be slow."""
        if self.dry_run:
            return ScanLimits()
        return ScanLimits(per_s=self.per_s, calls=max(1, min(CALLS_MAX, int(self.per_s / _PER_CALL_S))))


class RedriveObserver(Protocol):
    """Is told of each letter that was meant, and of how many were looked at."""

    def ended(self, letter: Letter, end: LetterEnd, detail: str | None) -> None:
        """What became of the letter; `detail`: why it stays."""
        ...

    def looked_at(self, count: int) -> None:
        """So many more letters were looked at, meant or not."""
        ...


class Redrive:
    """One run. A run that was stopped is gone on with by another one: what was put back is not there any more."""

    def __init__(
        self,
        request: RedriveRequest,
        *,
        queue: LetterQueue,
        scan: LetterScan,
        reader_limits: Limits,
        observer: RedriveObserver,
        clock: Clock,
        pause: JitteredBackoff,
    ) -> None:
        """`pause`: the backoff of a failed call."""
        self._request = request
        self._queue = queue
        self._scan = scan
        self._reader_limits = reader_limits
        self._observer = observer
        self._clock = clock
        self._pause = pause
        self._next_at = 0.0

    async def run(self, now: datetime) -> None:
        """Put the letters back. `now` is SQS's clock. Raises QueueAway; the letters that were not sent stay."""
        async with aclosing(self._scan.rounds()) as rounds:
            async for deliveries in rounds:
                letters = await read_letters(deliveries, self._reader_limits)
                meant = [letter for letter in letters if self._request.chosen.accepts(letter, now)]
                await self._move([letter for letter in meant if self._may_go(letter)])
                self._observer.looked_at(len(deliveries))

    def _may_go(self, letter: Letter) -> bool:
        """Whether the letter is to be put back; the observer learns why not."""
        if letter.fault is not None and not self._request.also_unreadable:
            self._observer.ended(letter, LetterEnd.UNREADABLE, f"{letter.fault.code}: {letter.fault.reason}")
            return False
        if self._request.dry_run:
            self._observer.ended(letter, LetterEnd.PLANNED, None)
            return False
        return True

    async def _move(self, letters: Sequence[Letter]) -> None:
        if not letters:
            return
        await self._pace(len(letters))
        chunks = [letters[at : at + SQS_ENTRIES_MAX] for at in range(0, len(letters), SQS_ENTRIES_MAX)]
        if self._scan.state.fifo:
            # In the order of their groups.
            for chunk in chunks:
                await self._move_chunk(chunk)
        else:
            # What one call meets must not leave the others alone: their letters are sent, and have to be deleted.
            ends = await asyncio.gather(*map(self._move_chunk, chunks), return_exceptions=True)
            for error in ends:
                if error is not None:
                    raise error

    async def _pace(self, count: int) -> None:
        now = self._clock.monotonic()
        if self._next_at > now:
            await self._clock.sleep(self._next_at - now)
        self._next_at = max(self._next_at, now) + count / self._request.per_s

    async def _move_chunk(self, letters: Sequence[Letter]) -> None:
        messages = [returned_message(letter, fifo=self._scan.state.fifo) for letter in letters]
        refusals = await send_with_retries(self._queue.put_back_batch, messages, pause=self._pause, clock=self._clock)
        sent = [letter for index, letter in enumerate(letters) if index not in refusals]
        self._scan.removed(letter.id for letter in sent)
        away = await self._delete(sent)
        for index, refused in refusals.items():
            self._observer.ended(letters[index], LetterEnd.REFUSED, _shown(refused))
            if not refused.final:
                away = away or QueueAway(refused.reason)
        if away is not None:
            raise away

    async def _delete(self, sent: Sequence[Letter]) -> QueueAway | None:
        """Delete the letters that were sent; returns the error after which the run cannot go on."""
        receipts = [letter.receipt for letter in sent]

        async def delete() -> dict[int, RefusedEntry]:
            return await send_with_retries(self._queue.delete_batch, receipts, pause=self._pause, clock=self._clock)

        away: QueueAway | None = None
        try:
            refusals = await delete()
        except asyncio.CancelledError:
            # Ctrl-C: these letters have been sent.
            await delete()
            raise
        except QueueAway as error:
            away = error
            refused = RefusedEntry(code="QUEUE_AWAY", reason=str(error), final=False)
            refusals = dict.fromkeys(range(len(sent)), refused)
        for index, letter in enumerate(sent):
            if index in refusals:
                self._observer.ended(letter, LetterEnd.NOT_DELETED, _shown(refusals[index]))
            else:
                self._observer.ended(letter, LetterEnd.PUT_BACK, None)
        return away


def _shown(refused: RefusedEntry) -> str:
    return f"{refused.code}: {refused.reason}"


def returned_message(letter: Letter, *, fifo: bool) -> ReturnedMessage:
    """The message as it was before it died: without the attributes that the worker added."""
    message = letter.message
    return ReturnedMessage(
        body=message.body,
        attributes={
            name: _own(value) for name, value in message.attributes.items() if name not in EXPLAINING_ATTRIBUTES
        },
        group=(message.group or letter.id) if fifo else None,
        deduplication_id=f"redrive-{letter.id}" if fifo else None,
    )


def _own(value: Any) -> dict[str, Any]:
    """A message attribute without the empty lists that SQS's answers may have."""
    return {key: value[key] for key in ("DataType", "StringValue", "BinaryValue") if value.get(key) is not None}
