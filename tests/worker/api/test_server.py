"""The server on a socket: it answers what is under way when it is stopped, and waits for nobody else."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from uvicorn.protocols.http.h11_impl import H11Protocol

from tests.handlers.wire_events import conversation, work_item
from tests.handlers.world import World
from tests.worker.api.face import a_face
from tests.worker.api.slow_store import SlowStore
from tests.worker.stand_ins.fake_clock import until
from worker.api.gate import App
from worker.api.server import ApiServer
from worker.telemetry.listening_sockets import listening_sockets

pytestmark = pytest.mark.thorough

BODY = b'{"paused": true}'
PUT = (
    b"PUT /v1/routing/work-items/w-1 HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
)


class ServedFace:
    """A server, and the connections to it."""

    def __init__(self, server: ApiServer, port: int, running: "asyncio.Task[None]") -> None:
        self.server = server
        self.port = port
        self.running = running
        self._writers: list[asyncio.StreamWriter] = []

    async def connect(self, sent: bytes) -> asyncio.StreamReader:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        self._writers.append(writer)
        writer.write(sent)
        await writer.drain()
        return reader

    async def connect_late(self) -> asyncio.StreamReader:
        """A connection that was accepted before the server closed its sockets, and is made known to it only now."""
        loop = asyncio.get_running_loop()
        with socket.create_server(("127.0.0.1", 0)) as listening:
            reader, writer = await asyncio.open_connection(*listening.getsockname())
            accepted, _ = listening.accept()
        self._writers.append(writer)
        config, state = self.server.config, self.server.server_state
        await loop.connect_accepted_socket(
            lambda: config.http_protocol_class(config=config, server_state=state, app_state={}),  # type: ignore[call-arg]
            accepted,
        )
        return reader

    async def refuses(self) -> bool:
        """Whether the server refuses connections, at the latest when it has seen that it is to stop."""
        for _ in range(10_000):
            try:
                await self.connect(b"")
            except ConnectionError:
                return True
        return False

    async def stop_under(self, slow: SlowStore) -> asyncio.StreamReader:
        """Stop while an update is under way; returns the reader of its answer."""
        reader = await self.connect(PUT)
        await slow.waiting.wait()
        self.server.stop()
        assert await self.refuses()
        return reader

    async def close(self) -> None:
        for writer in self._writers:
            writer.close()
        self.server.stop()
        await asyncio.wait([self.running])


@asynccontextmanager
async def served(app: App, **options: Any) -> AsyncIterator[ServedFace]:
    server = ApiServer(app, **options)
    sockets = await listening_sockets("127.0.0.1", 0, setting="API")
    running = asyncio.create_task(server.run_until_stopped(sockets))
    await until(lambda: server.started)
    served = ServedFace(server, sockets[0].getsockname()[1], running)
    try:
        yield served
    finally:
        await served.close()


def a_slow_world() -> tuple[World, SlowStore]:
    world = World().put(conversation(3, queue="q-1"), work_item(3, queue="q-1", status="queued", queuedCount=1))
    slow = SlowStore(world.store)
    world.outer = slow
    return world, slow


async def test_a_request_under_way_is_answered_and_no_other_is_taken() -> None:
    world, slow = a_slow_world()
    async with served(a_face(world).app, stop_within_s=30) as server:
        reader = await server.stop_under(slow)
        slow.go.set()
        answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 200 ")
        await asyncio.wait([server.running])
    assert world.w().paused


async def test_a_connection_that_comes_while_it_stops_holds_it_up_no_longer() -> None:
    """As one does that is accepted just when the server closes the others."""
    world, slow = a_slow_world()
    async with served(a_face(world).app, stop_within_s=30) as server:
        reader = await server.stop_under(slow)
        late = await server.connect_late()
        async with asyncio.timeout(10):
            assert await late.read() == b""
        slow.go.set()
        assert (await reader.read()).startswith(b"HTTP/1.1 200 ")


async def test_a_request_that_takes_too_long_is_cancelled_and_its_update_finished() -> None:
    world, slow = a_slow_world()
    face = a_face(world)
    async with served(face.app, stop_within_s=1) as server:
        await server.connect(PUT)
        await slow.waiting.wait()
        server.server.stop()
        await asyncio.wait([server.running])
        slow.go.set()
        await face.parts.updates.finish()
    assert world.w().paused


async def test_a_connection_that_sends_half_a_request_delays_the_end_no_longer_than_that() -> None:
    async with served(a_face().app, stop_within_s=1) as server:
        await server.connect(b"GET /healthz HTTP/1.1\r\nHost: loc")
        await server.connect(b"")
        server.server.stop()
        await asyncio.wait([server.running])


async def test_what_is_no_http_is_refused() -> None:
    async with served(a_face().app, stop_within_s=1) as server:
        reader = await server.connect(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 400 ")
        long = await server.connect(b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000)
        with contextlib.suppress(ConnectionResetError):
            assert b" 200 " not in await long.read()


async def test_silent_clients_keep_nobody_out() -> None:
    """They need no token, so they could make the process look dead to its probes."""
    async with served(a_face().app, stop_within_s=1, connections_max=20) as server:
        begun = await server.connect(b"GET /healthz HTTP/1.1\r\nHost: loc")
        silent = [await server.connect(b"") for _ in range(70)]
        for _ in range(3):
            reader = await server.connect(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 200 ")
        # Those that were idle for longest made room.
        for gone in (begun, silent[0]):
            assert await gone.read() == b""
        assert len(server.server.server_state.connections) < 20


async def test_a_client_that_reads_nothing_is_left() -> None:
    """Else it holds its stream of events, of which there are few, and the end of the process."""
    ended = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        try:
            while True:
                yield b"x" * 100_000
                await asyncio.sleep(0)
        finally:
            ended.set()

    pages = APIRouter()
    pages.add_api_route("/live/endless", lambda: StreamingResponse(endless()), response_model=None)
    async with served(a_face(pages=[pages]).app, stop_within_s=1, stall_s=0.05) as server:
        async with asyncio.timeout(20):
            await server.connect(b"GET /live/endless HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await ended.wait()
        assert server.server.server_state.connections == set()


async def test_an_answer_in_two_parts_waits_for_no_acknowledgement() -> None:
    """Head and body are two writes. Without TCP_NODELAY the body waits for the head's acknowledgement, which a client
    delays by 40 ms."""
    async with served(a_face().app, stop_within_s=1) as server:
        await (await server.connect(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")).readuntil(b"}")
        [connection] = server.server.server_state.connections
        assert isinstance(connection, H11Protocol)
        assert connection.transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def test_a_head_is_a_get_without_its_body() -> None:
    """Some monitors probe with it."""
    async with served(a_face().app, stop_within_s=1) as server:
        for path, status in ((b"/healthz", b"200"), (b"/readyz", b"200"), (b"/v1/routing/work-items/w-9", b"404")):
            reader = await server.connect(b"HEAD %b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % path)
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 %b " % status)
            assert b"content-length: " in head
            assert body == b""


async def test_answers_let_no_browser_guess_their_type() -> None:
    async with served(a_face().app, stop_within_s=1) as server:
        reader = await server.connect(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        head = (await reader.read()).partition(b"\r\n\r\n")[0].lower()
        assert b"\r\nx-content-type-options: nosniff" in head
        assert b"\r\nserver:" not in head
