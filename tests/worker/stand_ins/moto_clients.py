"""Clients of moto's server, and queues and topics for one test each."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any

from moto_server import MotoServer
from worker.aws.clients import sns_client, sqs_client
from worker.aws.http_calls import ServiceEndpoint, http_session
from worker.aws.provisioning import ProvisioningResult, ProvisioningSpec, provision
from worker.aws.session import aws_session
from worker.aws.sns.http_transport import SnsHttp
from worker.aws.sqs.http_transport import SqsHttp
from worker.aws.sqs.message_queue import SqsQueue
from worker.ports.aws_calls import AwsEndpoint
from worker.runtime.clock import SystemClock

if TYPE_CHECKING:
    from types_aiobotocore_sns.client import SNSClient
    from types_aiobotocore_sqs.client import SQSClient

_numbers = count(1)


@dataclass(slots=True)
class Aws:
    """Clients of moto's server, and helpers that make and read queues."""

    sns: "SNSClient"
    sqs: "SQSClient"
    endpoint: AwsEndpoint
    hot: "SQSClient | SqsHttp"
    publishing: "SNSClient | SnsHttp"

    async def provisioned(self, **wanted: Any) -> ProvisioningResult:
        """New queues and topics."""
        return await provision(self.sns, self.sqs, ProvisioningSpec(prefix=f"test-{next(_numbers)}", **wanted))

    async def queue(self, *, fifo: bool) -> tuple[str, str]:
        """The URLs of a new queue and its dead-letter queue."""
        name = f"test-{next(_numbers)}"
        kind: Any = {"FifoQueue": "true"} if fifo else {}
        ending = ".fifo" if fifo else ""
        dead_url = (await self.sqs.create_queue(QueueName=f"{name}-dead{ending}", Attributes=kind))["QueueUrl"]
        found = await self.sqs.get_queue_attributes(QueueUrl=dead_url, AttributeNames=["QueueArn"])
        redrive = json.dumps({"deadLetterTargetArn": found["Attributes"]["QueueArn"], "maxReceiveCount": 9})
        wanted: Any = {**kind, "RedrivePolicy": redrive, "VisibilityTimeout": "60"}
        return (await self.sqs.create_queue(QueueName=f"{name}{ending}", Attributes=wanted))["QueueUrl"], dead_url

    def adapter(self, url: str, dead_url: str) -> SqsQueue:
        """The adapter of a queue."""
        return SqsQueue(
            client=self.sqs,
            polling=self.hot,
            settling=self.hot,
            url=url,
            dead_letter_url=dead_url,
            visibility_timeout_s=60,
            clock=SystemClock(),
        )

    async def taken(self, url: str) -> list[dict[str, Any]]:
        """Receive the messages that are visible in a queue."""
        answer: Any = await self.sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
            WaitTimeSeconds=0,
        )
        return list(answer.get("Messages", []))


@asynccontextmanager
async def opened(moto: MotoServer, *, http: bool = False) -> AsyncIterator[Aws]:
    """Clients of that server; `http`: messages are received, settled and published without the library."""
    endpoint = AwsEndpoint(region="us-east-1", url=moto.endpoint)
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(aws_session(endpoint.region, SystemClock()))

        async def place(service: str) -> ServiceEndpoint:
            return ServiceEndpoint(
                service=service,
                url=moto.endpoint,
                region=endpoint.region,
                http=await stack.enter_async_context(
                    http_session(proxy=None, tls=True, read_timeout_s=10, connections_max=5)
                ),
                find_credentials=session.get_credentials,
                clock=SystemClock(),
            )

        sns = await stack.enter_async_context(sns_client(endpoint))
        sqs = await stack.enter_async_context(sqs_client(endpoint, read_timeout_s=10, connections_max=5))
        hot: SQSClient | SqsHttp = SqsHttp(await place("sqs")) if http else sqs
        publishing: SNSClient | SnsHttp = SnsHttp(await place("sns")) if http else sns
        yield Aws(sns, sqs, endpoint, hot, publishing)
