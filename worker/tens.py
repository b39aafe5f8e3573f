"""Merges what many ask for at once into calls of ten: a call costs the same for one entry as for ten.

A full ten goes at once, an incomplete one only while no other call is under way; so a lone entry never waits, and
under load the entries that come while a call is under way share the next one. No timers.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from worker.aws import QueueAway, Refused
from worker.queue import ENTRIES_MAX, Answers

E = TypeVar("E")
AWAY = "AWAY"
"""The code of an entry that could not be sent, because the queue is away."""


class Tens(Generic[E]):
    """One kind of call. `run` must be running for `send` to come back."""

    def __init__(self, call: Callable[[Sequence[E]], Awaitable[Answers]], *, calls_max: int = 8) -> None:
        self._call = call
        self._calls_max = calls_max
        self._calls = 0
        self._waiting: deque[tuple[E, asyncio.Future[Refused | None]]] = deque()
        self._changed = asyncio.Event()

    async def send(self, entries: Sequence[E]) -> Answers:
        """Each entry's answer, in order; the queue being away is an answer too (code `AWAY`)."""
        futures: list[asyncio.Future[Refused | None]] = []
        for entry in entries:
            future: asyncio.Future[Refused | None] = asyncio.get_running_loop().create_future()
            futures.append(future)
            self._waiting.append((entry, future))
        self._changed.set()
        return await asyncio.gather(*futures)

    async def run(self) -> None:
        """Send what comes, until cancelled."""
        async with asyncio.TaskGroup() as calls:
            while True:
                await self._changed.wait()
                self._changed.clear()
                while self._due():
                    some = [self._waiting.popleft() for _ in range(min(len(self._waiting), ENTRIES_MAX))]
                    self._calls += 1
                    calls.create_task(self._send(some))

    def _due(self) -> bool:
        if not self._waiting or self._calls >= self._calls_max:
            return False
        return len(self._waiting) >= ENTRIES_MAX or self._calls == 0

    async def _send(self, some: list[tuple[E, asyncio.Future[Refused | None]]]) -> None:
        # Who asked may have been cancelled meanwhile: then nobody waits for the answer.
        some = [(entry, future) for entry, future in some if not future.done()]
        try:
            answers = await self._call([entry for entry, _ in some]) if some else []
        except QueueAway as away:
            answers = [Refused(code=AWAY, reason=str(away), final=False)] * len(some)
        finally:
            self._calls -= 1
            self._changed.set()
        for (_, future), answer in zip(some, answers, strict=True):
            if not future.done():
                future.set_result(answer)
