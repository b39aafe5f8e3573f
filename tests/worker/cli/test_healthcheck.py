"""The image's health check: it asks what the worker serves, and prints one line."""

import asyncio
import re
import socket
import subprocess
import sys

import pytest

from tests.worker.fake_clock import FakeClock
from worker.cli.healthcheck import DEFAULT_HOST, DEFAULT_PORT, check
from worker.settings.settings import Settings
from worker.telemetry.health import Health, serve_health


def test_row_16_its_defaults_are_those_of_the_settings() -> None:
    fields = Settings.model_fields
    assert (fields["http_host"].default, str(fields["http_port"].default)) == (DEFAULT_HOST, DEFAULT_PORT)


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost", "::", "::1"])
async def test_row_16_it_asks_the_address_that_the_worker_serves(host: str) -> None:
    if ":" in host and not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    async with serve_health(Health(clock=FakeClock(), silence_s_max=90), host=host, port=0) as port:
        status, line = await asyncio.to_thread(check, {"HTTP_HOST": host, "http_port": str(port)})
    assert status == 0
    assert re.fullmatch(rf"healthy: http://\S+:{port}/healthz", line)


async def test_an_empty_variable_counts_as_not_set() -> None:
    async with serve_health(Health(clock=FakeClock(), silence_s_max=90), host=DEFAULT_HOST, port=0) as port:
        status, line = await asyncio.to_thread(check, {"HTTP_HOST": "", "HTTP_PORT": str(port)})
    assert (status, line) == (0, f"healthy: http://{DEFAULT_HOST}:{port}/healthz")
    _, line = await asyncio.to_thread(check, {"HTTP_PORT": ""})
    assert f"http://{DEFAULT_HOST}:{DEFAULT_PORT}/healthz" in line


def test_a_host_that_is_no_name_is_a_line() -> None:
    status, line = check({"HTTP_HOST": "a..b"})
    assert status == 1
    assert line.startswith("unhealthy: http://a..b:8080/healthz: ")


def test_row_16_where_nothing_listens_it_prints_a_line_and_no_traceback() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = str(unused.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "worker.cli.healthcheck"],
            env={"HTTP_HOST": "0.0.0.0", "HTTP_PORT": port},
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "")
    assert re.fullmatch(rf"unhealthy: http://127\.0\.0\.1:{port}/healthz: .*refused\n", done.stdout)


@pytest.mark.parametrize("port", ["0", "80a", "65536"])
def test_row_16_a_port_that_cannot_be_asked_is_a_line(port: str) -> None:
    status, line = check({"HTTP_PORT": port})
    assert status == 1
    assert line.startswith(f"unhealthy: HTTP_PORT {port!r} ")


@pytest.mark.parametrize("answer", [b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 503 Away\r\n\r\n", b""])
async def test_row_16_another_answer_is_a_line(answer: bytes) -> None:
    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(respond, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        status, line = await asyncio.to_thread(check, {"HTTP_PORT": str(port)})
    assert status == 1
    assert re.fullmatch(rf"unhealthy: http://127\.0\.0\.1:{port}/healthz: .+", line)
