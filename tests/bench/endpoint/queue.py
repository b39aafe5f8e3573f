"""One queue of the stand-in: renders messages when they are staged, counts them when they are deleted."""

import asyncio
import hashlib
from collections import Counter, deque
from collections.abc import Callable, Sequence
from time import perf_counter, time

import orjson
from msgspec import Struct

_PADDING = "A" * 150
"""Makes receipt handles as long as those of SQS; a batch delete carries ten of them."""
EMPTY = "ReceiveMessage, empty"
"""The key, among the calls by action, of receives that returned no message."""


class PendingCall(Struct, frozen=True):
    """A call that waits for its answer: `answer` sends a JSON body, `connected` says whether the client still waits."""

    answer: Callable[[bytes], None]
    connected: Callable[[], bool]


class BenchQueue:
    """The messages of one queue, and the receivers that wait for them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls: Counter[str] = Counter()
        self._count = 0
        self._rendered: dict[int, bytes] = {}
        self._staged: list[int] = []
        self._ready: deque[int] = deque()
        self._undeleted: set[int] = set()
        self._pollers: deque[tuple[PendingCall, int, asyncio.TimerHandle]] = deque()
        self._returning: dict[int, asyncio.TimerHandle] = {}
        self._released_at = self._settled_at = 0.0
        self._published = 0
        self._awaiting_done: tuple[PendingCall, int] | None = None
        self._awaiting_pollers: tuple[PendingCall, int] | None = None

    def stage(self, bodies: Sequence[str]) -> None:
        """Renders messages, which stay invisible until `release`."""
        for body in bodies:
            number, self._count = self._count, self._count + 1
            message = {
                "MessageId": f"{number:08x}-0000-4000-8000-000000000000",
                "ReceiptHandle": f"{number}-{_PADDING}",
                "MD5OfBody": hashlib.md5(body.encode(), usedforsecurity=False).hexdigest(),
                "Body": body,
                "Attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": str(round(time() * 1_000))},
            }
            self._rendered[number] = orjson.dumps(message)
            self._staged.append(number)

    def release(self, per_s: float | None = None) -> None:
        """Makes all staged messages visible, at once or so many a second; starts the clock and the counters."""
        self.calls.clear()
        self._published = 0
        self._released_at = self._settled_at = perf_counter()
        self._undeleted.update(self._staged)
        released, self._staged = self._staged, []
        if per_s is None:
            self._ready.extend(released)
            self._serve()
            return
        loop = asyncio.get_running_loop()
        now = loop.time()
        for place, number in enumerate(released):
            loop.call_at(now + place / per_s, self._return, number)

    def receive(self, call: PendingCall, count: int, wait_s: float) -> None:
        """Answers with up to `count` messages: at once, or as soon as one arrives within `wait_s`."""
        if self._ready or wait_s == 0:
            self._deliver(call, count)
            return
        timer = asyncio.get_running_loop().call_later(wait_s, self._end_oldest_poll)
        self._pollers.append((call, count, timer))
        self._answer_if_polled()

    def delete(self, receipts: Sequence[str]) -> None:
        """Deletes the messages of these receipts."""
        for receipt in receipts:
            number = _number(receipt)
            self._undeleted.discard(number)
            # Deleted messages are dropped, so that a long run does not grow this process.
            self._rendered.pop(number, None)
            if number in self._returning:
                self._returning.pop(number).cancel()
        self._note_progress()

    def change_visibility(self, receipt: str, seconds: float) -> None:
        """Makes a message visible again after `seconds`, unless it is deleted before."""
        number = _number(receipt)
        if number in self._returning:
            self._returning.pop(number).cancel()
        self._returning[number] = asyncio.get_running_loop().call_later(seconds, self._return, number)

    def published(self, count: int) -> None:
        """Counts published events."""
        self.calls["PublishBatch"] += 1
        self._published += count
        self._note_progress()

    def answer_when_done(self, call: PendingCall, published: int) -> None:
        """Answers when no message is left and `published` events are published."""
        self._awaiting_done = call, published
        self._answer_if_done()

    def answer_when_polled(self, call: PendingCall, pollers: int) -> None:
        """Answers when `pollers` receivers wait for messages."""
        self._awaiting_pollers = call, pollers
        self._answer_if_polled()

    def _answer_if_polled(self) -> None:
        if (
            self._awaiting_pollers is None
            or sum(each.connected() for each, _, _ in self._pollers) < self._awaiting_pollers[1]
        ):
            return
        call, _ = self._awaiting_pollers
        self._awaiting_pollers = None
        call.answer(b"{}")

    def _note_progress(self) -> None:
        self._settled_at = perf_counter()
        self._answer_if_done()

    def _answer_if_done(self) -> None:
        if self._awaiting_done is None or self._undeleted or self._staged or self._published < self._awaiting_done[1]:
            return
        call, _ = self._awaiting_done
        self._awaiting_done = None
        answer = {
            "wall_s": self._settled_at - self._released_at,
            "published": self._published,
            "calls": dict(self.calls),
        }
        call.answer(orjson.dumps(answer))

    def _return(self, number: int) -> None:
        self._returning.pop(number, None)
        if number in self._undeleted:
            self._ready.append(number)
            self._serve()

    def _serve(self) -> None:
        while self._ready and self._pollers:
            call, count, timer = self._pollers.popleft()
            timer.cancel()
            if call.connected():
                self._deliver(call, count)

    def _end_oldest_poll(self) -> None:
        # Timers fire in the order of the polls, so the oldest poll is the one whose time is over.
        if self._pollers:
            call, _, _ = self._pollers.popleft()
            self._deliver(call, 0)

    def _deliver(self, call: PendingCall, count: int) -> None:
        some = [self._ready.popleft() for _ in range(min(count, len(self._ready)))]
        if not some:
            self.calls[EMPTY] += 1
            call.answer(b"{}")
            return
        call.answer(b'{"Messages":[%b]}' % b",".join([self._rendered[number] for number in some]))


def _number(receipt: str) -> int:
    return int(receipt.partition("-")[0])
