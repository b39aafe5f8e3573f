"""The stand-in serves the worker's own SQS client."""

from collections.abc import Iterator

import pytest

from tests.bench.endpoint.process import BenchEndpoint
from worker.aws.clients import sqs_client
from worker.aws.sqs.message_queue import SqsQueue, read_queue_attributes
from worker.ports.aws_calls import AwsEndpoint
from worker.runtime.clock import SystemClock


@pytest.fixture
def endpoint() -> Iterator[BenchEndpoint]:
    with BenchEndpoint() as server:
        yield server


async def test_the_endpoint_serves_the_workers_own_client(
    endpoint: BenchEndpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    where = AwsEndpoint(region="us-east-1", url=endpoint.url)
    url = f"{endpoint.url}/000000000000/q"
    async with sqs_client(where, read_timeout_s=10, connections_max=2) as client:
        attributes = await read_queue_attributes(client, url)
        queue = SqsQueue(
            client=client,
            polling=client,
            settling=client,
            url=url,
            dead_letter_url=attributes.dead_letter_url,
            visibility_timeout_s=60,
            clock=SystemClock(),
        )
        endpoint.stage("q", [f"body {number}" for number in range(15)])
        assert (await queue.receive(wait_s=0)).messages == []
        endpoint.release("q")
        messages = [*(await queue.receive(wait_s=20)).messages, *(await queue.receive(wait_s=20)).messages]
        answers = await queue.delete_batch([message.receipt for message in messages[:10]])
        answers = [*answers, *await queue.delete_batch([message.receipt for message in messages[10:]])]
    assert sorted(message.body for message in messages) == sorted(f"body {number}" for number in range(15))
    assert answers == [None] * 15
    drained = endpoint.drained("q", published=0)
    assert drained.calls == {"ReceiveMessage": 2, "DeleteMessageBatch": 2}
