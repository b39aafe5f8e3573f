"""A load of requests: clients that each send one request after another, on a connection that stays open."""

import asyncio
import time
from collections.abc import Iterator, Sequence
from statistics import median

from msgspec import Struct


class Requests(Struct, frozen=True, kw_only=True):
    """The requests of one row. `bodies`: the bodies, in turn; None: a GET."""

    name: str
    paths: Sequence[str]
    bodies: Sequence[bytes] | None = None

    def written(self, token: str) -> list[bytes]:
        """The requests as they stand on the wire, each with another path or body."""
        numbers = range(max(len(self.paths), len(self.bodies or ())))
        return [self._one(number, token) for number in numbers]

    def _one(self, number: int, token: str) -> bytes:
        path = self.paths[number % len(self.paths)]
        head = f"Host: localhost\r\nAuthorization: Bearer {token}\r\n"
        if self.bodies is None:
            return f"GET {path} HTTP/1.1\r\n{head}\r\n".encode()
        body = self.bodies[number % len(self.bodies)]
        kind = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        return f"PUT {path} HTTP/1.1\r\n{head}{kind}\r\n".encode() + body


class RequestFigures(Struct, frozen=True, kw_only=True):
    """Requests a second of all clients together, and one client's time for a request, in milliseconds."""

    per_second: float
    median_ms: float
    p99_ms: float


class WrongAnswer(Exception):
    """An answer that is not 200."""


async def measured(port: int, requests: Sequence[bytes], *, clients: int, total: int) -> RequestFigures:
    """Send `total` requests, in turn, by so many clients. Raises WrongAnswer."""
    connections = [await asyncio.open_connection("127.0.0.1", port) for _ in range(clients)]
    turns = (requests[number % len(requests)] for number in range(total))
    times: list[float] = []
    begun = time.perf_counter()
    try:
        await asyncio.gather(*(_client(reader, writer, turns, times) for reader, writer in connections))
        seconds = time.perf_counter() - begun
    finally:
        for _, writer in connections:
            writer.close()
            await writer.wait_closed()
    times.sort()
    return RequestFigures(
        per_second=total / seconds, median_ms=median(times) * 1_000, p99_ms=times[int(len(times) * 0.99)] * 1_000
    )


async def _client(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, requests: Iterator[bytes], times: list[float]
) -> None:
    for request in requests:
        begun = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(length)
        times.append(time.perf_counter() - begun)
        if b" 200 " not in head[:16]:
            raise WrongAnswer(f"{head[:16].decode()}: {body[:200].decode()}")
