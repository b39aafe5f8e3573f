"""A proxy between the workers and MongoDB that delays requests, loses commits or their answers, or is away.

It parses MongoDB's wire protocol. Where it loses a message it breaks the connection, as a network does. A lost commit
was never carried out. A commit with a lost answer was carried out: the proxy has received the server's answer.
"""

import asyncio
import contextlib
import struct
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final, Self

_HEADER: Final = struct.Struct("<iiii")
_COMMIT: Final = b"commitTransaction\x00"
_START_S: Final = 10.0


@dataclass(slots=True)
class MongoFaults:
    """The current faults, set by the test: probabilities per commit, and a delay per request."""

    latency_s: float = 0.0
    lose_request: float = 0.0
    lose_answer: float = 0.0


@dataclass(slots=True)
class _Link:
    """One connection in both directions. `lost`: ids of the requests whose answers will be lost."""

    client: asyncio.StreamWriter
    server: asyncio.StreamWriter
    lost: set[int] = field(default_factory=set)


class MongoProxy:
    """Listens on a free port, in a thread of its own, while `with` lasts."""

    def __init__(self, target_port: int, random: Random) -> None:
        self.faults = MongoFaults()
        self.commits = 0
        self.lost_requests = 0
        self.lost_answers = 0
        self.port = 0
        self._target_port = target_port
        self._random = random
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._links: set[asyncio.Task[None]] = set()
        self._away = False

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Breaks all connections, old and new, while the context lasts."""
        self._away = True
        self._loop.call_soon_threadsafe(self._break_all)
        try:
            yield
        finally:
            self._away = False

    @property
    def uri(self) -> str:
        """The address for the workers. A direct connection: the driver does not look for other members."""
        return f"mongodb://127.0.0.1:{self.port}/?directConnection=true"

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(_START_S)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._ended.set)
        self._thread.join()

    def _run(self) -> None:
        with contextlib.closing(self._loop):
            self._loop.run_until_complete(self._serve())

    async def _serve(self) -> None:
        self._ended = asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._ended.wait()
        server.close()
        self._break_all()
        await asyncio.gather(*self._links, return_exceptions=True)

    def _break_all(self) -> None:
        for link in self._links:
            link.cancel()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._links.add(task)
        task.add_done_callback(self._links.discard)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            async with _closing(writer):
                if self._away:
                    return
                there, back = await asyncio.open_connection("127.0.0.1", self._target_port)
                async with _closing(back):
                    link = _Link(client=writer, server=back)
                    await self._carry(self._requests(reader, link), self._answers(there, link))

    async def _carry(self, *ways: Coroutine[Any, Any, None]) -> None:
        """Carries both directions until one ends, then ends the other."""
        tasks = [asyncio.ensure_future(way) for way in ways]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _requests(self, reader: asyncio.StreamReader, link: _Link) -> None:
        while True:
            number, message = await _read(reader)
            if _COMMIT in message[:64]:
                self.commits += 1
                if self._random.random() < self.faults.lose_request:
                    self.lost_requests += 1
                    return
                if self._random.random() < self.faults.lose_answer:
                    link.lost.add(number)
            if self.faults.latency_s:
                await asyncio.sleep(self.faults.latency_s)
            link.server.write(message)

    async def _answers(self, reader: asyncio.StreamReader, link: _Link) -> None:
        while True:
            _, message = await _read(reader)
            answers = _HEADER.unpack_from(message)[2]
            if answers in link.lost:
                self.lost_answers += 1
                return
            link.client.write(message)


@contextlib.asynccontextmanager
async def _closing(writer: asyncio.StreamWriter) -> AsyncIterator[None]:
    try:
        yield
    finally:
        # Unsent bytes are dropped, since the reader may be suspended.
        writer.transport.abort()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _read(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Reads one message of the wire protocol. Returns its request id and its bytes."""
    try:
        header = await reader.readexactly(_HEADER.size)
        length, number, _, _ = _HEADER.unpack(header)
        return number, header + await reader.readexactly(length - _HEADER.size)
    except asyncio.IncompleteReadError as ended:
        raise ConnectionResetError from ended
