"""A queue with dead letters on moto's server, and the settings of the verbs that look at them."""

import json
import os
from collections.abc import Sequence
from typing import Any, Final

import botocore.session

from handlers.events.event import Malformed
from handlers.events.parser import read_message
from handlers.outcome import Poison
from moto_server import MotoServer
from tests.handlers.wire_events import conversation, event, notification, published, text
from tests.worker.stand_ins.fake_clock import T0
from worker.consumer.dead_letters import dead_letter
from worker.ports.message_queue import Message, QueueAttributes

CONTENT: Final = "Where is my parcel, Zoë?"
"""A customer's words."""


def good_body(key: str, **attributes: Any) -> str:
    """A conversation's event in an SNS notification, with a customer's words in it."""
    return text(notification(published(event(conversation(2, key=key, preview=CONTENT, **attributes)))))


def unreadable_bodies(count: int) -> list[str]:
    """Bodies of four kinds in turn: no JSON, no event, a wrong field, a wrong revision."""
    kinds = [
        lambda key: f"{CONTENT} {key}",
        lambda key: json.dumps({"hello": key}),
        lambda key: good_body(key, status="shut"),
        lambda key: text(published(event(conversation(0, key=key)))),
    ]
    return [kinds[number % 4](f"bad-{number}") for number in range(count)]


def _sqs_client(moto: MotoServer) -> Any:
    return botocore.session.get_session().create_client(
        "sqs",
        region_name="us-east-1",
        endpoint_url=moto.endpoint,
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )


class LetterDesk:
    """The queues of one test. `variables` are the settings."""

    def __init__(
        self, moto: MotoServer, name: str, *, fifo: bool = False, dead_attributes: dict[str, str] | None = None
    ):
        self.sqs = _sqs_client(moto)
        kind, ending = ({"FifoQueue": "true"}, ".fifo") if fifo else ({}, "")
        self.fifo = fifo
        self.dead_url: str = self.sqs.create_queue(
            QueueName=f"{name}-dead{ending}", Attributes={**kind, **(dead_attributes or {})}
        )["QueueUrl"]
        redrive = json.dumps({"deadLetterTargetArn": self.arn(self.dead_url), "maxReceiveCount": 1})
        self.url: str = self.sqs.create_queue(
            QueueName=f"{name}{ending}", Attributes={**kind, "RedrivePolicy": redrive}
        )["QueueUrl"]
        self.variables = {**moto.environment, "AWS_REGION": "us-east-1", "SQS_QUEUE_URL": self.url}

    def close(self) -> None:
        self.sqs.close()

    def arn(self, url: str) -> str:
        return str(self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"])

    def put_dead(self, bodies: Sequence[str], *, group: str = "g", prefix: str = "m") -> None:
        """Put letters there as the worker does where its reader refuses them, else without attributes as SQS does."""
        attributes = QueueAttributes(
            visibility_timeout_s=30,
            receive_count_max=9,
            fifo=self.fifo,
            dead_letter_url=self.dead_url,
            dead_letter_bytes_max=262_144,
        )
        for number, body in enumerate(bodies):
            trace = {"DataType": "Binary", "BinaryValue": b'{"x-datadog-trace-id":"7"}'}
            message = Message(
                id=f"{prefix}-{number}",
                receipt="r",
                body=body,
                attributes={"_datadog": trace},
                receive_count=1,
                sent_at=T0,
                received_at=T0,
                group=group if self.fifo else None,
            )
            read = read_message(body)
            more: dict[str, Any] = {"MessageAttributes": dict(message.attributes)}
            if isinstance(read, Malformed):
                letter = dead_letter(message, Poison(code=read.code, reason=read.reason), attributes).letter
                more = {"MessageAttributes": dict(letter.attributes)}
            if self.fifo:
                more |= {"MessageGroupId": group, "MessageDeduplicationId": message.id}
            self.sqs.send_message(QueueUrl=self.dead_url, MessageBody=body, **more)

    def depth(self, url: str) -> tuple[int, int]:
        """How many messages are visible, and how many in flight."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return int(found[names[0]]), int(found[names[1]])

    def taken(self, url: str) -> list[dict[str, Any]]:
        """Every visible message, which is deleted."""
        taken: list[dict[str, Any]] = []
        while messages := self.sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            MessageSystemAttributeNames=["All"],
            WaitTimeSeconds=0,
        ).get("Messages"):
            taken.extend(messages)
            for message in messages:
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return taken

    def environment(self) -> dict[str, str]:
        """The environment of a process."""
        return {**os.environ, **self.variables}
