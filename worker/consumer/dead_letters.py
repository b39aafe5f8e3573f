"""Dead letters: a poisoned message with its body unchanged and the reason in attributes (docs/events.md, *Dead
letters*).

The reason is shortened to fit beside the body. If the body leaves no room for it, the letter has no attributes, and
only the log holds the reason. The message's own attributes are copied as far as they fit, so that a redrive restores
the message with them.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from commands.instant import format_instant
from handlers.outcome import Poison
from worker.ports.aws_calls import size_bytes
from worker.ports.message_queue import DeadLetter, Message, QueueAttributes

REASON_BYTES_MAX: Final = 1_024
ATTRIBUTES_MAX: Final = 10
"""SQS accepts at most so many attributes per message."""
_TRACE: Final = "_datadog"

_REFUSED_BY_SQS: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters outside the set that SQS accepts:
https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SendMessage.html"""


class ExplainedLetter(Struct, frozen=True, kw_only=True):
    """A dead letter, and whether its attributes hold the reason."""

    letter: DeadLetter
    explained: bool


def dead_letter(message: Message, poison: Poison, queue_attributes: QueueAttributes) -> ExplainedLetter:
    """The dead letter of `message`, within the size limit of the dead-letter queue."""
    room_bytes = queue_attributes.dead_letter_bytes_max - size_bytes(message.body, {})
    explanation = _explanation(message, poison, room_bytes)
    attributes = dict(explanation)
    # The trace first: by it a letter's event is found beside the others of its trace.
    for name, value in sorted(message.attributes.items(), key=lambda each: each[0] != _TRACE):
        extended = {**attributes, name: _own(value)}
        if name not in explanation and len(extended) <= ATTRIBUTES_MAX and size_bytes("", extended) <= room_bytes:
            attributes = extended
    letter = DeadLetter(
        body=message.body,
        attributes=attributes,
        group=(message.group or message.id) if queue_attributes.fifo else None,
        deduplication_id=message.id if queue_attributes.fifo else None,
    )
    return ExplainedLetter(letter=letter, explained=bool(explanation))


def _explanation(message: Message, poison: Poison, room_bytes: int) -> Mapping[str, Mapping[str, Any]]:
    without_reason = {
        "error_code": _text(poison.code.value),
        "source_message_id": _text(message.id),
        "received_at": _text(format_instant(message.received_at)),
    }
    left_bytes = room_bytes - size_bytes("", {**without_reason, "error_reason": _text("")})
    reason = shortened(poison.reason or poison.code.value, min(left_bytes, REASON_BYTES_MAX))
    return {**without_reason, "error_reason": _text(reason)} if reason else {}


def shortened(text: str, bytes_max: int) -> str:
    """`text` cut to `bytes_max` bytes of UTF-8, with `…` at the end where it was cut, and `\\ufffd` for each character
    that SQS refuses. Empty if not even the `…` fits."""
    clean = _REFUSED_BY_SQS.sub("\ufffd", text)
    if len(clean.encode()) <= bytes_max:
        return clean
    return clean.encode()[: bytes_max - 3].decode(errors="ignore") + "…" if bytes_max > 3 else ""


def _own(value: Mapping[str, Any]) -> Mapping[str, Any]:
    return {key: value[key] for key in ("DataType", "StringValue", "BinaryValue") if value.get(key) is not None}


def _text(value: str) -> Mapping[str, Any]:
    return {"DataType": "String", "StringValue": value}
