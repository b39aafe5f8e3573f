"""Row 14: connections that cannot work say in one line what the driver said.

What no waiting ends is Misconfigured, with which the start ends; what may come is StoreAway, which is waited for.
"""

import asyncio
import gc
import re
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Self

import dns.asyncresolver
import pytest
from pydantic import SecretStr

from handlers.ports import StoreAway
from mongod import Mongod
from tests.worker.aws.stand_ins.http_proxy import own_certificate
from tests.worker.mongo.stand_in_mongod import StandInMongod
from tests.worker.stand_ins.name_server import HOST, SrvNameServer, name_server, resolver_at
from tests.worker.stand_ins.tcp_server import TcpServer
from tests.worker.store.store_bench import MongoBench
from worker.errors import Misconfigured
from worker.mongo.client import mongo_client
from worker.mongo.database import Client, check_server, store_deadline
from worker.mongo.errors import store_away

DEADLINE_S = 0.4

# The driver leaves a socket open when a connection fails between connecting and its first command.
pytestmark = [
    pytest.mark.thorough,
    pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning"),
    pytest.mark.filterwarnings("ignore:Exception ignored in. <socket:pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(autouse=True)
def _collected() -> Iterator[None]:
    """Sockets that the driver left open are found within the test, not in a later one."""
    yield
    gc.collect()


@asynccontextmanager
async def _client(uri: str) -> AsyncIterator[Client]:
    async with mongo_client(SecretStr(uri), DEADLINE_S) as client:
        yield client


async def _error(uri: str, kind: type[Exception]) -> str:
    """The message of the error of that kind with which a start on the connection string meets."""
    with pytest.raises(kind) as raised:
        async with _client(uri) as client:
            await check_server(client, DEADLINE_S)
    message = str(raised.value)
    assert "\n" not in message
    for secret in ("hunter2", "127.0.0.1:", HOST, "localhost"):
        assert secret not in message
    return message


@pytest.fixture
def silent_dns(monkeypatch: pytest.MonkeyPatch) -> Iterator[SrvNameServer]:
    with name_server() as server:
        monkeypatch.setattr(dns.asyncresolver, "default_resolver", resolver_at(server.port))
        yield server


async def test_row_14_mongodb_aws_works_with_the_credentials_of_the_task(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIATASK")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "a session's token")
    async with StandInMongod() as server, _client(server.uri) as client:
        assert await check_server(client, 5) == 5
    (signed,) = server.signed[:1]
    assert signed["a"].startswith("AWS4-HMAC-SHA256 Credential=AKIATASK/")
    assert signed["t"] == "a session's token"


async def test_row_14_mongodb_aws_without_credentials_waits_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    async with StandInMongod() as server:
        line = await _error(server.uri, StoreAway)
    assert "The driver says: temporary MONGODB-AWS credentials could not be obtained" in line


@pytest.mark.parametrize(
    ("user", "option", "says"),
    [
        ("me:hunter2@", "", "refuses the credentials: .*The driver says: Authentication failed"),
        ("AKIA:hunter2@", "&authMechanism=MONGODB-AWS", "mechanism MONGODB-AWS which is not enabled"),
        ("me:hunter2@", "&authMechanism=PLAIN&authSource=$external", "mechanism PLAIN which is not enabled"),
        ("", "&authMechanism=MONGODB-X509", "No verified subject name available from client"),
        ("me@", "&authMechanism=GSSAPI", "check its options.*kerberos"),
        ("", "&authMechanism=MONGODB-OIDC&authMechanismProperties=ENVIRONMENT:test", "a variable .*OIDC_TOKEN_FILE"),
        ("", "&authMechanism=MONGODB-OIDC", "it cannot be read: .*requires providing either a callback or a env"),
        ("", "&directConnection=true&replicaSet=other", "named 'other' but this node belongs to a set named 'rs0'"),
        ("", "&replicaSet=other", 'replicaSet: .*No replica set members available for replica set name "other"'),
    ],
)
async def test_row_14_what_no_waiting_ends_is_one_line_with_the_drivers_words(
    mongod: Mongod, monkeypatch: pytest.MonkeyPatch, user: str, option: str, says: str
) -> None:
    monkeypatch.delenv("OIDC_TOKEN_FILE", raising=False)
    uri = f"mongodb://{user}127.0.0.1:{mongod.port}/?appName=test{option}"
    line = await _error(uri if "replicaSet" in option else f"{uri}&replicaSet=rs0", Misconfigured)
    assert line.startswith("MONGODB_URI: ")
    assert re.search(says, line), line


async def test_row_14_a_missing_right_ends_the_start(mongo: MongoBench) -> None:
    fail: dict[str, Any] = {"configureFailPoint": "failCommand", "mode": {"times": 1}}
    await mongo.client.admin.command({**fail, "data": {"failCommands": ["listCollections"], "errorCode": 13}})
    with pytest.raises(Misconfigured, match="MONGODB_URI: its user lacks a right: give it the role readWrite"):
        await mongo.store.ensure_indexes(revision_days=0)


def test_row_14_a_metadata_service_that_is_away_is_waited_for() -> None:
    """Of Azure or Google, for the token of MONGODB-OIDC."""
    away = store_away(ValueError("Failed to acquire IMDS access token: timed out"))
    assert str(away).endswith("The driver says: Failed to acquire IMDS access token: timed out")


def test_a_defect_in_the_code_is_not_taken_for_the_driver() -> None:
    with pytest.raises(ValueError, match="not enough values"):
        store_away(ValueError("not enough values to unpack"))


async def test_row_14_once_started_refused_credentials_are_waited_for(mongod: Mongod) -> None:
    uri = f"mongodb://me:hunter2@127.0.0.1:{mongod.port}/?replicaSet=rs0"
    async with _client(uri) as client:
        with pytest.raises(StoreAway, match="The driver says: Authentication failed"), store_deadline(DEADLINE_S):
            await client.admin.command("ping")


async def test_row_14_oidc_without_its_token_file_waits_for_the_file(
    mongod: Mongod, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    token = tmp_path / "token"
    monkeypatch.setenv("AWS_WEB_IDENTITY_TOKEN_FILE", str(token))
    uri = f"{mongod.uri}&authMechanism=MONGODB-OIDC&authMechanismProperties=ENVIRONMENT:k8s"
    line = await _error(uri, StoreAway)
    assert f"mount its file. The driver says: [Errno 2] No such file or directory: '{token}'" in line
    async with _client(uri) as client:
        with pytest.raises(StoreAway, match="mount its file"), store_deadline(DEADLINE_S):
            await client.admin.command("ping")
    token.write_text("a token")
    assert "mechanism MONGODB-OIDC which is not enabled" in await _error(uri, Misconfigured)


async def test_row_14_a_server_that_is_not_up_is_waited_for_with_the_drivers_words() -> None:
    line = await _error("mongodb://127.0.0.1:1/?replicaSet=rs0", StoreAway)
    assert line.endswith("The driver says: [Errno 111] Connect call failed")


async def test_row_14_a_silent_name_server_is_waited_for_and_the_loop_goes_on(
    silent_dns: SrvNameServer, mongod: Mongod
) -> None:
    silent_dns.mongodb_port = mongod.port
    async with _client(f"mongodb+srv://me:hunter2@{HOST}/?tls=false&replicaSet=rs0") as client:
        lookup = asyncio.create_task(check_server(client, DEADLINE_S))
        turns = 0
        while not lookup.done():
            await asyncio.sleep(0.01)
            turns += 1
        assert turns > 10
        with pytest.raises(StoreAway, match=r"cannot be looked up: .*: The resolution lifetime expired"):
            await lookup
    silent_dns.silent = False
    async with _client(f"mongodb+srv://{HOST}/?tls=false&replicaSet=rs0") as client:
        assert await check_server(client, 5) == 5


async def test_row_14_the_same_client_finds_the_server_once_the_name_server_answers(
    silent_dns: SrvNameServer, mongod: Mongod
) -> None:
    silent_dns.mongodb_port = mongod.port
    async with _client(f"mongodb+srv://{HOST}/?tls=false&replicaSet=rs0") as client:
        with pytest.raises(StoreAway):
            await check_server(client, DEADLINE_S)
        silent_dns.silent = False
        assert await check_server(client, 5) == 5


async def test_row_14_a_name_without_a_record_is_waited_for(silent_dns: SrvNameServer) -> None:
    """The record of a service that has no ready member yet is not there, on Kubernetes."""
    silent_dns.silent = False
    line = await _error("mongodb+srv://other.0.0.1/?tls=false", StoreAway)
    assert "The driver says: The DNS query name does not exist" in line


class _TlsServer(TcpServer):
    """A server with that certificate."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__()
        self._context = context

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._context)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()


@pytest.mark.parametrize(
    ("host", "trusted", "says"),
    [("127.0.0.1", False, "verify failed: self-signed certificate"), ("localhost", True, "Hostname mismatch$")],
)
async def test_row_14_a_certificate_that_cannot_be_trusted_ends_the_start(
    tmp_path: Path, host: str, trusted: bool, says: str
) -> None:
    file, context = own_certificate(tmp_path)
    async with _TlsServer(context) as server:
        trust = f"&tlsCAFile={file}" if trusted else ""
        line = await _error(f"mongodb://me:hunter2@{host}:{server.port}/?replicaSet=rs0&tls=true{trust}", Misconfigured)
    assert "tlsCAFile" in line
    assert re.search(f"The driver says: .*{says}", line), line


async def test_row_14_tls_to_a_server_without_it_is_waited_for_with_the_drivers_words(mongod: Mongod) -> None:
    """The server only closes the connection, as it does when it restarts."""
    line = await _error(f"{mongod.uri}&tls=true", StoreAway)
    assert line.endswith("The driver says: SSL handshake failed")
