"""Topic messages: how an outbox entry becomes an SNS message, and how messages are packed into calls.

Limits: https://docs.aws.amazon.com/sns/latest/api/API_PublishBatch.html
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import orjson

from worker.ports.aws_calls import size_bytes
from worker.ports.topics import TopicMessage

SNS_ENTRIES_MAX: Final = 10
"""Messages that SNS takes in one call."""
SNS_BYTES_MAX: Final = 1_048_576
"""Bytes of the largest message that a topic can be told to take. The topic's own limit, `MaximumMessageSize`, is
262,144 by default; SNS refuses what is above it."""
PACKED_BYTES_MAX: Final = 262_144
"""At most so many bytes are packed into one call, whatever the topic's limit. A larger message goes in a call of its
own."""


def topic_message(*, id: str, group: str, text: str) -> TopicMessage:  # noqa: A002 - the message's id, as its field
    """The message for the JSON text of an event, with the event's name and its Datadog trace as attributes.

    The trace is a binary attribute, as Datadog's tracers send it. SNS reads a text that is JSON as a list of strings,
    and drops a message with any other JSON for every subscription that filters by attributes.
    Raises ValueError if the text is not a JSON object, or if it holds a lone surrogate, which UTF-8 cannot encode.
    """
    published = orjson.loads(text)
    if not isinstance(published, dict):
        raise ValueError(f"no object, but {type(published).__name__}")
    attributes: dict[str, Mapping[str, str | bytes]] = {}
    if isinstance(published.get("name"), str) and published["name"]:
        attributes["name"] = {"DataType": "String", "StringValue": published["name"]}
    dd = published.get("dd")
    if isinstance(dd, dict) and isinstance(dd.get("trace_id"), str):
        carrier = {"x-datadog-trace-id": dd["trace_id"], "x-datadog-parent-id": str(dd.get("span_id") or "0")}
        attributes["_datadog"] = {"DataType": "Binary", "BinaryValue": orjson.dumps(carrier)}
    return TopicMessage(id=id, group=group, text=text, attributes=attributes, size_bytes=size_bytes(text, attributes))


def pack_into_calls(messages: Iterable[TopicMessage]) -> Iterator[list[TopicMessage]]:
    """The messages in order, as batches that SNS takes in one call."""
    call: list[TopicMessage] = []
    total_bytes = 0
    for message in messages:
        full = len(call) == SNS_ENTRIES_MAX or total_bytes + message.size_bytes > PACKED_BYTES_MAX
        if call and full:
            yield call
            call, total_bytes = [], 0
        call.append(message)
        total_bytes += message.size_bytes
    if call:
        yield call
