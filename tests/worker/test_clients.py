"""The clients: SQS_TRANSPORT and SNS_TRANSPORT choose the client of the frequent calls, each for one service."""

from typing import Any, Literal

import pytest

from moto_server import MotoServer
from worker.aws.clients import aws_clients
from worker.aws.sns.http_transport import SnsHttp
from worker.aws.sns.topics import SnsTopics
from worker.aws.sqs.http_transport import SqsHttp
from worker.outbox.topic_message import topic_message
from worker.runtime.clock import SystemClock
from worker.settings.settings import Settings

pytestmark = pytest.mark.thorough

Transport = Literal["http", "library"]
ARN = "arn:aws:sns:us-east-1:123456789012:clients"


@pytest.mark.parametrize(("sqs", "sns"), [("http", "library"), ("library", "http")])
async def test_each_service_is_called_by_its_configured_transport(
    moto: MotoServer, sqs: Transport, sns: Transport
) -> None:
    settings = Settings(
        aws_region="us-east-1",
        aws_endpoint_url=moto.endpoint,
        sqs_queue_url=f"{moto.endpoint}/123456789012/q",
        sns_conversation_topic_arn=ARN,
        sns_work_item_topic_arn=f"{ARN}-other",
        sqs_transport=sqs,
        sns_transport=sns,
        mongodb_uri="mongodb://127.0.0.1:9/",
    )
    async with aws_clients(settings, SystemClock()) as clients:
        polling: Any = clients.polling
        assert isinstance(polling, SqsHttp) == (sqs == "http")
        assert (clients.settling is clients.sqs) == (sqs == "library")
        assert clients.polling is not clients.settling
        assert isinstance(clients.publishing, SnsHttp) == (sns == "http")
        assert (clients.publishing is clients.sns) == (sns == "library")
        queue = (await clients.sqs.create_queue(QueueName="clients"))["QueueUrl"]
        assert not (await polling.receive_message(QueueUrl=queue)).get("Messages")
        await clients.sns.create_topic(Name="clients")
        message = topic_message(id="a", group="c", text="{}")
        assert await SnsTopics(clients.publishing).publish(ARN, [message]) == [None]
