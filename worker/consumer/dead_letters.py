"""A poisoned message as a dead letter: its body unchanged, why it is dead beside it (domain.md, *Dead letters*).

The reason is shortened to fit beside the body; where the body leaves no room at all, the letter goes without
attributes and only the log knows why. The message's own attributes go along while there is room, so that a redriven
message is what it was.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from commands.instant import format_instant
from handlers.outcome import Poison
from worker.ports import DeadLetter, Message, QueueFacts, size_bytes

REASON_BYTES_MAX: Final = 1_024
ATTRIBUTES_MAX: Final = 10
"""Attributes that SQS takes beside one body."""

_REFUSED_BY_SQS: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class WrittenLetter(Struct, frozen=True, kw_only=True):
    """The letter, and whether it says why it is dead."""

    letter: DeadLetter
    explained: bool


def write_letter(message: Message, poison: Poison, facts: QueueFacts) -> WrittenLetter:
    """The dead letter of `message`, within the dead-letter queue's size limit."""
    room_bytes = facts.dead_letter_bytes_max - size_bytes(message.body, {})
    why = _why(message, poison, room_bytes)
    attributes = dict(why)
    for name, value in message.attributes.items():
        wider = {**attributes, name: _own(value)}
        if name not in why and len(wider) <= ATTRIBUTES_MAX and size_bytes("", wider) <= room_bytes:
            attributes = wider
    letter = DeadLetter(
        body=message.body,
        attributes=attributes,
        group=(message.group or message.id) if facts.fifo else None,
        deduplication=message.id if facts.fifo else None,
    )
    return WrittenLetter(letter=letter, explained=bool(why))


def _why(message: Message, poison: Poison, room_bytes: int) -> Mapping[str, Mapping[str, Any]]:
    without_reason = {
        "error_code": _text(poison.code.value),
        "source_message_id": _text(message.id),
        "received_at": _text(format_instant(message.received_at)),
    }
    left_bytes = room_bytes - size_bytes("", {**without_reason, "error_reason": _text("")})
    reason = shortened(poison.reason or poison.code.value, min(left_bytes, REASON_BYTES_MAX))
    return {**without_reason, "error_reason": _text(reason)} if reason else {}


def shortened(text: str, bytes_max: int) -> str:
    """`text` with only the characters that SQS takes, cut to `bytes_max` bytes of UTF-8, `…` at the end where cut."""
    clean = _REFUSED_BY_SQS.sub("\ufffd", text)
    if len(clean.encode()) <= bytes_max:
        return clean
    return clean.encode()[: bytes_max - 3].decode(errors="ignore") + "…" if bytes_max > 3 else ""


def _own(value: Mapping[str, Any]) -> Mapping[str, Any]:
    return {key: value[key] for key in ("DataType", "StringValue", "BinaryValue") if value.get(key) is not None}


def _text(value: str) -> Mapping[str, Any]:
    return {"DataType": "String", "StringValue": value}
