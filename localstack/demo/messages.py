"""Messages as the owning services publish them: captured ones, and new ones made from a stored document."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from commands.instant import format_instant, parse_instant
from handlers.documents.document import changes_between
from handlers.documents.relationships import relationship
from server_process import ROOT

CAPTURED = ROOT / "tests" / "fixtures" / "captured"
ORG = "5c093c1abd6d1c00124a36b2"

Message = dict[str, Any]
Data = Mapping[str, Any]

_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
_LINKED = ("queue", "assignedTo", "workSession")
_numbers = count(1)


def captured_writes(incident: str) -> list[Message]:
    """The messages of an incident in `tests/fixtures/captured`, the syncs of the worker of that time included."""
    lines = (CAPTURED / incident / "events.ndjson").read_text().splitlines()
    return [{**logged["body"], "dd": logged["dd"]} for logged in map(json.loads, lines)]


def captured_outside_writes(incident: str) -> list[Message]:
    """The messages of an incident without the syncs of the worker of that time."""
    return [message for message in captured_writes(incident) if message["body"].get("isSync") is not True]


def moved_to_now(messages: list[Message]) -> list[Message]:
    """The same messages with every time moved by the same amount, so that the last one is published now."""
    moved_by = datetime.now(UTC) - max(_instant(each["publishedAt"]) for each in messages)
    moved: list[Message] = _moved(messages, moved_by)
    return moved


def created(data: Data, client: str) -> Message:
    """The message that announces a new document."""
    return _published({"name": f"kustomer.{side_of(data)}.create", "data": data, "changes": None, "client": client})


def updated(before: Data, client: str, changed: Mapping[str, Any]) -> Message:
    """The message of a service that changes these fields of a document; the revision goes up by one."""
    attributes, relationships = dict(before["attributes"]), dict(before["relationships"])
    for name, value in changed.items():
        if name not in _LINKED:
            attributes[name] = value
        elif value is None:
            relationships.pop(name, None)
        else:
            relationships[name] = relationship(name, value)
    attributes |= {"rev": attributes["rev"] + 1, "updatedAt": format_instant(datetime.now(UTC))}
    after = {**before, "attributes": attributes, "relationships": relationships}
    changes = changes_between(before, after)
    return _published(
        {"name": f"kustomer.{side_of(before)}.update", "data": after, "changes": changes, "client": client}
    )


def unsupported() -> Message:
    """A message of a kind that the worker does not handle."""
    data = {"id": "message-of-the-chat", "type": "message", "attributes": {}}
    return _published({"name": "kustomer.message.create", "data": data, "client": "api"})


def malformed(before: Data) -> Message:
    """A message whose revision is no number."""
    data = {**before, "attributes": {**before["attributes"], "rev": "seven"}}
    return _published({"name": "kustomer.conversation.update", "data": data, "client": "api"})


def conversation_data(key: str, attributes: Mapping[str, Any]) -> Data:
    """A new conversation: open, unassigned, without a queue."""
    now = format_instant(datetime.now(UTC))
    usual = {"status": "open", "assignedUsers": [], "ended": False, "rev": 1, "updatedAt": now}
    return {"id": key, "type": "conversation", "attributes": {**usual, **attributes}, "relationships": {}}


def side_of(data: Data) -> str:
    """Whose document it is: `conversation` or `work-item`."""
    return "conversation" if data["type"] == "conversation" else "work-item"


def described(message: Message) -> str:
    """A captured write in one line: the document, its revision, and the fields that the rules look at."""
    event = message["body"]
    attributes, changes = event["data"]["attributes"], event.get("changes")
    head = f"{side_of(event['data'])} rev {attributes['rev']}"
    if changes is None:
        return f"{head}: created {attributes['status']}"
    told = [
        f"{name} {short(change.get('before'))} → {short(change.get('after'))}"
        for level in ("attributes", "relationships")
        for name, change in (changes.get(level) or {}).items()
        if name in ("status", "assignedUsers", "queue", "assignedTo")
    ]
    return f"{head} by {event['client']}: {', '.join(told)}"


def short(value: object) -> str:
    """A value for a table: the last four characters of a long id, `–` where there is none."""
    if isinstance(value, Mapping):
        value = value["data"]["id"]
    if isinstance(value, list):
        value = " ".join(map(short, value))
    return "–" if not value else f"…{value[-4:]}" if isinstance(value, str) and len(value) == 24 else str(value)


def _published(event: Message) -> Message:
    now = format_instant(datetime.now(UTC))
    number = next(_numbers)
    return {
        "id": f"message-{number}",
        "name": event["name"],
        "partition": ORG,
        "body": {"id": f"event-{number}", "org": ORG, "partition": ORG, "createdAt": now, "isSync": False, **event},
        "publishedAt": now,
        "version": 3,
        "dd": {"trace_id": str(7_000_000 + number), "span_id": str(number)},
    }


def _instant(text: str) -> datetime:
    instant = parse_instant(text)
    assert instant is not None
    return instant


def _moved(value: Any, by: timedelta) -> Any:
    match value:
        case dict():
            return {name: _moved(each, by) for name, each in value.items()}
        case list():
            return [_moved(each, by) for each in value]
        case str() if _INSTANT.fullmatch(value):
            return format_instant(_instant(value) + by)
        case _:
            return value
