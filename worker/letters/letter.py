"""A dead letter as an operator sees it: why it died, what it is about, and whether the worker could read it now.

| `code` | comes from |
|---|---|
| a `RejectionCode` | the attribute `error_code` of a letter that the worker sent (docs/events.md, *Dead letters*) |
| a `RejectionCode` | the reader, where the letter has no such attribute |
| `NO_CODE` | neither: SQS moved the message after `maxReceiveCount` deliveries, and the reader takes it |
| `READ_FAULT` | the reader raised an error on it: a defect in the code |

No field but `body` holds a customer's words. The attributes of a message can be set by whoever may send, so a text from
them loses its control characters.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct

from handlers.events.envelope import Limits, UnwrappedEvent, unwrap_text
from handlers.events.event import Event, Malformed, UnsupportedEvent
from handlers.events.parser import read_event
from worker.ports.letters import LetterDelivery
from worker.ports.message_queue import NO_CODE, Message
from worker.printable_text import printable
from worker.runtime.unexpected import UnexpectedError, catch_unexpected

EXPLAINING_ATTRIBUTES: Final = frozenset({"error_code", "error_reason", "source_message_id", "received_at"})
"""The attributes that the worker adds to a dead letter."""
READ_FAULT: Final = "READ_FAULT"
MOVED_BY_SQS: Final = "SQS moved it after maxReceiveCount deliveries"
WITHOUT_A_CODE: Final = "SQS moved it, or its body left no room for a code"
_NAME: Final = re.compile(r"[\w.:/@-]{1,100}")
"""The form of an event's name. A name of another form may be a customer's words, and is not shown."""
_TEXT_MAX: Final = 1_024


class CodeSource(StrEnum):
    """Who says the letter's code."""

    ATTRIBUTES = "attributes"
    READER = "reader"
    NOBODY = "nobody"


class ReadFault(Struct, frozen=True, kw_only=True):
    """Why the reader does not take a letter now."""

    code: str
    reason: str


class Letter(Struct, frozen=True, kw_only=True):
    """One dead letter.

    `source_id`: the id that the message had in the queue of events, where its attributes have it. `fault`: why the
    reader does not take it now; None: it does. `name`, `event_id`, `conversation_id`, `document_id`, `rev`: what it is
    about, as far as it can be read. `sent_at`: when it entered the dead-letter queue; a letter that SQS moved keeps the
    time at which it entered the queue of events, unless the queue is FIFO.
    """

    id: str
    receipt: str
    source_id: str | None
    code: str
    code_source: CodeSource
    reason: str
    fault: ReadFault | None
    name: str | None
    event_id: str | None
    conversation_id: str | None
    document_id: str | None
    rev: int | None
    sent_at: datetime
    receive_count: int
    moved_from: str | None
    message: Message

    @property
    def is_readable(self) -> bool:
        """Whether the reader takes the letter now, so that the worker would handle it."""
        return self.fault is None


async def read_letters(deliveries: Sequence[LetterDelivery], limits: Limits) -> Sequence[Letter]:
    """The letters of these deliveries. An error of the reader is the fault of its letter alone."""
    letters = await catch_unexpected(_read(deliveries, limits))
    if not isinstance(letters, UnexpectedError):
        return letters
    if len(deliveries) == 1:
        error = letters.error
        reason = f"{type(error).__qualname__}: a defect in the reader"
        return [_letter(deliveries[0], None, ReadFault(code=READ_FAULT, reason=reason))]
    return [letter for delivery in deliveries for letter in await read_letters([delivery], limits)]


async def _read(deliveries: Sequence[LetterDelivery], limits: Limits) -> Sequence[Letter]:
    letters = []
    for delivery in deliveries:
        unwrapped = unwrap_text(delivery.message.body, limits)
        if isinstance(unwrapped, Malformed):
            letters.append(_letter(delivery, None, _fault_of(unwrapped)))
            continue
        result = read_event(unwrapped, delivery.message.attributes)
        fault = _fault_of(result) if isinstance(result, Malformed) else None
        letters.append(_letter(delivery, unwrapped, fault, result))
    return letters


def _fault_of(malformed: Malformed) -> ReadFault:
    return ReadFault(code=malformed.code.value, reason=malformed.reason)


def _letter(
    delivery: LetterDelivery,
    unwrapped: UnwrappedEvent | None,
    fault: ReadFault | None,
    result: Event | UnsupportedEvent | Malformed | None = None,
) -> Letter:
    message = delivery.message
    code, source, reason = _explanation(delivery, fault)
    event = result if isinstance(result, Event) else None
    return Letter(
        id=message.id,
        receipt=message.receipt,
        source_id=_attribute(message, "source_message_id"),
        code=code,
        code_source=source,
        reason=reason,
        fault=fault,
        name=_named(unwrapped, "name"),
        event_id=_named(unwrapped, "id"),
        conversation_id=None if event is None else _shown(event.conversation_id),
        document_id=None if event is None else _shown(event.document_id),
        rev=None if event is None else event.rev,
        sent_at=message.sent_at,
        receive_count=message.receive_count,
        moved_from=None if delivery.moved_from is None else _shown(delivery.moved_from),
        message=message,
    )


def _explanation(delivery: LetterDelivery, fault: ReadFault | None) -> tuple[str, CodeSource, str]:
    """The code, who says it, and the reason."""
    code = _attribute(delivery.message, "error_code")
    if code:
        return code, CodeSource.ATTRIBUTES, _attribute(delivery.message, "error_reason") or code
    if fault is not None:
        return fault.code, CodeSource.READER, _shown(fault.reason)
    moved = delivery.moved_from is not None
    return NO_CODE, CodeSource.NOBODY, MOVED_BY_SQS if moved else WITHOUT_A_CODE


def _attribute(message: Message, name: str) -> str | None:
    value: Any = message.attributes.get(name, {}).get("StringValue")
    return _shown(value) if isinstance(value, str) else None


def _named(unwrapped: UnwrappedEvent | None, key: str) -> str | None:
    """An id or a name of the event, where it has the form of one."""
    value = None if unwrapped is None else unwrapped.event.get(key)
    return value if isinstance(value, str) and _NAME.fullmatch(value) else None


def _shown(text: str) -> str:
    return printable(text[:_TEXT_MAX])
