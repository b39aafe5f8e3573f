"""The lean way to SQS: signed as the library signs, and what it does when calls do not go as they should."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from aiohttp import web
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import ClientError, NoCredentialsError

from moto_server import MotoServer
from tests.handlers.small_ports import HandClock
from tests.worker.aws.conftest import Aws, opened
from worker.aws import QueueAway, translated
from worker.lean_sqs import Credentials, LeanSqs, Signer, lean_sqs

NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)


@pytest.mark.parametrize("token", [None, "a-session-token"])
def test_it_signs_as_the_library_does(token: str | None) -> None:
    keys = ReadOnlyCredentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token)
    body, target = b'{"QueueUrl":"q"}', "AmazonSQS.ReceiveMessage"
    ours = Signer(region="eu-central-1", service="sqs").headers(
        host="sqs.eu-central-1.amazonaws.com", target=target, body=body, keys=keys, at=NOW
    )
    request = AWSRequest(
        method="POST",
        url="https://sqs.eu-central-1.amazonaws.com/",
        data=body,
        headers={"content-type": "application/x-amz-json-1.0", "x-amz-target": target},
    )
    request.context["timestamp"] = "20240506T070809Z"
    theirs = SigV4Auth(keys, "sqs", "eu-central-1")
    request.headers["X-Amz-Date"] = "20240506T070809Z"
    if token:
        request.headers["X-Amz-Security-Token"] = token
    signed = theirs.signature(theirs.string_to_sign(request, theirs.canonical_request(request)), request)
    assert ours["authorization"].rpartition("Signature=")[2] == signed


@dataclass(slots=True)
class Rotating:
    """Credentials that are others at every call."""

    given: int = 0

    async def get_frozen_credentials(self) -> ReadOnlyCredentials:
        self.given += 1
        return ReadOnlyCredentials(f"key-{self.given}", "secret", None)


@dataclass(slots=True)
class Script:
    """A server that answers as it is told: a status with a body and headers, or None to hang up."""

    answers: list[tuple[int, Any, dict[str, str]] | None]
    asked: list[Any] = field(default_factory=list)
    headers: list[Any] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.Response:
        self.asked.append(await request.json())
        self.headers.append(request.headers)
        answer = self.answers.pop(0)
        if answer is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        status, body, headers = answer
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return web.Response(status=status, body=content, headers=headers)


@asynccontextmanager
async def scripted(
    answers: Sequence[tuple[int, Any, dict[str, str]] | None], clock: HandClock | None = None
) -> AsyncIterator[tuple[LeanSqs, Script]]:
    script = Script(list(answers))
    rotating = Rotating()

    async def found() -> Credentials:
        return rotating

    app = web.Application()
    app.router.add_post("/", script.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        async with lean_sqs(
            url=f"http://127.0.0.1:{runner.addresses[0][1]}",
            region="us-east-1",
            find_credentials=found,
            clock=clock or HandClock(),
            read_timeout_s=5,
            connections_max=2,
        ) as sqs:
            yield sqs, script
    finally:
        await runner.cleanup()


Answer = tuple[int, Any, dict[str, str]]

GOOD: Answer = (200, {"Messages": [{"MessageId": "m"}]}, {})
THROTTLED: Answer = (400, {"__type": "com.amazonaws.sqs#RequestThrottled", "message": "slow"}, {})


async def _receive(sqs: LeanSqs) -> Any:
    with translated("receiving", QueueAway):
        return await sqs.receive_message(QueueUrl="q")


@pytest.mark.parametrize("first", [None, (503, b"<html>busy</html>", {}), (500, {"__type": "InternalError"}, {})])
async def test_a_call_that_breaks_or_a_service_that_fails_is_asked_once_more(first: Any) -> None:
    async with scripted([first, GOOD]) as (sqs, script):
        assert (await _receive(sqs))["Messages"] == [{"MessageId": "m"}]
        assert script.asked == [{"QueueUrl": "q"}] * 2


@pytest.mark.parametrize(
    "answers",
    [[None, None], [(503, b"", {}), (503, b"", {})], [THROTTLED], [(200, b"<html>", {})], [(403, b"<html>proxy", {})]],
    ids=["broken", "failing", "throttled", "no-json", "proxy"],
)
async def test_what_does_not_get_better_is_the_queue_being_away(answers: Any) -> None:
    async with scripted(answers) as (sqs, script):
        with pytest.raises(QueueAway):
            await _receive(sqs)
        assert script.answers == []


async def test_each_call_is_signed_with_the_credentials_that_hold_now() -> None:
    async with scripted([GOOD, GOOD]) as (sqs, script):
        await _receive(sqs)
        await _receive(sqs)
        used = [each["authorization"].partition("Credential=")[2].partition("/")[0] for each in script.headers]
        assert used == ["key-1", "key-2"]


async def test_a_clock_that_is_off_is_allowed_for_by_the_services_own() -> None:
    clock = HandClock()
    theirs = clock.now() + timedelta(minutes=20)
    skewed = (403, {"__type": "x#InvalidSignatureException"}, {"Date": format_datetime(theirs, usegmt=True)})
    async with scripted([skewed, GOOD, GOOD], clock) as (sqs, script):
        await _receive(sqs)
        await _receive(sqs)
        assert [each["x-amz-date"][9:13] for each in script.headers] == ["0709", "0729", "0729"]


async def test_a_wrong_secret_is_no_matter_of_clocks() -> None:
    clock = HandClock()
    refused = (403, {"__type": "x#InvalidSignatureException"}, {"Date": format_datetime(clock.now(), usegmt=True)})
    async with scripted([refused], clock) as (sqs, _):
        with pytest.raises(QueueAway, match="InvalidSignatureException"):
            await _receive(sqs)


async def test_without_credentials_it_says_what_to_set() -> None:
    async def nothing() -> None:
        return None

    async with lean_sqs(
        url="http://127.0.0.1:9", region="us-east-1", find_credentials=nothing, clock=HandClock(), read_timeout_s=1,
        connections_max=1,
    ) as sqs:  # fmt: skip
        with pytest.raises(NoCredentialsError):
            await sqs.receive_message(QueueUrl="q")
        with pytest.raises(QueueAway, match="AWS_ACCESS_KEY_ID"):
            await _receive(sqs)


async def test_binary_attributes_come_as_bytes() -> None:
    attributes = {"a": {"DataType": "Binary", "BinaryValue": "AAE="}, "b": {"DataType": "String", "StringValue": "v"}}
    async with scripted([(200, {"Messages": [{"MessageAttributes": attributes}]}, {})]) as (sqs, _):
        (message,) = (await _receive(sqs))["Messages"]
        assert message["MessageAttributes"]["a"]["BinaryValue"] == b"\0\1"
        assert message["MessageAttributes"]["b"]["StringValue"] == "v"


async def test_errors_are_the_librarys(moto: MotoServer) -> None:
    async def told(aws: Aws) -> tuple[str, int]:
        with pytest.raises(ClientError) as raised:
            await aws.hot.delete_message_batch(
                QueueUrl=f"{moto.endpoint}/123456789012/none", Entries=[{"Id": "0", "ReceiptHandle": "r"}]
            )
        response: Any = raised.value.response
        return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]

    async with opened(moto) as library, opened(moto, lean=True) as lean:
        assert await told(lean) == await told(library)
