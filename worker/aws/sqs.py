"""SQS: the adapter of the port `MessageQueue`, and the queue's attributes that the worker reads at start."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

import orjson
from botocore.exceptions import ClientError

from handlers.ports import Clock
from worker.aws.errors import error_code, may_pass, translated_errors, without_namespace
from worker.aws.responses import reading_response
from worker.errors import Misconfigured, QueueAway, first_line
from worker.ports import (
    SENT_LONG_AGO,
    SQS_ENTRIES_MAX,
    DeadLetter,
    EntryResults,
    Message,
    QueueAttributes,
    ReceiveResponse,
    RefusedEntry,
    VisibilityChange,
    size_bytes,
)

if TYPE_CHECKING:
    from types_aiobotocore_sqs.client import SQSClient

    from worker.aws.sqs_http import SqsHttp

    HotPathClient = SQSClient | SqsHttp
    """The client of the calls that every message needs: receive, delete, change visibility."""

PACKED_BYTES_MAX: Final = 262_144
"""At most 256 KiB are packed into one call (SQS's limit before 2025; other implementations still have it). A larger
single message goes in a call of its own."""
_MESSAGE_BYTES_MAX_DEFAULT: Final = 262_144
"""`MaximumMessageSize` of a dead-letter queue whose attributes do not name it."""
_NO_RESULT: Final = RefusedEntry(code="NOT_TOLD", reason="the SQS response has no result for this entry", final=False)

T = TypeVar("T")


class SqsQueue:
    """`worker.ports.MessageQueue`: one queue with its dead-letter queue.

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
                messages = [_message(wire, now) for wire in response.get("Messages") or []]
                headers = (response.get("ResponseMetadata") or {}).get("HTTPHeaders") or {}
                return ReceiveResponse(messages=messages, date=_date(headers.get("date")))

    async def delete_batch(self, receipts: Sequence[str]) -> EntryResults:
        """Delete the messages with these receipts. Raises QueueAway."""

        async def delete(chunk: Sequence[str]) -> Mapping[str, Any]:
            return await self._settling.delete_message_batch(
                QueueUrl=self._url,
                Entries=[{"Id": str(index), "ReceiptHandle": receipt} for index, receipt in enumerate(chunk)],
            )

        return await _batched("deleting from SQS", receipts, delete)

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

        return await _batched("changing visibility in SQS", changes, change)

    async def dead_letter_batch(self, letters: Sequence[DeadLetter]) -> EntryResults:
        """Send to the dead-letter queue. The source messages stay in their queue. Raises QueueAway."""

        async def send(chunk: Sequence[DeadLetter]) -> Mapping[str, Any]:
            entries: Any = [_dead_letter_entry(index, letter) for index, letter in enumerate(chunk)]
            return await self._client.send_message_batch(QueueUrl=self._dead_letter_url, Entries=entries)

        results: list[RefusedEntry | None] = []
        for chunk in _packed_into_calls(letters):
            results.extend(await _batched("sending to the dead-letter queue", chunk, send))
        return results


async def read_queue_attributes(client: "SQSClient", url: str) -> QueueAttributes:
    """The attributes of the queue at `url` and of its dead-letter queue.

    Raises QueueAway; Misconfigured if a queue does not exist or cannot be read, or if there is no redrive policy.
    """
    attributes = await _attributes(client, url, subject=f"SQS_QUEUE_URL {url}")
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
    dead_letters = await _attributes(client, dead_letter_url, subject=f"the dead-letter queue {dead_letter_url}")
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


async def _attributes(client: "SQSClient", url: str, *, subject: str) -> Mapping[str, str]:
    try:
        with translated_errors(subject, QueueAway, at_start=True):
            response: Any = await client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
            with reading_response():
                return {name: _text(value) for name, value in response.get("Attributes", {}).items()}
    except ClientError as error:
        raise Misconfigured(f"{subject}: {first_line(error)}: check the queue's URL") from error


async def _queue_url(client: "SQSClient", arn: str) -> str:
    subject = f"the dead-letter queue {arn}"
    with translated_errors(subject, QueueAway), reading_response():
        account, name = arn.split(":")[-2:]
    try:
        with translated_errors(subject, QueueAway, at_start=True):
            response: Any = await client.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)
            with reading_response():
                return _text(response["QueueUrl"])
    except ClientError as error:
        raise Misconfigured(f"{subject}: {first_line(error)}: check the RedrivePolicy of SQS_QUEUE_URL") from error


