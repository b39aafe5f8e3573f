"""Refusals that an operator mends: no worker ends for one, and no message or event pays for it. Reports of other
consumers that met them: docs/faults.md, *Reports of others*."""

from typing import Any

import pytest

from tests.handlers.small_ports import HandClock
from tests.worker.aws.stand_ins.scripted_service import Answer, endpoint_at, scripted
from worker.aws.sns.http_transport import SnsHttp
from worker.aws.sns.topics import SnsTopics
from worker.aws.sqs.http_transport import SqsHttp
from worker.aws.sqs.message_queue import SqsQueue
from worker.errors import QueueAway
from worker.outbox.topic_message import topic_message
from worker.ports.aws_calls import RefusedEntry


def _refusal(shape: str, query_code: str | None = None, status: int = 400) -> Answer:
    headers = {} if query_code is None else {"x-amzn-query-error": f"{query_code};Sender"}
    return status, {"__type": f"com.amazonaws.sqs#{shape}", "message": "see the key"}, headers


def _queue(client: Any) -> SqsQueue:
    return SqsQueue(
        client=client,
        polling=client,
        settling=client,
        url="q",
        dead_letter_url="d",
        visibility_timeout_s=60,
        clock=HandClock(),
    )


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (_refusal("KmsDisabled", "KMS.DisabledException"), r"KMS\.DisabledException: see the key"),
        (_refusal("KmsInvalidState", "KMS.InvalidStateException"), r"KMS\.InvalidStateException: see the key"),
        (_refusal("KmsInvalidKeyUsage"), "KmsInvalidKeyUsage: see the key"),
        (_refusal("KmsThrottled", "KMS.ThrottlingException"), r"KMS\.ThrottlingException: see the key"),
        (_refusal("OverLimit", "OverLimit", status=403), "OverLimit: see the key"),
        (_refusal("QueueDeletedRecently", "AWS.SimpleQueueService.QueueDeletedRecently"), "QueueDeletedRecently"),
        (_refusal("UnsupportedOperation", "AWS.SimpleQueueService.UnsupportedOperation"), "UnsupportedOperation"),
        (_refusal("ACodeThatNobodyKnowsYet"), "ACodeThatNobodyKnowsYet"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_refused_receive_is_the_queue_being_away_whatever_its_code(answer: Answer, says: str) -> None:
    async with scripted("sqs", [answer]) as (endpoint, _):
        with pytest.raises(QueueAway, match=says):
            await _queue(SqsHttp(endpoint)).receive(wait_s=0)


@pytest.mark.parametrize(
    ("code", "expected", "final"),
    [
        ("KMS.DisabledException", "KMS.DisabledException", False),
        ("KMS.ThrottlingException", "KMS.ThrottlingException", False),
        ("AWS.SimpleQueueService.RequestThrottled", "RequestThrottled", False),
        ("AWS.SimpleQueueService.ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", True),
    ],
)
async def test_an_entry_refused_for_the_senders_fault_may_be_accepted_later(
    code: str, expected: str, final: bool
) -> None:
    failed = {"Successful": [], "Failed": [{"Id": "0", "Code": code, "SenderFault": True, "Message": "why"}]}
    async with scripted("sqs", [(200, failed, {})]) as (endpoint, _):
        assert await _queue(SqsHttp(endpoint)).delete_batch(["r"]) == [
            RefusedEntry(code=expected, reason="why", final=final)
        ]


async def test_one_message_received_twice_is_deleted_by_both_receipts() -> None:
    """SQS refuses a batch whole if two entries have the same id, and a message can come twice in one response."""
    twice = [{"MessageId": "m", "ReceiptHandle": receipt, "Body": "{}"} for receipt in ("r1", "r2")]
    done = {"Successful": [{"Id": "0"}, {"Id": "1"}], "Failed": []}
    async with scripted("sqs", [(200, {"Messages": twice}, {}), (200, done, {})]) as (endpoint, script):
        queue = _queue(SqsHttp(endpoint))
        receipts = [message.receipt for message in (await queue.receive(wait_s=0)).messages]
        assert await queue.delete_batch(receipts) == [None, None]
        assert script.requests[1].count(b'"Id":"0"') == script.requests[1].count(b'"Id":"1"') == 1


async def test_a_message_above_the_topics_own_limit_is_refused_for_good_and_alone() -> None:
    """Before, it stayed in the outbox and was published again and again."""
    too_long = b"<ErrorResponse><Error><Code>BatchRequestTooLong</Code><Message>why</Message></Error></ErrorResponse>"
    taken = (
        b"<PublishBatchResponse><PublishBatchResult><Successful><member><Id>0</Id><MessageId>m</MessageId></member>"
        b"</Successful></PublishBatchResult></PublishBatchResponse>"
    )
    answers: list[Answer | None] = [(400, too_long, {}), (400, too_long, {}), (200, taken, {})]
    async with scripted("sns", answers) as (endpoint, _):
        messages = [topic_message(id=name, group="c", text="{}") for name in ("large", "small")]
        large, small = await SnsTopics(SnsHttp(endpoint)).publish("arn:aws:sns:us-east-1:123456789012:any", messages)
    assert large is not None
    assert (large.code, large.final, small) == ("BatchRequestTooLong", True, None)


async def test_a_failed_connection_is_logged_with_its_cause() -> None:
    async with scripted("sqs", [(200, b"no gzip", {"Content-Encoding": "gzip"})]) as (endpoint, _):
        with pytest.raises(QueueAway, match=r"endpoint URL: .*content-encoding: gzip"):
            await _queue(SqsHttp(endpoint)).receive(wait_s=0)
        async with endpoint_at("sqs", "http://127.0.0.1:9", find_credentials=endpoint.find_credentials) as closed:
            with pytest.raises(QueueAway, match=r"endpoint URL: .*Connect call failed"):
                await _queue(SqsHttp(closed)).receive(wait_s=0)
