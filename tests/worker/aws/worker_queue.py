"""The settings and the queue of a worker whose SQS and SNS are at one URL."""

from typing import Final, Literal

from worker.aws.clients import AwsClients
from worker.aws.sqs.message_queue import SqsQueue
from worker.runtime.clock import SystemClock
from worker.settings.settings import Settings

Transport = Literal["http", "library"]
BOTH_TRANSPORTS: Final[tuple[Transport, ...]] = ("http", "library")
TOPIC: Final = "arn:aws:sns:us-east-1:123456789012:any"


def worker_settings(url: str, transport: Transport) -> Settings:
    """Settings whose services are at that URL."""
    return Settings(
        aws_region="us-east-1",
        aws_endpoint_url_sqs=url,
        aws_endpoint_url_sns=url,
        sqs_queue_url=f"{url}/123456789012/q",
        sns_conversation_topic_arn=TOPIC,
        sns_work_item_topic_arn=f"{TOPIC}-other",
        sqs_transport=transport,
        sns_transport=transport,
        mongodb_uri="mongodb://127.0.0.1:9/",
    )


def worker_queue(clients: AwsClients, url: str) -> SqsQueue:
    """The queue at that URL, which is its own dead-letter queue."""
    return SqsQueue(
        client=clients.sqs,
        polling=clients.polling,
        settling=clients.settling,
        url=url,
        dead_letter_url=url,
        visibility_timeout_s=60,
        clock=SystemClock(),
    )
