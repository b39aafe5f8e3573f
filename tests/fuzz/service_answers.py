"""Answers of SQS and SNS, and of whatever stands between: bytes, statuses and headers, on both transports.

Whatever comes, a call has a result for each entry, or the service counts as away, or the answer is the service's error.
"""

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from random import Random
from types import SimpleNamespace
from typing import Any, Final, cast

import orjson
from botocore.credentials import ReadOnlyCredentials
from botocore.exceptions import ClientError
from botocore.session import get_session
from multidict import CIMultiDict

from tests.fuzz.mutation import Mutator, dumped
from tests.handlers.small_ports import HandClock
from worker.aws.http_calls import ServiceEndpoint
from worker.aws.responses import CheckedParsers
from worker.aws.sns.http_transport import SnsHttp
from worker.aws.sns.topics import SnsTopics
from worker.aws.sqs.http_transport import SqsHttp
from worker.aws.sqs.message_queue import SqsQueue, read_queue_attributes
from worker.errors import Misconfigured, QueueAway, TopicsAway
from worker.outbox.topic_message import topic_message
from worker.ports.aws_calls import RefusedEntry
from worker.ports.message_queue import Message, QueueAttributes, VisibilityChange

_URL: Final = "http://127.0.0.1:9/000000000000/events"
_RECEIPTS: Final = ("r-0", "r-1", "r-2")
_FAILED: Final = {"Id": "1", "Code": "InternalError", "Message": "m", "SenderFault": False}
_MESSAGE: Final = {
    "MessageId": "m-1", "ReceiptHandle": "r-1", "Body": "{}", "MD5OfBody": "m",
    "Attributes": {"ApproximateReceiveCount": "3", "SentTimestamp": "1767600000000", "MessageGroupId": "c-1"},
    "MessageAttributes": {
        "_datadog": {"DataType": "Binary", "BinaryValue": "e30="}, "n": {"DataType": "Number", "StringValue": "1"},
    },
}  # fmt: skip
_REDRIVE: Final = '{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":5}'
_JSON: Final[Mapping[str, Any]] = {
    "ReceiveMessage": {"Messages": [_MESSAGE, _MESSAGE]},
    "Batch": {"Successful": [{"Id": "0"}, {"Id": "2"}], "Failed": [_FAILED]},
    "GetQueueAttributes": {
        "Attributes": {
            "VisibilityTimeout": "30", "RedrivePolicy": _REDRIVE, "FifoQueue": "true",
            "MaximumMessageSize": "262144", "CreatedTimestamp": "1767600000",
        }
    },
    "GetQueueUrl": {"QueueUrl": _URL},
    "Error": {"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "m"},
}  # fmt: skip
_XML: Final = (
    b'<PublishBatchResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishBatchResult><Successful><member>'
    b"<Id>0</Id><MessageId>m</MessageId></member></Successful><Failed><member><Id>1</Id><Code>InternalError</Code>"
    b"<Message>m</Message><SenderFault>true</SenderFault></member></Failed></PublishBatchResult></PublishBatchResponse>"
)
_XML_ERROR: Final = (
    b'<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type>'
    b"<Code>AuthorizationError</Code><Message>m</Message></Error><RequestId>r</RequestId></ErrorResponse>"
)
_PAGES: Final = (
    b"", b"<html><body>It works!</body></html>", b"{}", b"[]", b"null", b"upstream timed out", b"\xff\xfe",
    b'<?xml version="1.0" encoding="utf-16"?><a/>', b'<?xml version="1.0" encoding="nowhere"?><a/>', b"<a/>",
)  # fmt: skip
_OTHER_STATUSES: Final = (204, 302, 400, 400, 403, 404, 413, 429, 500, 502, 503)
_DATES: Final = (
    "Thu, 26 Nov 2026 20:00:00 GMT", "Thu, 26 Nov 2026 20:00:00 -0000", "Thu, 01 Jan 1970 00:00:00 GMT", "today", "",
    "Thu, 31 Dec 9999 23:59:59 -2359", "Mon, 01 Jan 0001 00:00:00 +2359", "Thu, 26 Nov 99999 20:00:00 GMT", None,
)  # fmt: skip
_CODES: Final = (None, "", "AWS.SimpleQueueService.NonExistentQueue;Sender", "RequestThrottled;Sender", ";", "KMS.X")


class _MadeUpAnswers:
    """Made-up answers, each to one request: a status, headers and a body."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._mutator = Mutator(random)

    def json(self, kind: str) -> tuple[int, CIMultiDict[str], bytes]:
        """An answer in SQS's protocol: one of that kind or an error, changed, or another page."""
        tree = orjson.loads(dumped(_JSON[kind if self._random.randrange(8) else "Error"]))
        if "Attributes" in tree and self._random.randrange(2):
            # A policy is JSON in a text.
            tree["Attributes"]["RedrivePolicy"] = dumped(self._mutator.tree(orjson.loads(_REDRIVE))).decode()
        return self._answer(dumped(self._mutator.tree(tree) if self._random.randrange(2) else tree))

    def xml(self) -> tuple[int, CIMultiDict[str], bytes]:
        """An answer in SNS's protocol."""
        return self._answer(_XML if self._random.randrange(4) else _XML_ERROR, text_changes=2)

    def _answer(self, body: bytes, *, text_changes: int = 16) -> tuple[int, CIMultiDict[str], bytes]:
        if self._random.randrange(16) == 0:
            body = self._random.choice(_PAGES)
        if self._random.randrange(text_changes) == 0:
            body = self._mutator.text(body)
        headers = {"Date": self._random.choice(_DATES), "x-amzn-query-error": self._random.choice(_CODES)}
        known = CIMultiDict({name: value for name, value in headers.items() if value is not None})
        status = 200 if self._random.randrange(5) else self._random.choice(_OTHER_STATUSES)
        return status, known, body


class _Http:
    """In the place of the HTTP session: every request gets the next answer."""

    def __init__(self, answer: Callable[[], tuple[int, CIMultiDict[str], bytes]]) -> None:
        self._answer = answer

    @asynccontextmanager
    async def post(self, *_: Any, **__: Any) -> AsyncIterator[Any]:
        status, headers, body = self._answer()

        async def read() -> bytes:
            return body

        yield SimpleNamespace(status=status, headers=headers, read=read)


class _Credentials:
    async def get_frozen_credentials(self) -> ReadOnlyCredentials:
        return ReadOnlyCredentials("key", "secret", None)

    def discard(self, access_key: str | None) -> None:
        """These credentials are never refused for good."""


async def _credentials() -> _Credentials:
    return _Credentials()


def _endpoint(service: str, answer: Callable[[], tuple[int, CIMultiDict[str], bytes]]) -> ServiceEndpoint:
    return ServiceEndpoint(
        service=service, url=_URL, region="us-east-1", http=cast("Any", _Http(answer)), find_credentials=_credentials,
        clock=HandClock(),
    )  # fmt: skip


class _LibraryClient:
    """AWS's client as far as the start needs it: the library's parser reads the answers."""

    _model = get_session().get_service_model("sqs")
    _parser = CheckedParsers().create_parser("json")

    def __init__(self, answers: _MadeUpAnswers) -> None:
        self._answers = answers

    async def get_queue_attributes(self, **_: Any) -> Any:
        return await self._call("GetQueueAttributes")

    async def get_queue_url(self, **_: Any) -> Any:
        return await self._call("GetQueueUrl")

    async def _call(self, operation: str) -> Any:
        status, headers, body = self._answers.json(operation)
        response = {"status_code": status, "headers": headers, "body": body}
        parsed = await self._parser.parse(response, self._model.operation_model(operation).output_shape)
        if status >= 300:
            raise ClientError(parsed, operation)
        return parsed


def answers(random: Random) -> str:
    """A call meets a made-up answer."""
    made = _MadeUpAnswers(random)
    calls: tuple[Callable[[_MadeUpAnswers], Coroutine[Any, Any, str]], ...] = (
        _received,
        _settled,
        _published,
        _started,
    )
    return _ended(random.choice(calls)(made))


def _ended(call: Coroutine[Any, Any, str]) -> str:
    """Run a coroutine that never waits, without an event loop."""
    try:
        call.send(None)
    except StopIteration as end:
        return str(end.value)
    except (QueueAway, TopicsAway):
        return "away"
    except Misconfigured:
        return "refused at start"
    raise AssertionError("the coroutine waits")


def _queue(answer: Callable[[], tuple[int, CIMultiDict[str], bytes]]) -> SqsQueue:
    http = SqsHttp(_endpoint("sqs", answer))
    client: Any = None
    return SqsQueue(
        client=client,
        polling=http,
        settling=http,
        url=_URL,
        dead_letter_url=_URL,
        visibility_timeout_s=60,
        clock=HandClock(),
    )


async def _received(made: _MadeUpAnswers) -> str:
    try:
        response = await _queue(lambda: made.json("ReceiveMessage")).receive(wait_s=0)
    except ClientError as error:
        return _error_of(error)
    assert all(isinstance(message, Message) for message in response.messages)
    for message in response.messages:
        assert all(isinstance(text, str) for text in (message.id, message.receipt, message.body))
        assert message.group is None or isinstance(message.group, str)
    return "received"


async def _settled(made: _MadeUpAnswers) -> str:
    queue = _queue(lambda: made.json("Batch"))
    changes = [VisibilityChange(receipt=receipt, timeout_s=30) for receipt in _RECEIPTS]
    _check_results(await queue.delete_batch(_RECEIPTS))
    _check_results(await queue.change_visibility_batch(changes))
    return "settled"


async def _published(made: _MadeUpAnswers) -> str:
    messages = [topic_message(id=each, group="c", text="{}") for each in _RECEIPTS]
    _check_results(await SnsTopics(SnsHttp(_endpoint("sns", made.xml))).publish("arn:aws:sns:us-east-1:1:t", messages))
    return "published"


async def _started(made: _MadeUpAnswers) -> str:
    client: Any = _LibraryClient(made)
    assert isinstance(await read_queue_attributes(client, _URL), QueueAttributes)
    return "started"


def _check_results(results: Any) -> None:
    assert len(results) == len(_RECEIPTS)
    for result in results:
        assert result is None or (isinstance(result, RefusedEntry) and isinstance(result.code, str))


def _error_of(error: ClientError) -> str:
    """A refusal with a code that the worker does not know: an error of the service, and no server's failure."""
    assert 300 <= error.response["ResponseMetadata"]["HTTPStatusCode"] < 500
    assert error.response["Error"]["Code"]
    return "refused with another code"
