"""Merges what many ask for at once into calls of ten: a call costs the same for one entry as for ten.

A full ten goes at once, an incomplete one only while no other call is under way; so a lone entry never waits, and
under load the entries that come while a call is under way share the next one. No timers.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from worker.errors import QueueAway
from worker.ports import SQS_ENTRIES_MAX, EntryResults, RefusedEntry

E = TypeVar("E")
AWAY = "AWAY"
"""The code of an entry that could not be sent, because the queue is away."""


class _PendingSend:
    """What one caller asked, and its answers as they come; `done` once all are there, or the caller is gone."""

    def __init__(self, count: int) -> None:
        self.answers: list[RefusedEntry | None] = [None] * count
        self.left = count
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def answer(self, index: int, answer: RefusedEntry | None) -> None:
        self.answers[index] = answer
        self.left -= 1
        if self.left == 0 and not self.done.done():
            self.done.set_result(None)


class CallBatcher(Generic[E]):
    """One kind of call. `run` must be running for `send` to come back."""

    def __init__(self, call: Callable[[Sequence[E]], Awaitable[EntryResults]], *, calls_max: int = 8) -> None:
        self._call = call
        self._calls_max = calls_max
        self._calls = 0
        self._waiting: deque[tuple[E, int, _PendingSend]] = deque()
        self._changed = asyncio.Event()

    async def send(self, entries: Sequence[E]) -> EntryResults:
        """Each entry's answer, in order; the queue being away is an answer too (code `AWAY`)."""
        if not entries:
            return []
        asked = _PendingSend(len(entries))
        self._waiting.extend((entry, index, asked) for index, entry in enumerate(entries))
        self._changed.set()
        await asked.done
        return asked.answers

    async def run(self) -> None:
        """Send what comes, until cancelled."""
        async with asyncio.TaskGroup() as calls:
            while True:
                await self._changed.wait()
                self._changed.clear()
                while self._due():
                    some = [self._waiting.popleft() for _ in range(min(len(self._waiting), SQS_ENTRIES_MAX))]
                    self._calls += 1
                    calls.create_task(self._send(some))

    def _due(self) -> bool:
        if not self._waiting or self._calls >= self._calls_max:
            return False
        return len(self._waiting) >= SQS_ENTRIES_MAX or self._calls == 0

    async def _send(self, some: list[tuple[E, int, _PendingSend]]) -> None:
        # Who asked may have been cancelled meanwhile: then nobody waits for the answer.
        some = [one for one in some if not one[2].done.done()]
        try:
            answers = await self._call([entry for entry, _, _ in some]) if some else []
        except QueueAway as away:
            answers = [RefusedEntry(code=AWAY, reason=str(away), final=False)] * len(some)
        finally:
            self._calls -= 1
            self._changed.set()
        for (_, index, asked), answer in zip(some, answers, strict=True):
            asked.answer(index, answer)
