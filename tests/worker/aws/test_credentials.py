"""Row 6: credentials that cannot be found or renewed are waited for, or end the start with one line.

The sources are real servers, files and programs; botocore finds them as it does in production.
"""

import asyncio
import json
import os
import stat
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.credentials import ReadOnlyCredentials

from tests.handlers.small_ports import HandClock
from tests.worker.aws.stand_ins.credential_services import CredentialServices
from tests.worker.aws.stand_ins.scripted_service import Answer, scripted
from tests.worker.aws.worker_queue import BOTH_TRANSPORTS, TOPIC, Transport, worker_queue, worker_settings
from worker.aws.clients import AwsClients, aws_clients
from worker.aws.credentials import SharedCredentials
from worker.aws.errors import CredentialsAway
from worker.aws.sns.topics import SnsTopics
from worker.aws.sqs.message_queue import read_queue_attributes
from worker.errors import Misconfigured, QueueAway, TopicsAway
from worker.outbox.topic_message import topic_message
from worker.runtime.clock import SystemClock

ATTRIBUTES = {"Attributes": {"RedrivePolicy": '{"deadLetterTargetArn": "a:b:c"}'}}
FOUND: list[Any] = [ATTRIBUTES, {"QueueUrl": "http://127.0.0.1/1/dead"}, {"Attributes": {}}]


@pytest.fixture(autouse=True)
def _no_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")


@pytest.fixture
def services() -> Iterator[CredentialServices]:
    with CredentialServices() as servers:
        yield servers


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text("an-identity-token")
    return file


