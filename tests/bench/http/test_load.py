"""The load of the HTTP benchmark, on the bare endpoint's own server."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.bench.http.bare import app
from tests.bench.http.load import Requests, WrongAnswer, measured
from tests.worker.stand_ins.fake_clock import until
from worker.api.server import ApiServer
from worker.telemetry.listening_sockets import listening_sockets

BARE = Requests(name="bare", paths=["/bare"])


@pytest.fixture
async def port() -> AsyncIterator[int]:
    server = ApiServer(app, stop_within_s=1)
    sockets = await listening_sockets("127.0.0.1", 0, setting="BENCH")
    running = asyncio.create_task(server.run_until_stopped(sockets))
    await until(lambda: server.started)
    yield sockets[0].getsockname()[1]
    server.stop()
    await running


@pytest.mark.thorough
@pytest.mark.parametrize("clients", [1, 4])
async def test_all_requests_are_sent_and_timed(port: int, clients: int) -> None:
    figures = await measured(port, BARE.written("token"), clients=clients, total=40)
    assert figures.per_second > 0
    assert 0 < figures.median_ms <= figures.p99_ms


@pytest.mark.thorough
async def test_another_answer_than_200_ends_it(port: int) -> None:
    wrong = Requests(name="wrong", paths=["/nothing"])
    with pytest.raises(WrongAnswer, match="404"):
        await measured(port, wrong.written("token"), clients=1, total=1)


def test_requests_take_paths_and_bodies_in_turn() -> None:
    both = Requests(name="both", paths=["/a", "/b"], bodies=[b"1", b"2", b"3", b"4"])
    written = [request.split(b" ")[1] + request[-1:] for request in both.written("token")]
    assert written == [b"/a1", b"/b2", b"/a3", b"/b4"]
