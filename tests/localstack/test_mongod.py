"""The embedded MongoDB keeps commits across a kill, dies with its starter, and names the remedy where it cannot run."""

import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from pymongo import AsyncMongoClient

from mongod import Mongod
from server_process import ROOT, ServerError, port_taken

pytestmark = pytest.mark.thorough


async def _count_after_one_more(uri: str) -> int:
    client: AsyncMongoClient[dict[str, int]] = AsyncMongoClient(uri)
    async with client:
        notes = client["test"]["notes"]
        async with client.start_session() as session, await session.start_transaction():
            await notes.insert_one({"n": 1}, session=session)
        return await notes.count_documents({})


async def test_what_a_transaction_wrote_outlives_a_kill() -> None:
    with Mongod() as mongod:
        uri, first_pid = mongod.uri, mongod.pid
        assert await _count_after_one_more(uri) == 1
        mongod.kill()
        assert not mongod.running
        mongod.start()
        assert mongod.uri == uri
        assert mongod.pid != first_pid
        assert await _count_after_one_more(uri) == 2
        data = mongod.data
    assert not data.exists()
    assert not port_taken(mongod.port)


def test_it_ends_with_the_process_that_started_it() -> None:
    with subprocess.Popen(
        [sys.executable, str(ROOT / "localstack" / "mongod.py")], stdout=subprocess.PIPE, text=True
    ) as starter:
        assert starter.stdout is not None
        port = int(starter.stdout.readline().partition("127.0.0.1:")[2].partition("/")[0])
        with socket.create_connection(("127.0.0.1", port), timeout=20) as connection:
            starter.send_signal(signal.SIGKILL)
            # The connection ends with the server, in order or by a reset.
            try:
                end = connection.recv(1)
            except ConnectionResetError:
                end = b""
            assert end == b""


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(ServerError, match=f"port {port} is taken: stop what listens there or choose another"):
            Mongod(port=port).start()


@pytest.mark.parametrize(
    ("output", "line"),
    [
        (
            "mongod: error while loading shared libraries: libcurl.so.4: cannot open shared object file: No such file",
            r"mongod cannot run, libcurl\.so\.4 is missing: `apt-get install libcurl4`",
        ),
        (
            "mongod: error while loading shared libraries: libcrypto.so.3: cannot open shared object file",
            r"libcrypto\.so\.3 is missing: `apt-get install libssl3`",
        ),
        ("", "install a MongoDB for this machine"),
        ("Failed: it is Tuesday", "MongoDB ended while starting: Failed: it is Tuesday"),
    ],
    ids=["libcurl", "openssl", "silent", "unknown"],
)
def test_a_mongod_that_cannot_run_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, output: str, line: str
) -> None:
    program = tmp_path / "mongod"
    program.write_text(f"#!/bin/sh\necho '{output}' >&2\nexit 127\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    mongod = Mongod(data=tmp_path / "data")
    with pytest.raises(ServerError, match=line):
        mongod.start()
    assert not mongod.running
