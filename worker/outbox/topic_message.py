"""The topics as the worker sees them: a port, and how messages are packed into calls. Adapter: `worker/sns.py`."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

import orjson

from worker.ports import TopicMessage, size_bytes

SNS_ENTRIES_MAX: Final = 10
"""Messages that SNS takes in one call."""
SNS_BYTES_MAX: Final = 262_144
"""Bytes that SNS takes in one message, and in all messages of one call."""


def topic_message(*, id: str, group: str, text: str) -> TopicMessage:  # noqa: A002 - the message's id, as its field
    """The message for a published message's JSON, with the attributes that others filter and trace by.

    Raises ValueError where the text is no JSON object, or holds a lone surrogate, which no UTF-8 can spell.
    """
    published = orjson.loads(text)
    if not isinstance(published, dict):
        raise ValueError(f"no object, but {type(published).__name__}")
    attributes: dict[str, Mapping[str, str]] = {}
    if isinstance(published.get("name"), str) and published["name"]:
        attributes["name"] = {"DataType": "String", "StringValue": published["name"]}
    dd = published.get("dd")
    if isinstance(dd, dict) and isinstance(dd.get("trace_id"), str):
        carrier = {"x-datadog-trace-id": dd["trace_id"], "x-datadog-parent-id": str(dd.get("span_id") or "0")}
        attributes["_datadog"] = {"DataType": "String", "StringValue": orjson.dumps(carrier).decode()}
    return TopicMessage(id=id, group=group, text=text, attributes=attributes, size_bytes=size_bytes(text, attributes))


def packed(messages: Iterable[TopicMessage]) -> Iterator[list[TopicMessage]]:
    """Calls that SNS takes, in order; each message must be within `SNS_BYTES_MAX` by itself."""
    call: list[TopicMessage] = []
    total_bytes = 0
    for message in messages:
        if call and (len(call) == SNS_ENTRIES_MAX or total_bytes + message.size_bytes > SNS_BYTES_MAX):
            yield call
            call, total_bytes = [], 0
        call.append(message)
        total_bytes += message.size_bytes
    if call:
        yield call
