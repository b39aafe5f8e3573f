"""SQS: the adapter of the port `MessageQueue`, and the queue's attributes that the worker reads at start."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, TypeVar

import orjson
from botocore.exceptions import ClientError

from handlers.ports import Clock
from worker.aws.errors import error_code, is_throttling, translated_errors
from worker.aws.responses import reading_answer
from worker.errors import Misconfigured, QueueAway, first_line
from worker.ports import (
    SQS_ENTRIES_MAX,
    DeadLetter,
    EntryResults,
    Message,
    QueueAttributes,
    RefusedEntry,
    VisibilityChange,
    size_bytes,
)

if TYPE_CHECKING:
    from types_aiobotocore_sqs.client import SQSClient

    from worker.aws.sqs_http import SqsHttp

    HotPathClient = SQSClient | SqsHttp
    """The client of the calls that every message needs: receive, delete, change visibility."""

SQS_CALL_BYTES_MAX: Final = 262_144
"""SQS' limit for the messages of one call together. A larger message goes in a call of its own."""
_MISSING: Final = RefusedEntry(code="NOT_TOLD", reason="the answer does not say what became of it", final=False)

T = TypeVar("T")


class SqsQueue:
    """`worker.ports.MessageQueue`: one queue with its dead-letter queue.

    `polling` makes the long polls; its read timeout is longer than a poll. `settling` deletes and changes visibility on
    connections of its own, so that long polls never delay a settlement. `client` sends the dead letters.
    """

    def __init__(
        self,
        *,
        client: "SQSClient",
        polling: "HotPathClient",
        settling: "HotPathClient",
        url: str,
        dead_letter_url: str,
        clock: Clock,
    ) -> None:
        self._client = client
        self._polling = polling
        self._settling = settling
        self._url = url
        self._dead_letter_url = dead_letter_url
        self._clock = clock

    async def receive(self, *, wait_s: int) -> Sequence[Message]:
        """Up to ten messages; waits up to `wait_s` seconds for the first. Raises QueueAway."""
        with translated_errors("receiving from SQS", QueueAway):
            answer: Any = await self._polling.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=SQS_ENTRIES_MAX,
                WaitTimeSeconds=wait_s,
                MessageSystemAttributeNames=["ApproximateReceiveCount", "MessageGroupId"],
                MessageAttributeNames=["All"],
            )
            now = self._clock.now()
            with reading_answer():
                return [_message(wire, now) for wire in answer.get("Messages") or []]

    async def delete_batch(self, receipts: Sequence[str]) -> EntryResults:
        """Delete the messages with these receipts. Raises QueueAway."""

        async def call(some: Sequence[str]) -> Mapping[str, Any]:
            return await self._settling.delete_message_batch(
                QueueUrl=self._url,
                Entries=[{"Id": str(index), "ReceiptHandle": receipt} for index, receipt in enumerate(some)],
            )

        return await _batched("deleting from SQS", receipts, call)

    async def change_visibility_batch(self, changes: Sequence[VisibilityChange]) -> EntryResults:
        """Change when the messages become visible again. Raises QueueAway."""

        async def call(some: Sequence[VisibilityChange]) -> Mapping[str, Any]:
            return await self._settling.change_message_visibility_batch(
                QueueUrl=self._url,
                Entries=[
                    {"Id": str(index), "ReceiptHandle": change.receipt, "VisibilityTimeout": change.timeout_s}
                    for index, change in enumerate(some)
                ],
            )

        return await _batched("changing visibility in SQS", changes, call)

    async def dead_letter_batch(self, letters: Sequence[DeadLetter]) -> EntryResults:
        """Send to the dead-letter queue; the source messages stay. Raises QueueAway."""

        async def call(some: Sequence[DeadLetter]) -> Mapping[str, Any]:
            entries: Any = [_entry(index, letter) for index, letter in enumerate(some)]
            return await self._client.send_message_batch(QueueUrl=self._dead_letter_url, Entries=entries)

        results: list[RefusedEntry | None] = []
        for some in _calls_within_bytes(letters):
            results.extend(await _batched("sending to the dead-letter queue", some, call))
        return results


