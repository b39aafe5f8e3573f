"""One dead letter whole, as JSON that a person can read: the event without its wrappers.

Customers' words are left out unless they are asked for. Shown are the fields that the worker models, with values that
have the form of an id or a code, numbers, and what is true, false or null; the other fields are counted.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from commands.instant import format_instant
from handlers.events.envelope import Limits, UnwrappedEvent, unwrap_text
from handlers.events.event import Malformed
from handlers.events.json_text import parse_json
from handlers.events.schema import MODELLED_NAMES
from worker.letters.letter import EXPLAINING_ATTRIBUTES, Letter
from worker.printable_text import printable

_SHOWN_NAMES: Final = MODELLED_NAMES | {
    "publishedAt", "version", "sourceId", "sourceType", "persist", "body", "links", "self", "org", "conversationRev",
    "commandName", "Type", "TopicArn", "MessageId", "Timestamp", "Message",
}  # fmt: skip
"""Beside the modelled names, those of the wrappers and of the envelope (docs/events.md)."""
_TOKEN: Final = re.compile(r"[\w.:/@+-]{1,100}")
_ADDRESS: Final = re.compile(r"[^@\s]+@[^@\s]+")
LEFT_OUT: Final = "(left out)"


def shown_letter(letter: Letter, limits: Limits, *, with_content: bool) -> dict[str, Any]:
    """The letter as a JSON object: what it is, its attributes, and its event or, where there is none, its body."""
    unwrapped = unwrap_text(letter.message.body, limits)
    message = {} if isinstance(unwrapped, Malformed) else _published(unwrapped)
    event: Any = None if isinstance(unwrapped, Malformed) else unwrapped.event
    return {
        **letter_line(letter),
        "attributes": _attributes(letter, with_content=with_content),
        "message": message if with_content else _masked(message),
        **(
            {"body": _body(letter.message.body, limits, with_content=with_content)}
            if event is None
            else {"event": event if with_content else _masked(event)}
        ),
    }


def letter_line(letter: Letter) -> dict[str, Any]:
    """The letter in a list: ids, codes and times, no customer's words."""
    return {
        "id": letter.id,
        "sourceId": letter.source_id,
        "sentAt": format_instant(letter.sent_at),
        "receiveCount": letter.receive_count,
        "movedFrom": letter.moved_from,
        "code": letter.code,
        "codeSource": letter.code_source.value,
        "reason": letter.reason,
        "readable": letter.is_readable,
        "fault": None
        if letter.fault is None
        else {"code": letter.fault.code, "reason": printable(letter.fault.reason)},
        "name": letter.name,
        "eventId": letter.event_id,
        "conversationId": letter.conversation_id,
        "documentId": letter.document_id,
        "rev": letter.rev,
    }


def _published(unwrapped: UnwrappedEvent) -> dict[str, Any]:
    """The published message around the event, without the event."""
    return {name: value for name, value in (unwrapped.published or {}).items() if name != "body"}


def _attributes(letter: Letter, *, with_content: bool) -> dict[str, Any]:
    """The message's own attributes. The worker's are among the letter's fields."""
    own = {name: value for name, value in letter.message.attributes.items() if name not in EXPLAINING_ATTRIBUTES}
    if with_content:
        return {name: _text_of(value) for name, value in own.items()}
    return {printable(name): str(value.get("DataType")) for name, value in own.items()}


def _text_of(attribute: Mapping[str, Any]) -> str:
    value = attribute.get("StringValue")
    if isinstance(value, str):
        return value
    binary = attribute.get("BinaryValue")
    return binary.decode(errors="replace") if isinstance(binary, bytes) else ""


def _body(body: str, limits: Limits, *, with_content: bool) -> Any:
    """A body without an event: as JSON, if it is."""
    parsed = parse_json(body, "the body", depth_max=limits.depth_max)
    if isinstance(parsed, Malformed):
        return body if with_content else f"{LEFT_OUT}: {len(body)} characters that are no JSON"
    return parsed.value if with_content else _masked(parsed.value)


def _masked(value: Any) -> Any:
    match value:
        case dict():
            shown = {name: _masked(part) for name, part in value.items() if name in _SHOWN_NAMES}
            others = len(value) - len(shown)
            return {**shown, LEFT_OUT: f"{others} of its fields, which the worker does not model"} if others else shown
        case list():
            return [_masked(part) for part in value]
        case str() if not _TOKEN.fullmatch(value) or _ADDRESS.fullmatch(value):
            return f"{LEFT_OUT}: {len(value)} characters"
        case _:
            return value
