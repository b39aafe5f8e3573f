"""One queue of the bench's stand-in: messages rendered when they are staged, counted when they are deleted."""

import asyncio
import hashlib
from collections import Counter, deque
from collections.abc import Callable, Sequence
from time import perf_counter

import orjson
from msgspec import Struct

_PADDING = "A" * 150
"""Real receipt handles are long, and a delete carries ten of them."""
EMPTY = "ReceiveMessage, empty"
"""Counts, among the calls, those to receive that brought nothing."""


class PendingCall(Struct, frozen=True):
    """Who waits for an answer: how to give it, and whether anybody still is there."""

    answer: Callable[[bytes], None]
    there: Callable[[], bool]


class BenchQueue:
    """Messages, and who waits for them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.calls: Counter[str] = Counter()
        self._count = 0
        self._rendered: dict[int, bytes] = {}
        self._staged: list[int] = []
        self._ready: deque[int] = deque()
        self._left: set[int] = set()
        self._pollers: deque[tuple[PendingCall, int, asyncio.TimerHandle]] = deque()
        self._back: dict[int, asyncio.TimerHandle] = {}
        self._released_at = self._settled_at = 0.0
        self._published = 0
        self._asking: tuple[PendingCall, int] | None = None
        self._expecting: tuple[PendingCall, int] | None = None

    def stage(self, bodies: Sequence[str]) -> None:
        """Render messages, visible to nobody yet."""
        for body in bodies:
            number, self._count = self._count, self._count + 1
            message = {
                "MessageId": f"{number:08x}-0000-4000-8000-000000000000",
                "ReceiptHandle": f"{number}-{_PADDING}",
                "MD5OfBody": hashlib.md5(body.encode(), usedforsecurity=False).hexdigest(),
                "Body": body,
                "Attributes": {"ApproximateReceiveCount": "1"},
            }
            self._rendered[number] = orjson.dumps(message)
            self._staged.append(number)

    def release(self) -> None:
        """All that is staged is visible; the clock and the counters start."""
        self.calls.clear()
        self._published = 0
        self._released_at = self._settled_at = perf_counter()
        self._left.update(self._staged)
        self._ready.extend(self._staged)
        self._staged = []
        self._serve()

    def receive(self, call: PendingCall, count: int, wait_s: float) -> None:
        """Answer with up to `count` messages, at once or as soon as there are some."""
        if self._ready or wait_s == 0:
            self._deliver(call, count)
            return
        timer = asyncio.get_running_loop().call_later(wait_s, self._give_up)
        self._pollers.append((call, count, timer))
        self._tell_polled()

    def delete(self, receipts: Sequence[str]) -> None:
        """They are settled."""
        for receipt in receipts:
            number = _number(receipt)
            self._left.discard(number)
            # However long a run, only what is still to be handled is kept.
            self._rendered.pop(number, None)
            if number in self._back:
                self._back.pop(number).cancel()
        self._settled()

    def hide(self, receipt: str, seconds: float) -> None:
        """Visible again after so many seconds, unless deleted before."""
        number = _number(receipt)
        if number in self._back:
            self._back.pop(number).cancel()
        self._back[number] = asyncio.get_running_loop().call_later(seconds, self._again, number)

    def published(self, count: int) -> None:
        """Events went out to the topics."""
        self.calls["PublishBatch"] += 1
        self._published += count
        self._settled()

    def answer_when_done(self, call: PendingCall, published: int) -> None:
        """Answer when nothing is left and so many events were published."""
        self._asking = call, published
        self._tell()

    def answer_when_polled(self, call: PendingCall, pollers: int) -> None:
        """Answer when so many receivers wait for messages."""
        self._expecting = call, pollers
        self._tell_polled()

    def _tell_polled(self) -> None:
        if self._expecting is None or sum(each.there() for each, _, _ in self._pollers) < self._expecting[1]:
            return
        call, _ = self._expecting
        self._expecting = None
        call.answer(b"{}")

    def _settled(self) -> None:
        self._settled_at = perf_counter()
        self._tell()

    def _tell(self) -> None:
        if self._asking is None or self._left or self._staged or self._published < self._asking[1]:
            return
        call, _ = self._asking
        self._asking = None
        told = {
            "wall_s": self._settled_at - self._released_at,
            "published": self._published,
            "calls": dict(self.calls),
        }
        call.answer(orjson.dumps(told))

    def _again(self, number: int) -> None:
        self._back.pop(number, None)
        if number in self._left:
            self._ready.append(number)
            self._serve()

    def _serve(self) -> None:
        while self._ready and self._pollers:
            call, count, timer = self._pollers.popleft()
            timer.cancel()
            if call.there():
                self._deliver(call, count)

    def _give_up(self) -> None:
        # Timers fire in the order of the polls: the oldest one's time is over.
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