def _profile(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> None:
    file = folder / "config"
    file.write_text(f"[default]\n{text}\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))


def _set(monkeypatch: pytest.MonkeyPatch, variables: Mapping[str, str]) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)


@asynccontextmanager
async def _clients(*found: Any, transport: Transport = "http") -> AsyncIterator[tuple[AwsClients, str]]:
    """The worker's own clients of a service that gives these answers, and the URL of a queue."""
    async with scripted("sqs", [(200, body, {}) for body in found]) as (endpoint, _):
        settings = worker_settings(endpoint.url, transport)
        async with aws_clients(settings, SystemClock()) as clients:
            yield clients, settings.sqs_queue_url


@pytest.mark.thorough
class TestRow6AtTheStart:
    """What may come by itself is waited for; what an operator must mend ends the start with the remedy."""

    @pytest.mark.parametrize(
        ("agent", "failing"), [("container", (500, "InternalFailure")), ("metadata", (404, "not yet"))]
    )
    async def test_row_6_an_agent_that_fails_is_waited_for(
        self, agent: str, failing: tuple[int, str], services: CredentialServices, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _set(monkeypatch, getattr(services, agent))
        services.failing = failing
        async with _clients(*FOUND) as (clients, url):
            with pytest.raises(QueueAway, match="no AWS credentials: "):
                await read_queue_attributes(clients.sqs, url)
            services.failing = None
            assert (await read_queue_attributes(clients.sqs, url)).receive_count_max == 10

    async def test_row_6_an_agent_that_refuses_connections_is_waited_for(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1:9/")
        async with _clients() as (clients, url):
            with pytest.raises(QueueAway, match=r"no AWS credentials: .*container-role"):
                await read_queue_attributes(clients.sqs, url)

    @pytest.mark.parametrize("kind", ["web identity", "container"])
    async def test_row_6_a_token_file_that_is_not_mounted_yet_is_waited_for(
        self, kind: str, services: CredentialServices, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        file = tmp_path / "absent"
        if kind == "container":
            _set(monkeypatch, {**services.container, "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE": str(file)})
        else:
            _set(monkeypatch, services.web_identity(str(file)))
        async with _clients(*FOUND) as (clients, url):
            with pytest.raises(QueueAway, match=f"no AWS credentials: {file}: No such file"):
                await read_queue_attributes(clients.sqs, url)
            file.write_text("an-identity-token")
            assert (await read_queue_attributes(clients.sqs, url)).fifo is False

    @pytest.mark.parametrize("code", ["IDPCommunicationError", "ExpiredTokenException", "Throttling"])
    async def test_row_6_an_answer_of_sts_that_may_change_is_waited_for(
        self, code: str, services: CredentialServices, token_file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _set(monkeypatch, services.web_identity(str(token_file)))
        services.failing = (400, code)
        async with _clients() as (clients, url):
            with pytest.raises(QueueAway, match=f"AssumeRoleWithWebIdentity: {code}: made to fail"):
                await read_queue_attributes(clients.sqs, url)

    @pytest.mark.parametrize("code", ["InvalidIdentityToken", "AccessDenied", "IDPRejectedClaim"])
    async def test_row_6_a_refusal_of_sts_ends_the_start(
        self, code: str, services: CredentialServices, token_file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _set(monkeypatch, services.web_identity(str(token_file)))
        services.failing = (400, code)
        async with _clients() as (clients, url):
            with pytest.raises(Misconfigured, match=f"AssumeRoleWithWebIdentity: {code}: made to fail: check the role"):
                await read_queue_attributes(clients.sqs, url)

    @pytest.mark.parametrize(
        ("profile", "line"),
        [
            ("", "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give the task a role"),
            (
                "credential_process = /nowhere/program --now",
                "/nowhere/program: No such file or directory: check credential_process of the AWS profile",
            ),
            ('credential_process = "unclosed', "No closing quotation: check the AWS profile"),
            (
                "sso_start_url = https://sso\nsso_region = us-east-1\nsso_account_id = 1\nsso_role_name = r",
                "Token for https://sso does not exist: log in with the AWS command line, or use a role",
            ),
            ("sso_account_id = 1", "missing required configuration: .*: check the AWS profile"),
            ("aws_access_key_id = AKIA", "Partial credentials found in .*: check the AWS profile"),
            ("role_arn = arn:aws:iam::1:role/r\nsource_profile = none", "none.*: check the AWS profile"),
            (
                "role_arn = arn:aws:iam::1:role/r\ncredential_source = Moon",
                'source "Moon" .* is not valid.*: check the AWS profile',
            ),
        ],
    )
    async def test_row_6_a_source_that_can_never_work_ends_the_start(
        self, profile: str, line: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        _profile(monkeypatch, tmp_path, profile)
        async with _clients() as (clients, url):
            with pytest.raises(Misconfigured, match=f"no AWS credentials: .*{line}"):
                await read_queue_attributes(clients.sqs, url)

    async def test_row_6_an_address_of_an_agent_that_botocore_refuses_ends_the_start(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://example.com/")
        async with _clients() as (clients, url):
            with pytest.raises(Misconfigured, match=r"Unsupported host 'example\.com'"):
                await read_queue_attributes(clients.sqs, url)

    async def test_row_6_a_program_that_answers_nonsense_is_waited_for(
        self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        keys = {"Version": 1, "AccessKeyId": "AKIA", "SecretAccessKey": "secret"}
        odd: list[Any] = [None, [], 5, "text", {}, {"Version": 1}, {**keys, "Version": 2}]
        no_keys: list[Any] = [None, 5, "", [], {}, "a\nb", "a "]
        no_times: list[Any] = [5, "soon", [], "2001-01-01T00:00:00Z", "9" * 30]
        odd += [{**keys, name: value} for name in ("AccessKeyId", "SecretAccessKey") for value in no_keys]
        odd += [{**keys, "SessionToken": value} for value in no_keys[1:]]
        odd += [{**keys, "Expiration": value} for value in no_times]
        answers = ["", "no JSON", "\ud800", *map(json.dumps, odd)]
        _program(monkeypatch, tmp_path, "")
        async with _clients() as (clients, url):
            for answer in answers:
                (tmp_path / "keys").write_bytes(answer.encode("utf-8", "surrogatepass"))
                with pytest.raises(QueueAway, match="no AWS credentials: ") as raised:
                    await read_queue_attributes(clients.sqs, url)
                assert "\n" not in str(raised.value)


def _program(monkeypatch: pytest.MonkeyPatch, folder: Path, answer: str) -> None:
    """A `credential_process` that prints the file `keys`, and fails where there is none."""
    (folder / "keys").write_text(answer)
    program = folder / "program"
    program.write_text(f"#!/bin/sh\nexec cat {folder}/keys\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    _profile(monkeypatch, folder, f"credential_process = {program}")


def _short_lived_keys() -> str:
    expires = (datetime.now(UTC) + timedelta(seconds=59)).strftime("%Y-%m-%dT%H:%M:%SZ")
    return json.dumps({"Version": 1, "AccessKeyId": "AKIA", "SecretAccessKey": "secret", "Expiration": expires})


@pytest.mark.thorough
class TestRow6WhileRunning:
    """A renewal that fails is the service being away: no message is lost by it, and the work goes on afterwards."""

    @pytest.mark.parametrize(
        ("source", "transport"),
        [(source, one) for source in ("web identity", "process") for one in BOTH_TRANSPORTS],
    )
    async def test_row_6_calls_wait_for_the_renewal_and_work_again(
        self,
        source: str,
        transport: Transport,
        services: CredentialServices,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
    ) -> None:
        # Keys that expire within a minute are renewed before each call.
        services.valid_s = 59
        if source == "process":
            _program(monkeypatch, tmp_path, _short_lived_keys())
        else:
            (tmp_path / "token").write_text("an-identity-token")
            _set(monkeypatch, services.web_identity(str(tmp_path / "token")))
        accepted = {"Successful": [{"Id": "0"}]}
        async with _clients({}, accepted, {}, accepted, transport=transport) as (clients, url):
            queue, topics = worker_queue(clients, url), SnsTopics(clients.publishing)
            assert (await queue.receive(wait_s=0)).messages == []
            assert await queue.delete_batch(["r"]) == [None]
            services.failing = (400, "InvalidIdentityToken")
            (tmp_path / "keys").unlink(missing_ok=True)
            with pytest.raises(QueueAway, match="no AWS credentials"):
                await queue.receive(wait_s=0)
            # As an answer of SQS it would be the final refusal of an entry.
            with pytest.raises(QueueAway, match="no AWS credentials"):
                await queue.delete_batch(["r"])
            with pytest.raises(TopicsAway, match="no AWS credentials"):
                await topics.publish(TOPIC, [topic_message(id="id", group="c", text="{}")])
            services.failing = None
            (tmp_path / "keys").write_text(_short_lived_keys())
            assert (await queue.receive(wait_s=0)).messages == []
            assert await queue.delete_batch(["r"]) == [None]

    async def test_row_6_valid_keys_are_used_while_their_renewal_fails(
        self, services: CredentialServices, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The library would ask the agent at every call, and fail with keys that are valid for minutes."""
        _set(monkeypatch, services.container)
        services.valid_s = 300
        async with _clients(*[{}] * 5) as (clients, url):
            queue = worker_queue(clients, url)
            await queue.receive(wait_s=0)
            services.failing, asked = (500, "InternalFailure"), services.asked
            for _ in range(4):
                assert (await queue.receive(wait_s=0)).messages == []
            assert services.asked == asked

    async def test_row_6_calls_at_once_share_one_renewal_and_its_failure(
        self, services: CredentialServices, token_file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        _set(monkeypatch, services.web_identity(str(token_file)))
        services.failing = (400, "InvalidIdentityToken")
        async with _clients() as (clients, url):
            queue = worker_queue(clients, url)
            results = await asyncio.gather(*(queue.receive(wait_s=0) for _ in range(4)), return_exceptions=True)
            assert [type(result) for result in results] == [QueueAway] * 4
            assert services.asked == 1

    @pytest.mark.parametrize("transport", BOTH_TRANSPORTS)
    @pytest.mark.parametrize("code", ["ExpiredToken", "InvalidClientTokenId"])
    async def test_row_6_keys_that_aws_refuses_are_looked_for_anew(
        self, code: str, transport: Transport, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """A file of static keys is rewritten while the worker runs: the library would keep the first ones."""
        file = tmp_path / "credentials"
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
        text = "[default]\naws_access_key_id = {}\naws_secret_access_key = secret\n"
        file.write_text(text.format("OLD"))
        refused: Answer = (403, {"__type": code, "message": "no more"}, {})
        async with scripted("sqs", [refused, (200, {}, {})]) as (endpoint, script):
            async with aws_clients(worker_settings(endpoint.url, transport), SystemClock()) as clients:
                queue = worker_queue(clients, f"{endpoint.url}/123456789012/q")
                with pytest.raises(QueueAway, match=code):
                    await queue.receive(wait_s=0)
                file.write_text(text.format("NEW"))
                assert (await queue.receive(wait_s=0)).messages == []
            keys = [each["authorization"].partition("Credential=")[2].partition("/")[0] for each in script.headers]
            assert keys == ["OLD", "NEW"]

    async def test_row_6_a_source_that_does_not_answer_is_left_after_a_deadline(self) -> None:
        asked = 0

        async def load() -> ReadOnlyCredentials:
            nonlocal asked
            asked += 1
            await asyncio.Event().wait()
            raise AssertionError

        credentials = SharedCredentials(load, token_files=set, clock=HandClock(), answer_s_max=0.01)
        for _ in range(3):
            with pytest.raises(CredentialsAway, match=r"no answer of their source within 0\.01 s"):
                await credentials.get_frozen_credentials()
        assert asked == 1
        await credentials.close()

    async def test_row_6_the_role_is_asked_for_in_the_workers_region(
        self, services: CredentialServices, token_file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """`AWS_REGION` is unknown to botocore, whose STS client had no region, then."""
        _set(monkeypatch, {**services.web_identity(str(token_file)), "AWS_REGION": "us-east-1"})
        async with _clients({}) as (clients, url):
            assert (await worker_queue(clients, url).receive(wait_s=0)).messages == []
        assert services.asked == 1
