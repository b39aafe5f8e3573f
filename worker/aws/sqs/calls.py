"""What the adapters of SQS share: calls with ten entries, deliveries as messages, messages as entries, and the
attributes of a queue."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, TypeVar

from botocore.exceptions import ClientError

from worker.aws.errors import error_code, may_pass, translated_errors, without_namespace
from worker.aws.responses import reading_response
from worker.errors import Misconfigured, QueueAway, first_line
from worker.ports.aws_calls import EntryResults, RefusedEntry, size_bytes
from worker.ports.letters import ReturnedMessage
from worker.ports.message_queue import SENT_LONG_AGO, DeadLetter, Message

if TYPE_CHECKING:
    from types_aiobotocore_sqs.client import SQSClient

PACKED_BYTES_MAX: Final = 262_144
"""At most 256 KiB are packed into one call (SQS's limit before 2025; other implementations still have it). A larger
single message goes in a call of its own."""
_NO_RESULT: Final = RefusedEntry(code="NOT_TOLD", reason="the SQS response has no result for this entry", final=False)

T = TypeVar("T")
L = TypeVar("L", DeadLetter, ReturnedMessage)


async def queue_attributes(client: "SQSClient", url: str, *, subject: str) -> Mapping[str, str]:
    """All attributes of the queue at `url`. `subject` begins the message of an error.

    Raises QueueAway; Misconfigured if the queue does not exist or cannot be read.
    """
    return (await dated_queue_attributes(client, url, subject=subject))[0]


async def dated_queue_attributes(
    client: "SQSClient", url: str, *, subject: str
) -> tuple[Mapping[str, str], datetime | None]:
    """The same, and the time of the response by SQS's clock, as `response_date` reads it."""
    try:
        with translated_errors(subject, QueueAway, at_start=True):
            response: Any = await client.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
            with reading_response():
                attributes = {name: checked_text(value) for name, value in response.get("Attributes", {}).items()}
                return attributes, response_date(response)
    except ClientError as error:
        raise Misconfigured(f"{subject}: {first_line(error)}: check the queue's URL") from error


async def batched(
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
        return [(await batched(operation, [entry], send))[0] for entry in entries]
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


def read_delivery(wire: Mapping[str, Any], now: datetime) -> Message:
    """A received message. Reads a response: errors are those of `reading_response`."""
    system = wire.get("Attributes") or {}
    group = system.get("MessageGroupId")
    sent_ms = system.get("SentTimestamp")
    return Message(
        id=checked_text(wire["MessageId"]),
        receipt=checked_text(wire["ReceiptHandle"]),
        body=checked_text(wire["Body"]),
        attributes={name: dict(value) for name, value in (wire.get("MessageAttributes") or {}).items()},
        receive_count=int(system.get("ApproximateReceiveCount", "1")),
        sent_at=SENT_LONG_AGO if sent_ms is None else SENT_LONG_AGO + timedelta(milliseconds=int(sent_ms)),
        received_at=now,
        group=None if group is None else checked_text(group),
    )


def response_date(response: Mapping[str, Any]) -> datetime | None:
    """SQS's clock, cut to the second, from the response's `Date` header; None if it has none."""
    headers = (response.get("ResponseMetadata") or {}).get("HTTPHeaders") or {}
    return _date(headers.get("date"))


@lru_cache(maxsize=4)
def _date(text: str | None) -> datetime | None:
    """The time of a `Date` header; None if there is none, or one that is not a date. Under load many responses have
    the same header, and reading it takes as long as reading a message."""
    try:
        return parsedate_to_datetime(text).astimezone(UTC) if text else None
    except ValueError:
        return None


def checked_text(value: Any) -> str:
    """The value, which has to be a text. Raises TypeError."""
    if not isinstance(value, str):
        raise TypeError(f"expected text, got {type(value).__name__}")
    return value


def message_entry(index: int, letter: DeadLetter | ReturnedMessage) -> dict[str, Any]:
    """The message as an entry of SendMessageBatch; its index is its id."""
    entry: dict[str, Any] = {"Id": str(index), "MessageBody": letter.body}
    if letter.attributes:
        entry["MessageAttributes"] = letter.attributes
    if letter.group is not None:
        entry["MessageGroupId"] = letter.group
    if letter.deduplication_id is not None:
        entry["MessageDeduplicationId"] = letter.deduplication_id
    return entry


def packed_into_calls(letters: Sequence[L]) -> list[list[L]]:
    """The messages in their order, a list for each call."""
    calls: list[list[L]] = []
    total_bytes = 0
    for letter in letters:
        letter_bytes = size_bytes(letter.body, letter.attributes)
        if not calls or total_bytes + letter_bytes > PACKED_BYTES_MAX:
            calls.append([])
            total_bytes = 0
        calls[-1].append(letter)
        total_bytes += letter_bytes
    return calls
