"""The adapter of the port `LetterQueue`: a dead-letter queue, looked at and emptied by an operator.

Source: "Using dead-letter queues in Amazon SQS" and "Amazon SQS visibility timeout", Amazon SQS Developer Guide.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

import orjson
from botocore.exceptions import ClientError

from handlers.ports import Clock
from worker.aws.errors import translated_errors
from worker.aws.responses import reading_response
from worker.aws.sqs.calls import (
    batched,
    checked_text,
    dated_queue_attributes,
    message_entry,
    packed_into_calls,
    queue_attributes,
    read_delivery,
)
from worker.errors import Misconfigured, QueueAway, first_line
from worker.ports.aws_calls import EntryResults, RefusedEntry, is_fifo
from worker.ports.letters import LetterDelivery, LetterQueueState, ReturnedMessage

if TYPE_CHECKING:
    from types_aiobotocore_sqs.client import SQSClient

QUEUE_AWAY: Final = "QUEUE_AWAY"
"""The code of entries whose call failed as a whole."""
_RETENTION_S_DEFAULT: Final = 345_600
"""`MessageRetentionPeriod` of a queue whose attributes do not name it: four days."""
_HIDDEN: Final = ("ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed")


class SqsLetterQueue:
    """`worker.ports.letters.LetterQueue`: the dead-letter queue at `dead_letter_url`, the queue of events at `url`."""

    def __init__(self, *, client: "SQSClient", url: str, dead_letter_url: str, clock: Clock) -> None:
        self._client = client
        self._url = url
        self._dead_letter_url = dead_letter_url
        self._clock = clock

    async def describe(self) -> LetterQueueState:
        """The dead-letter queue as it is now. Raises QueueAway, Misconfigured."""
        subject = f"the dead-letter queue {self._dead_letter_url}"
        attributes, date = await dated_queue_attributes(self._client, self._dead_letter_url, subject=subject)
        with translated_errors(subject, QueueAway), reading_response():
            return LetterQueueState(
                name=self._dead_letter_url.rstrip("/").rpartition("/")[2],
                fifo=is_fifo(self._dead_letter_url),
                visible=int(attributes.get("ApproximateNumberOfMessages", 0)),
                hidden=sum(int(attributes.get(name, 0)) for name in _HIDDEN),
                retention_s=int(attributes.get("MessageRetentionPeriod", _RETENTION_S_DEFAULT)),
                receive_count_max=_receive_count_max(attributes),
                read_at=date,
            )

    async def receive(self, *, count_max: int, hidden_s: int, wait_s: int) -> Sequence[LetterDelivery]:
        """Receive up to `count_max` letters. Raises QueueAway."""
        operation = "receiving from the dead-letter queue"
        try:
            with translated_errors(operation, QueueAway):
                response: Any = await self._client.receive_message(
                    QueueUrl=self._dead_letter_url,
                    MaxNumberOfMessages=count_max,
                    WaitTimeSeconds=wait_s,
                    VisibilityTimeout=hidden_s,
                    MessageSystemAttributeNames=["All"],
                    MessageAttributeNames=["All"],
                )
                now = self._clock.now()
                with reading_response():
                    return [
                        LetterDelivery(message=read_delivery(wire, now), moved_from=_moved_from(wire))
                        for wire in response.get("Messages") or []
                    ]
        except ClientError as error:
            # The call names no letter, so an unknown code is no letter's fault.
            raise QueueAway(f"{operation}: {first_line(error)}") from error

    async def give_back(self, receipts: Sequence[str]) -> EntryResults:
        """Make the letters visible again at once. Raises QueueAway."""

        async def change(chunk: Sequence[str]) -> Mapping[str, Any]:
            entries: Any = [
                {"Id": str(index), "ReceiptHandle": receipt, "VisibilityTimeout": 0}
                for index, receipt in enumerate(chunk)
            ]
            return await self._client.change_message_visibility_batch(QueueUrl=self._dead_letter_url, Entries=entries)

        return await batched("giving dead letters back", receipts, change)

    async def delete_batch(self, receipts: Sequence[str]) -> EntryResults:
        """Delete the letters with these receipts. Raises QueueAway."""

        async def delete(chunk: Sequence[str]) -> Mapping[str, Any]:
            entries: Any = [{"Id": str(index), "ReceiptHandle": receipt} for index, receipt in enumerate(chunk)]
            return await self._client.delete_message_batch(QueueUrl=self._dead_letter_url, Entries=entries)

        return await batched("deleting from the dead-letter queue", receipts, delete)

    async def put_back_batch(self, messages: Sequence[ReturnedMessage]) -> EntryResults:
        """Send to the queue of events."""

        async def send(chunk: Sequence[ReturnedMessage]) -> Mapping[str, Any]:
            entries: Any = [message_entry(index, message) for index, message in enumerate(chunk)]
            return await self._client.send_message_batch(QueueUrl=self._url, Entries=entries)

        results: list[RefusedEntry | None] = []
        for chunk in packed_into_calls(messages):
            try:
                results.extend(await batched("sending to the queue", chunk, send))
            except QueueAway as away:
                refused = RefusedEntry(code=QUEUE_AWAY, reason=str(away), final=False)
                return [*results, *[refused] * (len(messages) - len(results))]
        return results


async def refuse_other_queues_letters(client: "SQSClient", url: str, dead_letter_url: str) -> None:
    """Raises Misconfigured where the redrive policy of the queue at `url` names another dead-letter queue: the letters
    would be those of another queue, or of another environment. Raises QueueAway."""
    subject = f"SQS_QUEUE_URL {url}"
    attributes = await queue_attributes(client, url, subject=subject)
    named = _redrive_policy(attributes).get("deadLetterTargetArn")
    account_and_name = dead_letter_url.rstrip("/").split("/")[-2:]
    if isinstance(named, str) and named.split(":")[-2:] != account_and_name:
        raise Misconfigured(
            f"SQS_DEAD_LETTER_QUEUE_URL {dead_letter_url}: the redrive policy of {url} names {named}: unset it, or add "
            "--other-queue if its letters belong into this queue"
        )


def _moved_from(wire: Mapping[str, Any]) -> str | None:
    arn = (wire.get("Attributes") or {}).get("DeadLetterQueueSourceArn")
    return None if arn is None else checked_text(arn)


def _receive_count_max(attributes: Mapping[str, str]) -> int | None:
    policy = _redrive_policy(attributes)
    return int(policy["maxReceiveCount"]) if "maxReceiveCount" in policy else None


def _redrive_policy(attributes: Mapping[str, str]) -> Mapping[str, Any]:
    """Empty where there is none."""
    try:
        policy = orjson.loads(attributes.get("RedrivePolicy", "null"))
    except orjson.JSONDecodeError:
        return {}
    return policy if isinstance(policy, dict) else {}
