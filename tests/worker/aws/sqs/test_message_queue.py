"""The attributes of a queue that the worker reads at start, and AWS's errors translated."""

import socket
from datetime import timedelta
from typing import Any

import pytest

from tests.worker.stand_ins.moto_clients import Aws
from worker.aws.clients import sns_client, sqs_client
from worker.aws.sns.topics import SnsTopics
from worker.aws.sqs.message_queue import SqsQueue, read_queue_attributes
from worker.errors import Misconfigured, QueueAway, TopicsAway
from worker.outbox.topic_message import topic_message
from worker.ports.aws_calls import AwsEndpoint
from worker.runtime.clock import SystemClock


def _nowhere() -> AwsEndpoint:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return AwsEndpoint(region="us-east-1", url=f"http://127.0.0.1:{probe.getsockname()[1]}")


async def test_the_attributes_of_a_queue_are_read(aws: Aws) -> None:
    made = await aws.provisioned(visibility_timeout_s=77, receive_count_max=4)
    attributes = await read_queue_attributes(aws.sqs, made.queue_url)
    assert (attributes.visibility_timeout_s, attributes.receive_count_max, attributes.fifo) == (77, 4, False)
    assert attributes.dead_letter_url == made.dead_letter_queue_url
    assert attributes.dead_letter_bytes_max >= 262_144
    assert attributes.created_at is not None
    assert abs(SystemClock().now() - attributes.created_at) < timedelta(minutes=5)
    assert (await read_queue_attributes(aws.sqs, (await aws.provisioned(fifo=True)).queue_url)).fifo


async def test_messages_are_hidden_for_the_timeout_read_at_start_whatever_the_queues_has_become(aws: Aws) -> None:
    """The extender and the gap of the watermark count with the one read at start."""
    url, dead_url = await aws.queue(fifo=False)
    queue = aws.adapter(url, dead_url)
    await aws.sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "0"})
    await aws.sqs.send_message(QueueUrl=url, MessageBody="{}")
    assert len((await queue.receive(wait_s=0)).messages) == 1
    assert (await queue.receive(wait_s=0)).messages == []


async def test_a_queue_without_redrive_policy_is_refused_with_the_remedy(aws: Aws) -> None:
    url = (await aws.sqs.create_queue(QueueName="bare"))["QueueUrl"]
    with pytest.raises(Misconfigured, match=r"no redrive policy.*routing-sync provision"):
        await read_queue_attributes(aws.sqs, url)


@pytest.mark.parametrize(
    "attributes",
    [
        {"VisibilityTimeout": "soon"},
        {"MaximumMessageSize": "large"},
        {"RedrivePolicy": '{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:1:dead","maxReceiveCount":"often"}'},
        {"RedrivePolicy": '{"deadLetterTargetArn":"dead","maxReceiveCount":5}'},
    ],
)
async def test_attributes_that_sqs_never_sends_are_an_answer_that_is_not_aws_s(attributes: dict[str, str]) -> None:
    class AttributesClient:
        async def get_queue_attributes(self, **_: Any) -> Any:
            policy = '{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:1:dead","maxReceiveCount":5}'
            return {"Attributes": {"RedrivePolicy": policy, **attributes}}

        async def get_queue_url(self, **_: Any) -> Any:
            return {"QueueUrl": "http://127.0.0.1/1/dead"}

    client: Any = AttributesClient()
    with pytest.raises(QueueAway, match="the response is not AWS's"):
        await read_queue_attributes(client, "http://127.0.0.1/1/events")


async def test_a_missing_queue_is_an_error_at_start(aws: Aws) -> None:
    with pytest.raises(Misconfigured, match=r"SQS_QUEUE_URL .*/none: QueueDoesNotExist"):
        await read_queue_attributes(aws.sqs, f"{aws.endpoint.url}/123456789012/none")


async def test_a_queue_that_goes_missing_later_is_away(aws: Aws) -> None:
    url = f"{aws.endpoint.url}/123456789012/none"
    queue = SqsQueue(
        client=aws.sqs,
        polling=aws.sqs,
        settling=aws.sqs,
        url=url,
        dead_letter_url=url,
        visibility_timeout_s=60,
        clock=SystemClock(),
    )
    with pytest.raises(QueueAway):
        await queue.receive(wait_s=0)
    with pytest.raises(QueueAway):
        await queue.delete_batch(["x"])


@pytest.mark.thorough
async def test_an_unreachable_service_is_away(aws: Aws) -> None:
    endpoint = _nowhere()
    async with (
        sqs_client(endpoint, read_timeout_s=1, connections_max=1) as sqs,
        sns_client(endpoint, read_timeout_s=1) as sns,
    ):
        with pytest.raises(QueueAway):
            await read_queue_attributes(sqs, f"{endpoint.url}/123456789012/none")
        with pytest.raises(TopicsAway):
            await SnsTopics(sns).publish(
                "arn:aws:sns:us-east-1:123456789012:t", [topic_message(id="a", group="c", text="{}")]
            )


async def test_without_credentials_the_worker_does_not_start(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    async with sqs_client(aws.endpoint, read_timeout_s=5, connections_max=1) as sqs:
        with pytest.raises(Misconfigured, match="no AWS credentials"):
            await read_queue_attributes(sqs, f"{aws.endpoint.url}/123456789012/none")
