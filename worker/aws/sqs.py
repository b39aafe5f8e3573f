"""SQS: the adapter of the port `Queue`, and the facts about a queue that the worker must know before it starts."""

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
    QueueFacts,
    RefusedEntry,
    VisibilityChange,
    size_bytes,
)

if TYPE_CHECKING:
    from types_aiobotocore_sqs.client import SQSClient

    from worker.aws.sqs_http import SqsHttp

    HotPathClient = SQSClient | SqsHttp
    """Who makes the calls that are made all the time."""

SQS_CALL_BYTES_MAX: Final = 262_144
"""What one call may carry in total; a larger single message goes alone."""
_UNTOLD: Final = RefusedEntry(code="NOT_TOLD", reason="the answer does not say what became of it", final=False)

T = TypeVar("T")


class SqsQueue:
    """One queue with its dead-letter queue.

    `polling` has a read timeout above the long poll's; `settling` a short one and its own connections, so that long
    polls never keep settlements waiting. `client` sends what is rare.
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
        """Up to ten messages; waits up to `wait_s` for the first."""
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
        """Settle for good."""

        async def call(some: Sequence[str]) -> Mapping[str, Any]:
            return await self._settling.delete_message_batch(
                QueueUrl=self._url,
                Entries=[{"Id": str(index), "ReceiptHandle": receipt} for index, receipt in enumerate(some)],
            )

        return await _batched("deleting from SQS", receipts, call)

    async def change_visibility_batch(self, changes: Sequence[VisibilityChange]) -> EntryResults:
        """Change when messages are seen again."""

        async def call(some: Sequence[VisibilityChange]) -> Mapping[str, Any]:
            return await self._settling.change_message_visibility_batch(
                QueueUrl=self._url,
                Entries=[
                    {"Id": str(index), "ReceiptHandle": hide.receipt, "VisibilityTimeout": hide.timeout_s}
                    for index, hide in enumerate(some)
                ],
            )

        return await _batched("changing visibility in SQS", changes, call)

    async def dead_letter_batch(self, letters: Sequence[DeadLetter]) -> EntryResults:
        """Send to the dead-letter queue; the source message stays."""

        async def call(some: Sequence[DeadLetter]) -> Mapping[str, Any]:
            entries: Any = [_entry(index, letter) for index, letter in enumerate(some)]
            return await self._client.send_message_batch(QueueUrl=self._dead_letter_url, Entries=entries)

        answers: list[RefusedEntry | None] = []
        for some in _within_bytes(letters):
            answers.extend(await _batched("sending to the dead-letter queue", some, call))
        return answers


async def read_facts(client: "SQSClient", url: str) -> QueueFacts:
    """What the queue is. Raises QueueAway, and Misconfigured where the worker must not start on it."""
    attributes = await _attributes(client, url, what=f"SQS_QUEUE_URL {url}")
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
    dead_letters = await _attributes(client, dead_letter_url, what=f"the dead-letter queue {dead_letter_url}")
    return QueueFacts(
        visibility_timeout_s=int(attributes.get("VisibilityTimeout", 30)),
        receive_count_max=int(redrive.get("maxReceiveCount", 10)),
        fifo=attributes.get("FifoQueue") == "true" or url.endswith(".fifo"),
        dead_letter_url=dead_letter_url,
        dead_letter_bytes_max=int(dead_letters.get("MaximumMessageSize", SQS_CALL_BYTES_MAX)),
    )


async def _attributes(client: "SQSClient", url: str, *, what: str) -> Mapping[str, str]:
    try:
        with translated_errors(what, QueueAway, at_start=True):
            answer: Any = await client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
            with reading_answer():
                return {name: _text(value) for name, value in answer.get("Attributes", {}).items()}
    except ClientError as error:
        raise Misconfigured(f"{what}: {first_line(error)}") from error


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
    what: str, entries: Sequence[T], call: Callable[[Sequence[T]], Awaitable[Mapping[str, Any]]]
) -> EntryResults:
    """One call; where AWS refuses the call as a whole, each entry alone, so that one cannot harm the others."""
    try:
        with translated_errors(what, QueueAway):
            answer = await call(entries)
            with reading_answer():
                told = _told(answer)
    except ClientError as error:
        if len(entries) == 1:
            return [RefusedEntry(code=error_code(error), reason=first_line(error), final=True)]
        return [(await _batched(what, [entry], call))[0] for entry in entries]
    return [told.get(str(index), _UNTOLD) for index in range(len(entries))]


def _told(answer: Mapping[str, Any]) -> dict[Any, RefusedEntry | None]:
    """What became of each entry, by its id."""
    told: dict[Any, RefusedEntry | None] = {one.get("Id"): None for one in answer.get("Successful") or ()}
    told.update({one.get("Id"): _refused(one) for one in answer.get("Failed") or ()})
    return told


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


def _text(found: Any) -> str:
    if not isinstance(found, str):
        raise TypeError(f"a text is {type(found).__name__}")
    return found


def _entry(index: int, letter: DeadLetter) -> dict[str, Any]:
    entry: dict[str, Any] = {"Id": str(index), "MessageBody": letter.body}
    if letter.attributes:
        entry["MessageAttributes"] = letter.attributes
    if letter.group is not None:
        entry["MessageGroupId"] = letter.group
    if letter.deduplication is not None:
        entry["MessageDeduplicationId"] = letter.deduplication
    return entry


def _within_bytes(letters: Sequence[DeadLetter]) -> list[list[DeadLetter]]:
    calls: list[list[DeadLetter]] = []
    total = 0
    for letter in letters:
        size = size_bytes(letter.body, letter.attributes)
        if not calls or total + size > SQS_CALL_BYTES_MAX:
            calls.append([])
            total = 0
        calls[-1].append(letter)
        total += size
    return calls
