"""The call batcher: merges the entries of concurrent callers into SQS calls of ten.

SQS bills a call, whether it carries one entry or ten. A full batch of ten is sent at once. A smaller batch is sent only
while no other call is under way: a lone entry never waits, and under load the entries that arrive during a call share
the next one. No timer is needed.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from msgspec import Struct

from worker.errors import QueueAway
from worker.ports.aws_calls import EntryResults, RefusedEntry
from worker.ports.message_queue import SQS_ENTRIES_MAX

E = TypeVar("E")
AWAY = "AWAY"
"""The code of an entry that was not sent because the queue is away."""


class _SendRequest:
    """The entries of one `send`, and their results as they arrive. `done` is set when all results are there, and
    cancelled with the caller."""

    def __init__(self, count: int) -> None:
        self.results: list[RefusedEntry | None] = [None] * count
        self.missing = count
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def set_result(self, index: int, result: RefusedEntry | None) -> None:
        self.results[index] = result
        self.missing -= 1
        if self.missing == 0 and not self.done.done():
            self.done.set_result(None)


class _WaitingEntry(Struct, Generic[E], frozen=True):
    entry: E
    index: int
    request: _SendRequest


class CallBatcher(Generic[E]):
    """The batcher of one kind of call, with at most `calls_max` calls under way. `send` returns only while `run`
    runs."""

    def __init__(self, call: Callable[[Sequence[E]], Awaitable[EntryResults]], *, calls_max: int = 8) -> None:
        self._call = call
        self._calls_max = calls_max
        self._calls = 0
        self._waiting: deque[_WaitingEntry[E]] = deque()
        self._changed = asyncio.Event()

    async def send(self, entries: Sequence[E]) -> EntryResults:
        """The result of each entry, in order. If the queue is away, the result is a RefusedEntry with code `AWAY`."""
        if not entries:
            return []
        request = _SendRequest(len(entries))
        self._waiting.extend(_WaitingEntry(entry, index, request) for index, entry in enumerate(entries))
        self._changed.set()
        await request.done
        return request.results

    async def run(self) -> None:
        """Send the entries of all callers until cancelled."""
        async with asyncio.TaskGroup() as calls:
            while True:
                await self._changed.wait()
                self._changed.clear()
                while self._is_call_due():
                    batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), SQS_ENTRIES_MAX))]
                    self._calls += 1
                    calls.create_task(self._send(batch))

    def _is_call_due(self) -> bool:
        if not self._waiting or self._calls >= self._calls_max:
            return False
        return len(self._waiting) >= SQS_ENTRIES_MAX or self._calls == 0

    async def _send(self, batch: list[_WaitingEntry[E]]) -> None:
        # The entries of a caller that was cancelled meanwhile are dropped.
        batch = [waiting for waiting in batch if not waiting.request.done.done()]
        try:
            results = await self._call([waiting.entry for waiting in batch]) if batch else []
        except QueueAway as away:
            results = [RefusedEntry(code=AWAY, reason=str(away), final=False)] * len(batch)
        finally:
            self._calls -= 1
            self._changed.set()
        for waiting, result in zip(batch, results, strict=True):
            waiting.request.set_result(waiting.index, result)
