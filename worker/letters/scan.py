"""Every letter of a dead-letter queue, once, without keeping any.

SQS has no snapshot and no way to look without receiving. So a letter is received, and hidden while the rest is looked
at, or the next call would return it again. At the end every letter that was not deleted is given back. A scan that is
killed leaves its letters hidden for `hidden_s`, at most ten minutes. A letter that comes back before the end, because
the scan took longer, is known by its id.

The end: SQS may answer a long poll with no letter although one is there. So the scan ends at an empty answer that the
queue's approximate count confirms, or after several of them. Letters that were sent after the scan began are not its
business: a letter that was put back may die again meanwhile, and would go round without end.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterable, Sequence
from datetime import timedelta
from typing import Final

from msgspec import Struct

from handlers.ports import Clock
from worker.errors import QueueAway
from worker.letters.entry_retries import send_with_retries
from worker.ports.letters import LetterDelivery, LetterQueue, LetterQueueState
from worker.ports.message_queue import SQS_ENTRIES_MAX
from worker.runtime.backoff import JitteredBackoff

LETTERS_MAX: Final = 100_000
"""A queue keeps at most 120,000 messages in flight (Amazon SQS quotas), other readers' letters among them."""
WAIT_S: Final = 1
EMPTY_MAX: Final = 5
"""After so many empty answers in a row the scan ends, whatever the approximate count says."""
HIDDEN_S_MIN: Final = 30
HIDDEN_S_MAX: Final = 600
CALLS_MAX: Final = 8
_LAST_CALLS_S: Final = 0.2
"""How long a cancelled scan waits for its calls. After Ctrl-C a verb has half a second, and then gives letters back."""
_LETTERS_PER_S: Final = 200
"""A low guess of how many letters are looked at in a second."""
_TRIES_MAX: Final = 4


class ScanLimits(Struct, frozen=True, kw_only=True):
    """`letters_max`: look at so many letters. `per_s`: no more in a second than this; None: as fast as SQS answers.
    `calls`: receive calls side by side."""

    letters_max: int = LETTERS_MAX
    per_s: float | None = None
    calls: int = CALLS_MAX

    @property
    def letters_per_call(self) -> int:
        """How many letters one call may bring: a slow scan takes few, so that none waits hidden for its turn."""
        return SQS_ENTRIES_MAX if self.per_s is None else max(1, min(SQS_ENTRIES_MAX, int(self.per_s)))


class NotGivenBack(Struct, frozen=True, kw_only=True):
    """Letters that stay hidden until their time is over, and why."""

    count: int
    reason: str