async def read_queue_attributes(client: "SQSClient", url: str) -> QueueAttributes:
    """Read the queue's attributes and find its dead-letter queue.

    Raises QueueAway; Misconfigured if the queue does not exist or has no redrive policy.
    """
    attributes = await _attributes(client, url, call=f"SQS_QUEUE_URL {url}")
    try:
        redrive = orjson.loads(attributes.get("RedrivePolicy", "null"))
    except orjson.JSONDecodeError:
        redrive = None
    if not isinstance(redrive, dict) or "deadLetterTargetArn" not in redrive:
        raise Misconfigured(
            f"the queue {url} has no redrive policy, so messages that can never succeed would come back for ever: "
            "give it a dead-letter queue (`routing-sync provision` does)"
        )
    dead_letter_url = await _url_of(client, str(redrive["deadLetterTargetArn"]))
    dead_letters = await _attributes(client, dead_letter_url, call=f"the dead-letter queue {dead_letter_url}")
    return QueueAttributes(
        visibility_timeout_s=int(attributes.get("VisibilityTimeout", 30)),
        receive_count_max=int(redrive.get("maxReceiveCount", 10)),
        fifo=attributes.get("FifoQueue") == "true" or url.endswith(".fifo"),
        dead_letter_url=dead_letter_url,
        dead_letter_bytes_max=int(dead_letters.get("MaximumMessageSize", SQS_CALL_BYTES_MAX)),
    )


async def _attributes(client: "SQSClient", url: str, *, call: str) -> Mapping[str, str]:
    try:
        with translated_errors(call, QueueAway, at_start=True):
            answer: Any = await client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
            with reading_answer():
                return {name: _text(value) for name, value in answer.get("Attributes", {}).items()}
    except ClientError as error:
        raise Misconfigured(f"{call}: {first_line(error)}") from error


async def _url_of(client: "SQSClient", arn: str) -> str:
    account, name = arn.split(":")[-2:]
    try:
        with translated_errors(f"the dead-letter queue {name}", QueueAway, at_start=True):
            answer: Any = await client.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account)
            with reading_answer():
                return _text(answer["QueueUrl"])
    except ClientError as error:
        raise Misconfigured(f"the dead-letter queue {name}: {first_line(error)}") from error


async def _batched(
    name: str, entries: Sequence[T], call: Callable[[Sequence[T]], Awaitable[Mapping[str, Any]]]
) -> EntryResults:
    """Send all entries in one call. If AWS refuses the call as a whole, each entry is sent alone.

    An entry that the answer does not mention counts as refused.
    """
    try:
        with translated_errors(name, QueueAway):
            answer = await call(entries)
            with reading_answer():
                results = _results_by_id(answer)
    except ClientError as error:
        if len(entries) == 1:
            return [RefusedEntry(code=error_code(error), reason=first_line(error), final=True)]
        return [(await _batched(name, [entry], call))[0] for entry in entries]
    return [results.get(str(index), _MISSING) for index in range(len(entries))]


def _results_by_id(answer: Mapping[str, Any]) -> dict[Any, RefusedEntry | None]:
    results: dict[Any, RefusedEntry | None] = {taken.get("Id"): None for taken in answer.get("Successful") or ()}
    results.update({failure.get("Id"): _refused(failure) for failure in answer.get("Failed") or ()})
    return results


def _refused(failure: Mapping[str, Any]) -> RefusedEntry:
    code = str(failure.get("Code", "Unknown")).rpartition(".")[2]
    final = bool(failure.get("SenderFault")) and not is_throttling(code)
    return RefusedEntry(code=code, reason=str(failure.get("Message", "")), final=final)


def _message(wire: Mapping[str, Any], now: datetime) -> Message:
    system = wire.get("Attributes") or {}
    group = system.get("MessageGroupId")
    return Message(
        id=_text(wire["MessageId"]),
        receipt=_text(wire["ReceiptHandle"]),
        body=_text(wire["Body"]),
        attributes={name: dict(value) for name, value in (wire.get("MessageAttributes") or {}).items()},
        receive_count=int(system.get("ApproximateReceiveCount", "1")),
        received_at=now,
        group=None if group is None else _text(group),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"a text is {type(value).__name__}")
    return value


def _entry(index: int, letter: DeadLetter) -> dict[str, Any]:
    entry: dict[str, Any] = {"Id": str(index), "MessageBody": letter.body}
    if letter.attributes:
        entry["MessageAttributes"] = letter.attributes
    if letter.group is not None:
        entry["MessageGroupId"] = letter.group
    if letter.deduplication_id is not None:
        entry["MessageDeduplicationId"] = letter.deduplication_id
    return entry


def _calls_within_bytes(letters: Sequence[DeadLetter]) -> list[list[DeadLetter]]:
    calls: list[list[DeadLetter]] = []
    total_bytes = 0
    for letter in letters:
        letter_bytes = size_bytes(letter.body, letter.attributes)
        if not calls or total_bytes + letter_bytes > SQS_CALL_BYTES_MAX:
            calls.append([])
            total_bytes = 0
        calls[-1].append(letter)
        total_bytes += letter_bytes
    return calls
