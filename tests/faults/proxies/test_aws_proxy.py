"""The fault proxy on moto: the answers that the client gets, and the calls that are carried out."""

import json
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from itertools import count
from typing import Any

import botocore.session
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from moto_server import MotoServer
from tests.faults.proxies.aws_call import EntryFault
from tests.faults.proxies.aws_fault import (
    SNS_FORBIDDING,
    SNS_SLOW_DOWN,
    SNS_THROTTLING,
    SQS_FAILING,
    SQS_THROTTLING,
    SQS_UNAVAILABLE,
    AnswerWithError,
    ClockSkew,
    Cut,
    Delay,
    FailEntries,
    Fault,
    Garbage,
    Hang,
    LoseAnswer,
    Refuse,
)
from tests.faults.proxies.aws_proxy import AwsProxy

pytestmark = pytest.mark.thorough

_numbers = count(1)


@pytest.fixture(scope="module")
def session() -> Any:
    """Shared, since it reads AWS's large service descriptions."""
    return botocore.session.get_session()


@dataclass(slots=True)
class ProxiedQueue:
    """A queue and a topic that feeds it, behind the proxy. `sqs_itself` does not use the proxy."""

    proxy: AwsProxy
    sqs: Any
    sns: Any
    sqs_itself: Any
    url: str
    arn: str

    def send(self, number: int) -> None:
        entries = [{"Id": str(each), "MessageBody": f"body {each}"} for each in range(number)]
        self.sqs_itself.send_message_batch(QueueUrl=self.url, Entries=entries)

    def receipts(self) -> list[str]:
        answer = self.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10)
        return [message["ReceiptHandle"] for message in answer.get("Messages", [])]

    def delete(self, receipts: list[str]) -> Any:
        entries = [{"Id": str(n), "ReceiptHandle": receipt} for n, receipt in enumerate(receipts)]
        return self.sqs.delete_message_batch(QueueUrl=self.url, Entries=entries)

    def publish(self, number: int) -> Any:
        entries = [{"Id": f"e{each}", "Message": f"<news> & {each}"} for each in range(number)]
        return self.sns.publish_batch(TopicArn=self.arn, PublishBatchRequestEntries=entries)

    def depth(self) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.sqs_itself.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)
        return sum(int(value) for value in answer["Attributes"].values())


@pytest.fixture
def proxied(moto: MotoServer, session: Any) -> Iterator[ProxiedQueue]:
    config = Config(retries={"total_max_attempts": 1}, read_timeout=20)

    def client(service: str, url: str) -> Any:
        return session.create_client(
            service, region_name="us-east-1", endpoint_url=url, aws_access_key_id="test",
            aws_secret_access_key="test", config=config,
        )  # fmt: skip

    with AwsProxy(moto.endpoint) as proxy:
        clients = [client("sqs", proxy.url), client("sns", proxy.url), client("sqs", moto.endpoint)]
        sqs, sns, sqs_itself = clients
        name = f"proxied-{next(_numbers)}"
        url = sqs_itself.create_queue(QueueName=name)["QueueUrl"]
        queue_arn = sqs_itself.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        arn = sns.create_topic(Name=name)["TopicArn"]
        sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint=queue_arn)
        try:
            yield ProxiedQueue(proxy, sqs, sns, sqs_itself, url, arn)
        finally:
            for each in clients:
                each.close()


def test_without_a_fault_it_only_records(proxied: ProxiedQueue) -> None:
    proxied.send(3)
    receipts = proxied.receipts()
    assert len(receipts) == 3
    assert not proxied.delete(receipts[:2]).get("Failed")
    assert len(proxied.publish(2)["Successful"]) == 2
    assert proxied.depth() == 3
    assert set(proxied.proxy.deleted()) == set(receipts[:2])
    (received,) = proxied.proxy.calls_of("ReceiveMessage")
    assert set(received.delivered) == set(receipts)
    assert [call.status for call in proxied.proxy.calls_of("DeleteMessageBatch", "PublishBatch")] == [200, 200]


@pytest.mark.parametrize("fault", [SQS_FAILING, SQS_UNAVAILABLE, SQS_THROTTLING])
def test_sqs_refuses_with_its_own_error(proxied: ProxiedQueue, fault: Refuse) -> None:
    proxied.send(1)
    receipts = proxied.receipts()
    with proxied.proxy.failing(fault, "DeleteMessageBatch") as active, pytest.raises(ClientError) as raised:
        proxied.delete(receipts)
    assert active.hits == 1
    assert raised.value.response["Error"]["Code"] == fault.code
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == fault.status
    assert proxied.depth() == 1
    proxied.delete(receipts)
    assert proxied.depth() == 0


@pytest.mark.parametrize("fault", [SNS_FORBIDDING, SNS_SLOW_DOWN, SNS_THROTTLING])
def test_sns_refuses_with_its_own_error(proxied: ProxiedQueue, fault: Refuse) -> None:
    with proxied.proxy.failing(fault, "PublishBatch"), pytest.raises(ClientError) as raised:
        proxied.publish(1)
    assert raised.value.response["Error"]["Code"] == fault.code
    assert proxied.depth() == 0


