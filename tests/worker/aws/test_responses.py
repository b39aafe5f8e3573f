"""An answer with status 200 that is not AWS's counts as the service being away, and no message is lost by it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Literal

import pytest

from tests.worker.aws.stand_ins.scripted_service import Answer, Script, scripted
from worker.aws.clients import sns_client, sqs_client
from worker.aws.errors import translated_errors
from worker.aws.responses import reading_response
from worker.aws.sns.http_transport import SnsHttp
from worker.aws.sns.topics import SnsTopics
from worker.aws.sqs.http_transport import SqsHttp
from worker.aws.sqs.message_queue import SqsQueue, read_queue_attributes
from worker.errors import AwsAway, QueueAway, TopicsAway
from worker.outbox.topic_message import topic_message
from worker.ports.aws_calls import AwsEndpoint, EntryResults
from worker.ports.message_queue import SENT_LONG_AGO, DeadLetter, VisibilityChange
from worker.runtime.clock import SystemClock

Transport = Literal["library", "http"]
TRANSPORTS: tuple[Transport, ...] = ("library", "http")
PAGE = b"<html><body>Please sign in</body></html>"
NO_OBJECTS: list[Any] = [PAGE, b"[]", b'"yes"', b"null", b'{"Messages": [', b"\xff\xfe"]
MESSAGE = {"MessageId": "m", "ReceiptHandle": "r", "Body": "b"}
NO_MESSAGES = [
    "yes",
    5,
    {"a": 1},
    [None],
    ["m"],
    [{}],
    [{**MESSAGE, "MessageId": 5}],
    [{**MESSAGE, "ReceiptHandle": None}],
    [{"MessageId": "m", "ReceiptHandle": "r"}],
    [{**MESSAGE, "Body": {"a": "b"}}],
    [{**MESSAGE, "Attributes": "yes"}],
    [{**MESSAGE, "Attributes": {"ApproximateReceiveCount": "often"}}],
    [{**MESSAGE, "Attributes": {"SentTimestamp": "now"}}],
    [{**MESSAGE, "Attributes": {"SentTimestamp": "9" * 30}}],
    [{**MESSAGE, "Attributes": {"MessageGroupId": ["g"]}}],
    [{**MESSAGE, "MessageAttributes": ["a"]}],
    [{**MESSAGE, "MessageAttributes": {"a": "yes"}}],
    [{**MESSAGE, "MessageAttributes": {"a": {"BinaryValue": "a"}}}],
]


@asynccontextmanager
async def _queue(transport: Transport, *found: Any) -> AsyncIterator[tuple[SqsQueue, Script]]:
    """A queue whose service gives these answers; a bare body has status 200."""
    async with AsyncExitStack() as stack:
        endpoint, script = await stack.enter_async_context(scripted("sqs", [_answer(one) for one in found]))
        aws_endpoint = AwsEndpoint(region="us-east-1", url=endpoint.url)
        sqs = await stack.enter_async_context(sqs_client(aws_endpoint, read_timeout_s=5, connections_max=1))
        hot = SqsHttp(endpoint) if transport == "http" else sqs
        url = f"{endpoint.url}/123456789012/any"
        yield (
            SqsQueue(
                client=sqs,
                polling=hot,
                settling=hot,
                url=url,
                dead_letter_url=url,
                visibility_timeout_s=60,
                clock=SystemClock(),
            ),
            script,
        )


@asynccontextmanager
async def _topics(transport: Transport, *found: Any) -> AsyncIterator[SnsTopics]:
    async with (
        scripted("sns", [_answer(one) for one in found]) as (endpoint, _),
        sns_client(AwsEndpoint(region="us-east-1", url=endpoint.url)) as sns,
    ):
        yield SnsTopics(SnsHttp(endpoint) if transport == "http" else sns)


def _answer(found: Any) -> Answer:
    return found if isinstance(found, tuple) else (200, found, {})


async def _away(call: Awaitable[object], away: type[AwsAway] = QueueAway) -> bool:
    try:
        await call
    except away:
        return True
    return False


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_malformed_message_is_the_queue_being_away(transport: Transport) -> None:
    """An empty queue would be polled again at once, and an unexpected error would end the worker."""
    bodies = [*NO_OBJECTS, *({"Messages": one} for one in NO_MESSAGES)]
    async with _queue(transport, *bodies) as (queue, script):
        assert [body for body in bodies if not await _away(queue.receive(wait_s=0))] == []
        assert script.answers == []


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_an_answer_without_messages_is_an_empty_queue(transport: Transport) -> None:
    bodies = [b"", {}, {"Messages": None}, {"Messages": []}]
    async with _queue(transport, *bodies) as (queue, _):
        assert [(await queue.receive(wait_s=0)).messages for _ in bodies] == [[], [], [], []]


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_message_needs_only_id_receipt_and_body(transport: Transport) -> None:
    async with _queue(transport, {"Messages": [MESSAGE]}) as (queue, _):
        (message,) = (await queue.receive(wait_s=0)).messages
        assert (message.id, message.receipt, message.body) == ("m", "r", "b")
        assert (message.attributes, message.receive_count, message.group) == ({}, 1, None)
        assert message.sent_at == SENT_LONG_AGO


def _settling(queue: SqsQueue) -> list[Callable[[], Awaitable[EntryResults]]]:
    return [
        lambda: queue.delete_batch(["r"]),
        lambda: queue.change_visibility_batch([VisibilityChange(receipt="r", timeout_s=1)]),
        lambda: queue.dead_letter_batch([DeadLetter(body="b", attributes={})]),
    ]


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_an_answer_without_entries_settles_none(transport: Transport) -> None:
    odd: list[Any] = ["yes", 5, [None], ["0"], [{"Id": []}]]
    bodies = [*NO_OBJECTS, *({part: one} for part in ("Successful", "Failed") for one in odd)]
    async with _queue(transport, *bodies, *bodies, *bodies) as (queue, script):
        for call in _settling(queue):
            assert [body for body in bodies if not await _away(call())] == []
        assert script.answers == []


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_an_entry_that_the_answer_does_not_name_is_not_settled(transport: Transport) -> None:
    """Such a message is not deleted, and such a dead letter does not count as sent."""
    bodies: list[Any] = [b"", {}, {"Messages": []}, {"Successful": None, "Failed": None}]
    ids: list[tuple[str, Any]] = [("id", "0"), ("Id", 0), ("Id", "1"), ("Id", None)]
    bodies += [{"Successful": [{key: value}]} for key, value in ids]
    async with _queue(transport, *bodies, *bodies, *bodies) as (queue, _):
        for call in _settling(queue):
            answers = [(body, await call()) for body in bodies]
            results = [(body, [one and (one.code, one.final) for one in entries]) for body, entries in answers]
            assert [(body, result) for body, result in results if result != [("NOT_TOLD", False)]] == []


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_each_entry_has_the_result_of_its_id(transport: Transport) -> None:
    body = {"Failed": [{"Id": "2", "Code": "Odd", "SenderFault": True}], "Successful": [{"Id": "1"}, {"Id": "0"}]}
    async with _queue(transport, body) as (queue, _):
        answers = await queue.delete_batch(["a", "b", "c"])
        assert [refused and refused.code for refused in answers] == [None, None, "Odd"]


@pytest.mark.parametrize(
    "bodies",
    [[PAGE], [{"Attributes": "yes"}], [{"Attributes": {"VisibilityTimeout": 30}}]]
    + [[{"Attributes": {"RedrivePolicy": '{"deadLetterTargetArn": "a:b:c"}'}}, one] for one in ({}, {"QueueUrl": 5})],
    ids=repr,
)
async def test_a_queue_with_unreadable_attributes_is_waited_for(bodies: list[Any]) -> None:
    async with AsyncExitStack() as stack:
        endpoint, script = await stack.enter_async_context(scripted("sqs", [(200, body, {}) for body in bodies]))
        aws_endpoint = AwsEndpoint(region="us-east-1", url=endpoint.url)
        sqs = await stack.enter_async_context(sqs_client(aws_endpoint, read_timeout_s=5, connections_max=1))
        with pytest.raises(QueueAway):
            await read_queue_attributes(sqs, f"{endpoint.url}/123456789012/any")
        assert script.answers == []


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_foreign_answer_publishes_nothing(transport: Transport) -> None:
    message = topic_message(id="id", group="conversation", text='{"name": "n"}')
    bodies = [PAGE, b"{}", b"", b"<a/>", b"<a><b/></a>", b"\xff\xfe"]
    async with _topics(transport, *bodies) as topics:
        calls = [(body, topics.publish("arn:aws:sns:us-east-1:123456789012:any", [message])) for body in bodies]
        assert [body for body, call in calls if not await _away(call, TopicsAway)] == []


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_a_refusal_without_an_aws_code_is_the_service_being_away(transport: Transport) -> None:
    """Otherwise an entry would count as refused for good, and a refused poll would end the worker."""
    message = topic_message(id="id", group="conversation", text='{"name": "n"}')
    pages: list[Answer] = [(status, body, {}) for status in (302, 400, 404, 407) for body in (PAGE, b"")]
    async with _queue(transport, *pages, *pages) as (queue, _):
        assert [page for page in pages if not await _away(queue.receive(wait_s=0))] == []
        assert [page for page in pages if not await _away(queue.delete_batch(["r"]))] == []
    async with _topics(transport, *pages) as topics:
        calls = [(page, topics.publish("arn:aws:sns:us-east-1:123456789012:any", [message])) for page in pages]
        assert [page for page, call in calls if not await _away(call, TopicsAway)] == []


@pytest.mark.parametrize("fault", [KeyError("ours"), TypeError("ours"), AttributeError("ours")], ids=repr)
def test_the_same_exceptions_outside_of_an_answer_are_defects(fault: Exception) -> None:
    with pytest.raises(type(fault), match="ours"), translated_errors("working", QueueAway):
        raise fault
    with pytest.raises(QueueAway, match="ours"), translated_errors("working", QueueAway), reading_response():
        raise fault
