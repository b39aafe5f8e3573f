"""Which events are handled, and by what: a new event type is one reader and one line here."""

from collections.abc import Callable, Mapping
from typing import Final

from pydantic import ValidationError

from handlers.conversation_event import read_conversation_event
from handlers.event import Event, Malformed, Unsupported
from handlers.faults import fault_of
from handlers.head import Head
from handlers.work_item_event import read_work_item_event

Reader = Callable[[Head], Event | Unsupported]
"""Reads an event's snapshot; raises ValidationError for a modelled field of the wrong type."""

HANDLED: Final[Mapping[str, Reader]] = {
    "kustomer.conversation.create": read_conversation_event,
    "kustomer.conversation.update": read_conversation_event,
    "kustomer.conversation.delete": read_conversation_event,
    "kustomer.work-item.create": read_work_item_event,
    "kustomer.work-item.update": read_work_item_event,
}

_OBSERVED: Final[Mapping[object, Reader]] = {
    "conversation": read_conversation_event,
    "work_item": read_work_item_event,
    "work-item": read_work_item_event,
}
"""By `data.type`: an event of another name still has its revision observed (sync-rules.md, *Old news*)."""


def read_snapshot(head: Head) -> Event | Unsupported | Malformed:
    """The event that its name or, failing that, its snapshot's type makes it."""
    wire = head.wire
    reader = HANDLED.get(wire["name"])
    if reader is not None:
        try:
            return reader(head)
        except ValidationError as fault:
            return fault_of(fault, at=("data",))
    kind = wire["data"].get("type")
    observer = _OBSERVED.get(kind) if isinstance(kind, str) else None
    if observer is not None:
        try:
            return observer(head.unsupported())
        except ValidationError:
            # Not ours to judge: whatever its snapshot should look like, no revision can be read from this one.
            pass
    return Unsupported(id=wire["id"], name=wire["name"])