def test_entries_that_fail_are_not_carried_out_and_the_others_are(proxied: ProxiedQueue) -> None:
    proxied.send(10)
    receipts = proxied.receipts()
    with proxied.proxy.failing(FailEntries(share=0.5, fault=EntryFault(code="InternalError"))):
        answer = proxied.delete(receipts)
    failed = {receipts[int(each["Id"])] for each in answer["Failed"]}
    assert 0 < len(failed) < 10
    assert {(each["Code"], each["SenderFault"]) for each in answer["Failed"]} == {("InternalError", False)}
    assert len(answer["Successful"]) == 10 - len(failed)
    assert proxied.depth() == len(failed)
    assert set(proxied.proxy.deleted()) == set(receipts) - failed


def test_a_batch_of_failed_entries_is_not_carried_out(proxied: ProxiedQueue) -> None:
    with proxied.proxy.failing(FailEntries(fault=EntryFault(code="AuthorizationError", sender=True)), "PublishBatch"):
        answer = proxied.publish(3)
    assert [(each["Id"], each["Code"], each["SenderFault"]) for each in answer["Failed"]] == [
        (f"e{each}", "AuthorizationError", True) for each in range(3)
    ]
    assert answer["Successful"] == []
    assert proxied.depth() == 0


def test_some_messages_of_a_publication_fail(proxied: ProxiedQueue) -> None:
    with proxied.proxy.failing(FailEntries(share=0.5), "PublishBatch"):
        answer = proxied.publish(10)
    assert len(answer["Successful"]) + len(answer["Failed"]) == 10
    assert 0 < len(answer["Successful"]) == proxied.depth() < 10


@pytest.mark.parametrize(
    ("fault", "left"), [(LoseAnswer(), 0), (AnswerWithError(status=500, code="InternalError"), 0), (Cut(), 2)]
)
def test_the_client_may_not_know_whether_a_call_was_carried_out(proxied: ProxiedQueue, fault: Fault, left: int) -> None:
    proxied.send(2)
    receipts = proxied.receipts()
    with (
        proxied.proxy.failing(fault, "DeleteMessageBatch"),
        pytest.raises((ClientError, BotoCoreError)),
    ):
        proxied.delete(receipts)
    assert proxied.depth() == left
    assert len(proxied.proxy.deleted()) == 2 - left


def test_garbage_is_no_answer(proxied: ProxiedQueue) -> None:
    proxied.send(2)
    receipts = proxied.receipts()
    with proxied.proxy.failing(Garbage()):
        # The library parses it as an answer without entries.
        assert not {"Successful", "Failed"} & set(proxied.delete(receipts))
        with pytest.raises(KeyError):
            proxied.publish(1)
    assert proxied.depth() == 2


def test_a_delay_delays(proxied: ProxiedQueue) -> None:
    proxied.send(1)
    receipts = proxied.receipts()
    begun = time.monotonic()
    with proxied.proxy.failing(Delay(seconds=0.3)):
        proxied.delete(receipts)
    assert time.monotonic() - begun >= 0.3
    assert proxied.depth() == 0


def test_a_fault_has_a_maximum_of_hits(proxied: ProxiedQueue) -> None:
    proxied.send(1)
    receipts = proxied.receipts()
    with proxied.proxy.failing(SQS_FAILING, times=1), pytest.raises(ClientError):
        proxied.delete(receipts)
    with proxied.proxy.failing(SQS_FAILING, "ChangeMessageVisibilityBatch"):
        proxied.delete(receipts)
    assert proxied.depth() == 0


def test_a_clock_that_is_off_refuses_signatures_and_tells_its_time(proxied: ProxiedQueue) -> None:
    with proxied.proxy.failing(ClockSkew(by=timedelta(minutes=20))), pytest.raises(ClientError) as raised:
        proxied.receipts()
    assert raised.value.response["Error"]["Code"] == "InvalidSignatureException"
    with proxied.proxy.failing(ClockSkew(by=timedelta(minutes=-2))):
        assert proxied.receipts() == []


def test_while_away_nothing_listens_and_afterwards_calls_succeed(proxied: ProxiedQueue) -> None:
    proxied.send(1)
    with proxied.proxy.away(), pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(proxied.proxy.url, timeout=2)
    assert len(proxied.receipts()) == 1


def test_a_call_that_hangs_is_never_carried_out(proxied: ProxiedQueue) -> None:
    proxied.send(1)
    body = json.dumps({"QueueUrl": proxied.url, "Entries": [{"Id": "0", "ReceiptHandle": proxied.receipts()[0]}]})
    headers = {"X-Amz-Target": "AmazonSQS.DeleteMessageBatch", "Content-Type": "application/x-amz-json-1.0"}
    request = urllib.request.Request(proxied.proxy.url, data=body.encode(), headers=headers)
    with proxied.proxy.failing(Hang(), times=1) as active, pytest.raises(TimeoutError):
        urllib.request.urlopen(request, timeout=0.3)
    assert active.hits == 1
    assert proxied.depth() == 1