async def _batched(
    operation: str, entries: Sequence[T], send: Callable[[Sequence[T]], Awaitable[Mapping[str, Any]]]
) -> EntryResults:
    """Send all entries in one call; returns one result per entry. Raises QueueAway, whose message names `operation`.

    If SQS refuses the call as a whole, each entry is sent in a call of its own. An entry without a result in the
    response counts as refused.
    """
    try:
        with translated_errors(operation, QueueAway):
            response = await send(entries)
            with reading_response():
                results = _results_by_id(response)
    except ClientError as error:
        if len(entries) == 1:
            return [RefusedEntry(code=error_code(error), reason=first_line(error), final=True)]
        return [(await _batched(operation, [entry], send))[0] for entry in entries]
    return [results.get(str(index), _NO_RESULT) for index in range(len(entries))]


def _results_by_id(response: Mapping[str, Any]) -> dict[Any, RefusedEntry | None]:
    results: dict[Any, RefusedEntry | None] = {
        accepted.get("Id"): None for accepted in response.get("Successful") or ()
    }
    results.update({failure.get("Id"): _refused_entry(failure) for failure in response.get("Failed") or ()})
    return results


def _refused_entry(failure: Mapping[str, Any]) -> RefusedEntry:
    code = without_namespace(failure.get("Code", "Unknown"))
    final = bool(failure.get("SenderFault")) and not may_pass(code)
    return RefusedEntry(code=code, reason=str(failure.get("Message", "")), final=final)


def _message(wire: Mapping[str, Any], now: datetime) -> Message:
    system = wire.get("Attributes") or {}
    group = system.get("MessageGroupId")
    sent_ms = system.get("SentTimestamp")
    return Message(
        id=_text(wire["MessageId"]),
        receipt=_text(wire["ReceiptHandle"]),
        body=_text(wire["Body"]),
        attributes={name: dict(value) for name, value in (wire.get("MessageAttributes") or {}).items()},
        receive_count=int(system.get("ApproximateReceiveCount", "1")),
        sent_at=SENT_LONG_AGO if sent_ms is None else SENT_LONG_AGO + timedelta(milliseconds=int(sent_ms)),
        received_at=now,
        group=None if group is None else _text(group),
    )


@lru_cache(maxsize=4)
def _date(text: str | None) -> datetime | None:
    """The time of a `Date` header; None if there is none, or one that is not a date. Under load many responses have
    the same header, and reading it takes as long as reading a message."""
    try:
        return parsedate_to_datetime(text).astimezone(UTC) if text else None
    except ValueError:
        return None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {type(value).__name__}")
    return value


def _dead_letter_entry(index: int, letter: DeadLetter) -> dict[str, Any]:
    entry: dict[str, Any] = {"Id": str(index), "MessageBody": letter.body}
    if letter.attributes:
        entry["MessageAttributes"] = letter.attributes
    if letter.group is not None:
        entry["MessageGroupId"] = letter.group
    if letter.deduplication_id is not None:
        entry["MessageDeduplicationId"] = letter.deduplication_id
    return entry


def _packed_into_calls(letters: Sequence[DeadLetter]) -> list[list[DeadLetter]]:
    calls: list[list[DeadLetter]] = []
    total_bytes = 0
    for letter in letters:
        letter_bytes = size_bytes(letter.body, letter.attributes)
        if not calls or total_bytes + letter_bytes > PACKED_BYTES_MAX:
            calls.append([])
            total_bytes = 0
        calls[-1].append(letter)
        total_bytes += letter_bytes
    return calls