class LetterScan:
    """One scan. `state` is the queue as it was at the start; `left_visible`: how many letters were visible at the end,
    which nobody had received."""

    def __init__(
        self, queue: LetterQueue, state: LetterQueueState, *, limits: ScanLimits, clock: Clock, pause: JitteredBackoff
    ) -> None:
        """`pause`: the backoff of a failed call."""
        self._queue = queue
        self._limits = limits
        self._clock = clock
        self._pause = pause
        self._held: dict[str, str] = {}
        self._done: set[str] = set()
        self.state = state
        # The time of the response has no fraction.
        self.began_at = (state.read_at or clock.now()) + timedelta(seconds=1)
        self.seen = 0
        self.came_meanwhile = 0
        self.left_visible = 0
        expected_s = (state.visible + state.hidden) / min(limits.per_s or _LETTERS_PER_S, _LETTERS_PER_S)
        self.hidden_s = int(min(HIDDEN_S_MAX, HIDDEN_S_MIN + expected_s))

    async def rounds(self) -> AsyncGenerator[Sequence[LetterDelivery], None]:
        """The letters, each once, a few at a time. They stay hidden until `give_back`, or `removed`.

        Raises QueueAway.
        """
        empty = repeated = 0
        while self.seen < self._limits.letters_max:
            deliveries, away = await self._receive_round()
            new = self._new(deliveries)
            if away is not None:
                # The letters of the other calls are known by now, and given back.
                raise away
            if new:
                empty = repeated = 0
                yield new
            elif deliveries:
                # Their time was over before the end. The unseen letters may come after all of them.
                repeated += 1
                if repeated > EMPTY_MAX + self._may_come_before() // self._limits.letters_per_call:
                    return
            else:
                empty += 1
                self.left_visible = (await self._queue.describe()).visible
                if empty >= EMPTY_MAX or self.left_visible == 0:
                    return

    def _may_come_before(self) -> int:
        """How many letters may come before one that was not seen yet. Those that came meanwhile count only while one is
        missing: where letters keep coming as fast as they are received, the scan would never end."""
        return len(self._held) - (0 if self.unseen else self.came_meanwhile)

    @property
    def is_cut(self) -> bool:
        """Whether the scan has ended at its limit."""
        return self.seen >= self._limits.letters_max

    @property
    def unseen(self) -> int:
        """About how many letters were visible at the start and did not come: the scan has reached its limit, they lie
        behind others of their FIFO group, or another reader was faster. SQS's count is approximate, too."""
        return max(0, self.state.visible - self.seen)

    def removed(self, letter_ids: Iterable[str]) -> None:
        """These letters were deleted, or must not be given back: they are not held any more."""
        for letter_id in letter_ids:
            self._held.pop(letter_id, None)
            self._done.add(letter_id)

    async def give_back(self) -> NotGivenBack | None:
        """Make every letter visible again that is still held; returns what could not be given back, None: nothing."""
        receipts = list(self._held.values())
        self._held.clear()
        chunks = [receipts[at : at + SQS_ENTRIES_MAX] for at in range(0, len(receipts), SQS_ENTRIES_MAX)]
        left, reason = 0, ""
        for at in range(0, len(chunks), CALLS_MAX):
            for count, why in await asyncio.gather(*map(self._give_back_chunk, chunks[at : at + CALLS_MAX])):
                left, reason = left + count, why or reason
            if left:
                # The rest would wait for the same service.
                left += sum(map(len, chunks[at + CALLS_MAX :]))
                return NotGivenBack(count=left, reason=reason)
        return None

    async def _give_back_chunk(self, receipts: Sequence[str]) -> tuple[int, str]:
        """How many letters stay hidden, and why. A letter whose time was over needs nothing: its refusal is final."""
        try:
            refusals = await send_with_retries(self._queue.give_back, receipts, pause=self._pause, clock=self._clock)
        except QueueAway as away:
            return len(receipts), str(away)
        reasons = [f"{refused.code}: {refused.reason}" for refused in refusals.values() if not refused.final]
        return len(reasons), reasons[0] if reasons else ""

    def _new(self, deliveries: Sequence[LetterDelivery]) -> list[LetterDelivery]:
        new: list[LetterDelivery] = []
        for delivery in deliveries:
            message = delivery.message
            if message.id in self._done:
                continue
            is_known = message.id in self._held
            # Of a letter that comes again the last receipt is the valid one.
            self._held[message.id] = message.receipt
            if is_known:
                continue
            if message.sent_at > self.began_at:
                self.came_meanwhile += 1
                continue
            new.append(delivery)
        self.seen += len(new)
        return new

    async def _receive_round(self) -> tuple[list[LetterDelivery], QueueAway | None]:
        left = min(self._limits.letters_max - self.seen, max(self.state.visible - self.seen, 1))
        count_max = self._limits.letters_per_call
        calls = max(1, min(self._limits.calls, -(-left // count_max)))
        receiving = [asyncio.ensure_future(self._receive(count_max)) for _ in range(calls)]
        try:
            await asyncio.wait(receiving)
        except asyncio.CancelledError:
            await self._hold_last(receiving)
            raise
        # From here on without waiting: a cancellation would lose the letters.
        failed = [error for call in receiving if (error := call.exception()) is not None]
        if failed:
            self._hold(receiving)
            raise failed[0]
        answers = [call.result() for call in receiving]
        away = next((answer for answer in answers if isinstance(answer, QueueAway)), None)
        received = [answer for answer in answers if not isinstance(answer, QueueAway)]
        return [delivery for answer in received for delivery in answer], away

    async def _hold_last(self, receiving: Iterable["asyncio.Future[Sequence[LetterDelivery] | QueueAway]"]) -> None:
        """Hold what the calls under way still bring. SQS hides the letters of a call that is broken off all the same,
        and then nobody could give them back."""
        done, pending = await asyncio.wait(receiving, timeout=_LAST_CALLS_S)
        for call in pending:
            call.cancel()
        self._hold(done)

    def _hold(self, ended: Iterable["asyncio.Future[Sequence[LetterDelivery] | QueueAway]"]) -> None:
        for call in ended:
            if not (call.cancelled() or call.exception() or isinstance(answer := call.result(), QueueAway)):
                self._new(answer)

    async def _receive(self, count_max: int) -> Sequence[LetterDelivery] | QueueAway:
        attempt = 1
        while True:
            try:
                return await self._queue.receive(count_max=count_max, hidden_s=self.hidden_s, wait_s=WAIT_S)
            except QueueAway as away:
                if attempt == _TRIES_MAX:
                    return away
            await self._clock.sleep(self._pause.after(attempt))
            attempt += 1
