"""SQS: the adapter of the port `MessageQueue`, and the queue's attributes that the worker reads at start."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import orjson
from botocore.exceptions import ClientError

from handlers.ports import Clock
from worker.aws.errors import translated_errors
from worker.aws.responses import reading_response
from worker.aws.sqs.calls import (
    batched,
    checked_text,
    message_entry,
    packed_into_calls,
    queue_attributes,
    read_delivery,
    response_date,
)
from worker.errors import Misconfigured, QueueAway, first_line
from worker.ports.aws_calls import EntryResults, RefusedEntry
from worker.ports.message_queue import SQS_ENTRIES_MAX, DeadLetter, QueueAttributes, ReceiveResponse, VisibilityChange

if TYPE_CHECKING:
    from types_aiobotocore_sqs.client import SQSClient

    from worker.aws.sqs.http_transport import SqsHttp

    HotPathClient = SQSClient | SqsHttp
    """The client of the calls that every message needs: receive, delete, change visibility."""

_MESSAGE_BYTES_MAX_DEFAULT: Final = 262_144
"""`MaximumMessageSize` of a dead-letter queue whose attributes do not name it."""


class SqsQueue:
    """`worker.ports.message_queue.MessageQueue`: one queue with its dead-letter queue.

    `polling` makes the long polls; its read timeout is longer than a poll. `settling` deletes messages and changes
    their visibility. It has connections of its own, so a long poll never delays a settlement. `client` sends the dead
    letters. Received messages are hidden for `visibility_timeout_s`, whatever the queue's own timeout has become since
    the start: the visibility extender and the gap of the watermark count with it.
    """

    def __init__(
        self,
        *,
        client: "SQSClient",
        polling: "HotPathClient",
        settling: "HotPathClient",
        url: str,
        dead_letter_url: str,
        visibility_timeout_s: int,
        clock: Clock,
    ) -> None:
        self._client = client
        self._polling = polling
        self._settling = settling
        self._url = url
        self._dead_letter_url = dead_letter_url
        self._visibility_timeout_s = visibility_timeout_s
        self._clock = clock

    async def receive(self, *, wait_s: int) -> ReceiveResponse:
        """Receive up to ten messages. Waits up to `wait_s` seconds while the queue is empty. Raises QueueAway."""
        try:
            return await self._receive(wait_s)
        except ClientError as error:
            # The call names no message and is the same every time, so an unknown code is no message's fault either.
            raise QueueAway(f"receiving from SQS: {first_line(error)}") from error

    async def _receive(self, wait_s: int) -> ReceiveResponse:
        with translated_errors("receiving from SQS", QueueAway):
            response: Any = await self._polling.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=SQS_ENTRIES_MAX,
                WaitTimeSeconds=wait_s,
                VisibilityTimeout=self._visibility_timeout_s,
                MessageSystemAttributeNames=["ApproximateReceiveCount", "MessageGroupId", "SentTimestamp"],
                MessageAttributeNames=["All"],
            )
            now = self._clock.now()
            with reading_response():
                messages = [read_delivery(wire, now) for wire in response.get("Messages") or []]
                return ReceiveResponse(messages=messages, date=response_date(response))

    async def delete_batch(self, receipts: Sequence[str]) -> EntryResults:
        """Delete the messages with these receipts. Raises QueueAway."""

        async def delete(chunk: Sequence[str]) -> Mapping[str, Any]:
            return await self._settling.delete_message_batch(
                QueueUrl=self._url,
                Entries=[{"Id": str(index), "ReceiptHandle": receipt} for index, receipt in enumerate(chunk)],
            )

        return await batched("deleting from SQS", receipts, delete)

    async def change_visibility_batch(self, changes: Sequence[VisibilityChange]) -> EntryResults:
        """Change when the messages become visible again. Raises QueueAway."""

        async def change(chunk: Sequence[VisibilityChange]) -> Mapping[str, Any]:
            return await self._settling.change_message_visibility_batch(
                QueueUrl=self._url,
                Entries=[
                    {"Id": str(index), "ReceiptHandle": entry.receipt, "VisibilityTimeout": entry.timeout_s}
                    for index, entry in enumerate(chunk)
                ],
            )

        return await batched("changing visibility in SQS", changes, change)

    async def dead_letter_batch(self, letters: Sequence[DeadLetter]) -> EntryResults:
        """Send to the dead-letter queue. The source messages stay in their queue. Raises QueueAway."""

        async def send(chunk: Sequence[DeadLetter]) -> Mapping[str, Any]:
            entries: Any = [message_entry(index, letter) for index, letter in enumerate(chunk)]
            return await self._client.send_message_batch(QueueUrl=self._dead_letter_url, Entries=entries)

        results: list[RefusedEntry | None] = []
        for chunk in packed_into_calls(letters):
            results.extend(await batched("sending to the dead-letter queue", chunk, send))
        return results


async def read_queue_attributes(client: "SQSClient", url: str) -> QueueAttributes:
    """The attributes of the queue at `url` and of its dead-letter queue.

    Raises QueueAway; Misconfigured if a queue does not exist or cannot be read, or if there is no redrive policy.
    """
    attributes = await queue_attributes(client, url, subject=f"SQS_QUEUE_URL {url}")
    try:
        redrive = orjson.loads(attributes.get("RedrivePolicy", "null"))
    except orjson.JSONDecodeError:
        redrive = None
    if not isinstance(redrive, dict) or "deadLetterTargetArn" not in redrive:
        raise Misconfigured(
            f"SQS_QUEUE_URL: the queue {url} has no redrive policy, so a message that always fails would be received "
            "for ever: run `routing-sync provision`, or set the queue's RedrivePolicy"
        )
    dead_letter_url = await _queue_url(client, str(redrive["deadLetterTargetArn"]))
    dead_letters = await queue_attributes(client, dead_letter_url, subject=f"the dead-letter queue {dead_letter_url}")
    with translated_errors(f"SQS_QUEUE_URL {url}", QueueAway), reading_response():
        return QueueAttributes(
            visibility_timeout_s=int(attributes.get("VisibilityTimeout", 30)),
            receive_count_max=int(redrive.get("maxReceiveCount", 10)),
            fifo=attributes.get("FifoQueue") == "true" or url.endswith(".fifo"),
            dead_letter_url=dead_letter_url,
            dead_letter_bytes_max=int(dead_letters.get("MaximumMessageSize", _MESSAGE_BYTES_MAX_DEFAULT)),
            created_at=_created_at(attributes),
        )


def _created_at(attributes: Mapping[str, str]) -> datetime | None:
    """When the queue was created, from `CreatedTimestamp`: seconds since 1970."""
    try:
        return datetime.fromtimestamp(float(attributes["CreatedTimestamp"]), UTC)
    except (KeyError, ValueError, OverflowError, OSError):
        return None


async def _queue_url(client: "SQSClient", arn: str) -> str:
    subject = f"the dead-letter queue {arn}"
    with translated_errors(subject, QueueAway), reading_response():
        account, name = arn.split(":")[-2:]
    try:
        with translated_errors(subject, QueueAway, at_start=True):
            response: Any = await client.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)
            with reading_response():
                return checked_text(response["QueueUrl"])
    except ClientError as error:
        raise Misconfigured(f"{subject}: {first_line(error)}: check the RedrivePolicy of SQS_QUEUE_URL") from error
