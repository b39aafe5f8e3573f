"""Signed HTTP calls: the signature is the one of AWS's library, and errors are handled as the library does."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from msgspec import Struct

from tests.handlers.small_ports import HandClock
from tests.worker.aws.stand_ins.scripted_service import Answer, scripted
from worker.aws.errors import translated_errors
from worker.aws.http_calls import ServiceEndpoint
from worker.aws.sigv4 import Signer
from worker.aws.sns.http_transport import SnsHttp
from worker.aws.sqs.http_transport import SqsHttp
from worker.errors import AwsAway, QueueAway, TopicsAway

NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
FORM = "application/x-www-form-urlencoded; charset=utf-8"


@pytest.mark.parametrize("token", [None, "a-session-token"])
@pytest.mark.parametrize(
    ("service", "headers"),
    [
        ("sqs", {"content-type": "application/x-amz-json-1.0", "x-amz-target": "AmazonSQS.ReceiveMessage"}),
        ("sns", {"content-type": FORM}),
    ],
)
def test_the_signature_equals_the_librarys(service: str, headers: dict[str, str], token: str | None) -> None:
    keys = ReadOnlyCredentials("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", token)
    host, body = f"{service}.eu-central-1.amazonaws.com", b'{"QueueUrl":"q"}'
    ours = Signer(region="eu-central-1", service=service).headers(
        {**headers, "host": host}, body=body, keys=keys, at=NOW
    )
    request = AWSRequest(method="POST", url=f"https://{host}/", data=body, headers=headers)
    request.context["timestamp"] = "20240506T070809Z"
    library = SigV4Auth(keys, service, "eu-central-1")
    request.headers["X-Amz-Date"] = "20240506T070809Z"
    if token:
        request.headers["X-Amz-Security-Token"] = token
    signed = library.signature(library.string_to_sign(request, library.canonical_request(request)), request)
    assert ours["authorization"].rpartition("Signature=")[2] == signed


class ServiceCase(Struct, frozen=True):
    """One service: a call, a good answer, and the form of an error answer."""

    service: str
    away: type[AwsAway]
    good: Answer
    error: Callable[[str], Any]
    call: Callable[[ServiceEndpoint], Callable[[], Any]]

    async def make_call(self, endpoint: ServiceEndpoint) -> Any:
        return await self.caller(endpoint)()

    def caller(self, endpoint: ServiceEndpoint) -> Callable[[], Any]:
        """A function that makes the call, always with the same client."""
        call = self.call(endpoint)

        async def make_call() -> Any:
            with translated_errors("caller", self.away):
                return await call()

        return make_call


def _sqs(endpoint: ServiceEndpoint) -> Callable[[], Any]:
    sqs = SqsHttp(endpoint)
    return lambda: sqs.receive_message(QueueUrl="q")


def _sns(endpoint: ServiceEndpoint) -> Callable[[], Any]:
    sns = SnsHttp(endpoint)
    return lambda: sns.publish_batch(TopicArn="t", PublishBatchRequestEntries=[{"Id": "0", "Message": "m"}])


def _xml_error(code: str) -> bytes:
    return (
        '<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type>'
        f"<Code>{code}</Code><Message>slow</Message></Error><RequestId>r</RequestId></ErrorResponse>"
    ).encode()


def _json_error(code: str) -> dict[str, str]:
    return {"__type": f"com.amazonaws.sqs#{code}", "message": "slow"}


SQS = ServiceCase("sqs", QueueAway, (200, {"Messages": [{"MessageId": "m"}]}, {}), _json_error, _sqs)
TAKEN = (
    b'<PublishBatchResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishBatchResult><Failed/><Successful>'
    b"<member><MessageId>m</MessageId><Id>0</Id></member></Successful></PublishBatchResult></PublishBatchResponse>"
)
SNS = ServiceCase("sns", TopicsAway, (200, TAKEN, {}), _xml_error, _sns)


@pytest.fixture(params=[SQS, SNS], ids=["sqs", "sns"])
def case(request: pytest.FixtureRequest) -> ServiceCase:
    service_case: ServiceCase = request.param
    return service_case


@pytest.mark.parametrize("first", [None, (503, b"<html>busy</html>", {}), (500, b"", {})])
async def test_a_call_is_repeated_once_after_a_broken_connection_or_a_server_error(
    case: ServiceCase, first: Answer | None
) -> None:
    async with scripted(case.service, [first, case.good]) as (endpoint, script):
        answer = await case.make_call(endpoint)
        assert [one["MessageId"] for one in answer.get("Messages") or answer["Successful"]] == ["m"]
        assert len(script.requests) == 2
        assert script.requests[0] == script.requests[1] != b""


@pytest.mark.parametrize(
    "answers",
    [
        [None, None],
        [(503, b"", {}), (503, b"", {})],
        [(200, b"<html>", {})],
        [(200, b"\xff\xfe", {})],
        [(403, b"<html>proxy", {})],
        [(404, {"error": "blocked"}, {})],
        [(404, b"<html><body>blocked</body></html>", {})],
        [(302, b"", {"Location": "http://127.0.0.1:9/"})],
    ],
    ids=["broken", "failing", "garbage", "no-text", "proxy", "proxys-json", "proxys-xhtml", "elsewhere"],
)
async def test_a_lasting_failure_is_the_service_being_away(case: ServiceCase, answers: list[Answer | None]) -> None:
    async with scripted(case.service, answers) as (endpoint, script):
        with pytest.raises(case.away):
            await case.make_call(endpoint)
        assert script.answers == []


@pytest.mark.parametrize("code", ["RequestThrottled", "Throttling", "ExpiredToken", "InvalidClientTokenId"])
async def test_throttling_and_expired_keys_are_the_service_being_away(case: ServiceCase, code: str) -> None:
    async with scripted(case.service, [(400, case.error(code), {})]) as (endpoint, script):
        with pytest.raises(case.away, match=f"{code}: slow"):
            await case.make_call(endpoint)
        assert script.answers == []


async def test_each_call_is_signed_with_the_present_credentials(case: ServiceCase) -> None:
    async with scripted(case.service, [case.good, case.good]) as (endpoint, script):
        make_call = case.caller(endpoint)
        await make_call()
        await make_call()
        used = [each["authorization"].partition("Credential=")[2].partition("/")[0] for each in script.headers]
        assert used == ["key-1", "key-2"]


async def test_a_wrong_clock_is_corrected_by_the_services_clock(case: ServiceCase) -> None:
    clock = HandClock()
    aws_time = clock.now() + timedelta(minutes=20)
    skewed = (403, case.error("SignatureDoesNotMatch"), {"Date": format_datetime(aws_time, usegmt=True)})
    async with scripted(case.service, [skewed, case.good, case.good], clock) as (endpoint, script):
        make_call = case.caller(endpoint)
        await make_call()
        await make_call()
        assert [each["x-amz-date"][9:13] for each in script.headers] == ["0709", "0729", "0729"]


@pytest.mark.parametrize("date", [None, "yesterday"], ids=["now", "none"])
async def test_a_wrong_secret_is_not_taken_for_a_wrong_clock(case: ServiceCase, date: str | None) -> None:
    clock = HandClock()
    answer_headers = {"Date": date or format_datetime(clock.now(), usegmt=True)}
    refused = (403, case.error("InvalidSignatureException"), answer_headers)
    async with scripted(case.service, [refused], clock) as (endpoint, _):
        with pytest.raises(case.away, match="InvalidSignatureException"):
            await case.make_call(endpoint)
