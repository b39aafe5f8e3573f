"""The image's health check: it asks what the container's process serves, and prints one line."""

import asyncio
import re
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.worker.api.face import a_face
from tests.worker.stand_ins.fake_clock import FakeClock, until
from worker.api.server import ApiServer
from worker.cli.healthcheck import ADDRESSES, RUN, check, verb_in
from worker.cli.verbs import VERBS
from worker.settings.settings import Settings
from worker.settings.verbs.serve import ServeSettings
from worker.telemetry.health import Health, serve_health
from worker.telemetry.listening_sockets import listening_sockets

_, DEFAULT_HOST, DEFAULT_PORT = ADDRESSES[RUN]


@asynccontextmanager
async def served_api(host: str) -> AsyncIterator[int]:
    """The HTTP face on a free port of the host."""
    sockets = await listening_sockets(host, 0, setting="API")
    server = ApiServer(a_face().app, stop_within_s=1)
    running = asyncio.create_task(server.run_until_stopped(sockets))
    try:
        await until(lambda: server.started)
        yield sockets[0].getsockname()[1]
    finally:
        server.stop()
        await running


@pytest.mark.parametrize(("verb", "settings"), [("run", Settings), ("serve", ServeSettings)])
def test_row_16_its_defaults_are_those_of_the_settings(verb: str, settings: type[Settings]) -> None:
    setting, host, port = ADDRESSES[verb]
    fields = settings.model_fields
    found = fields[f"{setting}_HOST".lower()], fields[f"{setting}_PORT".lower()]
    assert [str(field.default) for field in found] == [host, port]


def test_it_knows_verbs_of_the_command_alone() -> None:
    assert ADDRESSES.keys() <= VERBS.keys()


@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost", "::", "::1"])
async def test_row_16_it_asks_the_address_that_the_worker_serves(host: str) -> None:
    if ":" in host and not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    async with serve_health(Health(clock=FakeClock(), silence_s_max=90), host=host, port=0) as port:
        status, line = await asyncio.to_thread(check, {"HTTP_HOST": host, "http_port": str(port)})
    assert status == 0
    assert re.fullmatch(rf"healthy: http://\S+:{port}/healthz", line)


@pytest.mark.thorough
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0", "localhost", "::", "::1"])
async def test_it_asks_the_address_at_which_serve_listens(host: str) -> None:
    if ":" in host and not socket.has_dualstack_ipv6():
        pytest.skip("no IPv6 here")
    async with served_api(host) as port:
        # The settings of the other process say nothing about this one.
        variables = {"API_HOST": host, "api_port": str(port), "HTTP_PORT": "0"}
        status, line = await asyncio.to_thread(check, variables, verb="serve")
    assert status == 0, line
    assert re.fullmatch(rf"healthy: http://\S+:{port}/healthz", line)
    status, line = await asyncio.to_thread(check, variables, verb="serve")
    assert (status, line.partition(":")[0]) == (1, "unhealthy")


@pytest.mark.parametrize(
    ("command_line", "verb"),
    [
        (["tini", "-s", "--", "routing-sync", "run"], "run"),
        (["tini", "-s", "--", "routing-sync", "serve"], "serve"),
        (["/opt/routing-sync/bin/python", "/opt/routing-sync/bin/routing-sync", "serve"], "serve"),
        (["/sbin/docker-init", "--", "/bin/sh", "-euc", "set -a; . /env; set +a; exec routing-sync serve"], "serve"),
        (["/bin/sh", "-euc", "exec routing-sync run"], "run"),
        # No process that serves anything, another program, and what is not readable as text.
        (["tini", "-s", "--", "routing-sync", "sweep", "--all"], "run"),
        (["tini", "-s", "--", "my-routing-sync-server", "serve"], "run"),
        (["/sbin/init"], "run"),
        (["\udcff", "routing-sync", "serve"], "serve"),
        ([], "run"),
    ],
    ids=" ".join,
)
def test_the_command_line_of_the_first_process_names_the_verb(command_line: list[str], verb: str) -> None:
    shown = b"".join(argument.encode("utf-8", "surrogateescape") + b"\0" for argument in command_line)
    assert verb_in(shown) == verb


@pytest.mark.parametrize("arguments", [["sweep"], ["serve", "run"], [""]])
def test_a_wrong_verb_is_a_line(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "worker.cli.healthcheck", *arguments], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"healthcheck: {' '.join(arguments)!r} is no verb to ask: name run or serve, or none\n"


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


@pytest.mark.parametrize(("verb", "setting"), [([], "HTTP"), (["run"], "HTTP"), (["serve"], "API")])
def test_row_16_where_nothing_listens_it_prints_a_line_and_no_traceback(verb: list[str], setting: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = str(unused.getsockname()[1])
        done = subprocess.run(
            [sys.executable, "-m", "worker.cli.healthcheck", *verb],
            env={f"{setting}_HOST": "0.0.0.0", f"{setting}_PORT": port},
            capture_output=True,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (1, "")
    assert re.fullmatch(rf"unhealthy: http://127\.0\.0\.1:{port}/healthz: .*refused\n", done.stdout)


@pytest.mark.parametrize("port", ["0", "80a", "65536"])
def test_row_16_a_port_that_cannot_be_asked_is_a_line(port: str) -> None:
    for verb, setting in (("run", "HTTP"), ("serve", "API")):
        status, line = check({f"{setting}_PORT": port}, verb=verb)
        assert status == 1
        assert line.startswith(f"unhealthy: {setting}_PORT {port!r} ")


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
