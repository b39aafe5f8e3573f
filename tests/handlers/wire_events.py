"""Events as they come over the wire, in all five shapes, and the captured events.

`conversation` and `work_item` are snapshots, `event` puts one into an envelope, the rest wraps it.
"""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import orjson

from commands.instant import format_instant
from handlers.events.event import Event, UnsupportedEvent
from handlers.events.parser import read_object
from tests.handlers.small_ports import START

Json = dict[str, Any]

CAPTURED: Final = Path(__file__).parents[1] / "fixtures" / "captured"
LOST_ASSIGNMENT: Final = "incident-2022-03-02-lost-assignment"
UNASSIGN_WITHOUT_QUEUE: Final = "incident-2021-02-13-unassign-without-queue"

ORG: Final = "org-1"


def text(thing: object) -> str:
    return orjson.dumps(thing).decode()


def captured(incident: str) -> list[Json]:
    """The log lines of one incident."""
    return [orjson.loads(line) for line in (CAPTURED / incident / "events.ndjson").read_bytes().splitlines()]


def link(kind: str, target: str | None) -> Json:
    return {"data": None if target is None else {"type": kind, "id": target}}


def conversation(
    rev: int = 1, *, key: str = "c-1", queue: str | None = None, users: tuple[str, ...] = (), **attributes: Any
) -> Json:
    """A conversation's snapshot: open, unassigned, without a queue."""
    return {
        "id": key,
        "type": "conversation",
        "attributes": {"rev": rev, "status": "open", "assignedUsers": list(users), "ended": False, **attributes},
        "relationships": {
            "org": link("org", ORG),
            **({"queue": link("queue", queue)} if queue is not None else {}),
        },
        "links": {"self": f"/v1/conversations/{key}"},
    }


def work_item(
    rev: int = 1,
    *,
    key: str = "w-1",
    of: str = "c-1",
    queue: str | None = None,
    user: str | None = None,
    session: str | None = None,
    number: int = 1,
    **attributes: Any,
) -> Json:
    """A work-item's snapshot: in ivr, unassigned, without a queue."""
    named = {"queue": ("queue", queue), "assignedTo": ("user", user), "workSession": ("work_session", session)}
    return {
        "id": key,
        "type": "work_item",
        "attributes": {
            "rev": rev,
            "resourceType": "conversation",
            "status": "ivr",
            "paused": False,
            "itemSize": 1,
            "workItemNumber": number,
            **attributes,
        },
        "relationships": {
            "org": link("org", ORG),
            "resource": link("conversation", of),
            **{name: link(kind, target) for name, (kind, target) in named.items() if target is not None},
        },
        "links": {"self": f"/v1/routing/work-items/{key}"},
    }


def event(data: Json, what: str | None = None, *, at: float = 0.0, **more: Any) -> Json:
    """A bare event with this snapshot: a create at revision 1, else an update. `at` is in seconds after `START`.

    An update says that its write changed no shared field, unless `changes` is given: None, if the update does not say.
    """
    kind = "conversation" if data.get("type") == "conversation" else "work-item"
    rev = data.get("attributes", {}).get("rev")
    what = what or ("create" if rev == 1 else "update")
    changed = {"changes": changes({"rev": (None, rev)})} if what == "update" else {}
    return {
        "id": f"event-{data.get('id')}-{rev}-{what}",
        "name": f"kustomer.{kind}.{what}",
        "org": ORG,
        "partition": "partition-1",
        "data": data,
        "createdAt": format_instant(START + timedelta(seconds=at)),
        "client": "api",
        **changed,
        **more,
    }


def changes(
    attributes: Mapping[str, tuple[Any, Any]] | None = None,
    relationships: Mapping[str, tuple[str | None, str | None]] | None = None,
) -> Json:
    """An event's `changes`: attributes with their values before and after, relationships with their targets' ids."""
    return {
        "attributes": {
            name: {"op": "replace", "before": before, "after": after}
            for name, (before, after) in (attributes or {}).items()
        },
        "relationships": {
            name: {"op": "replace", "before": _target(name, before), "after": _target(name, after)}
            for name, (before, after) in (relationships or {}).items()
        },
    }


def _target(name: str, key: str | None) -> Json | None:
    return None if key is None else link(name, key)


def published(body: Json) -> Json:
    """The published message around an event."""
    return {
        "id": f"message-{body.get('id')}",
        "name": body.get("name"),
        "partition": body.get("partition"),
        "body": body,
        "publishedAt": body.get("createdAt"),
        "version": 3,
    }


def log_line(message: Json, **more: Any) -> Json:
    """A captured log line around a published message."""
    return {"name": "event", "body": message, "producer": "SNSEventProducer", "hostname": "h", "pid": 1, "v": 0, **more}


def notification(message: object, **more: Any) -> Json:
    """An SNS notification. `message` is a published message, or its JSON text."""
    return {
        "Type": "Notification",
        "MessageId": "3b5f2c7e-0000-4000-8000-000000000000",
        "TopicArn": "arn:aws:sns:us-east-1:000000000000:events",
        "Message": message if isinstance(message, str) else text(message),
        "Timestamp": "2024-05-06T07:08:09.300Z",
        **more,
    }


def queued(body: object, **more: Any) -> Json:
    """An SQS message. `body` is any of the other shapes, or its JSON text."""
    return {
        "MessageId": "9a0d6e1c-0000-4000-8000-000000000000",
        "ReceiptHandle": "receipt",
        "Body": body if isinstance(body, str) else text(body),
        "Attributes": {"ApproximateReceiveCount": "1"},
        **more,
    }


def read(thing: object) -> Event:
    """The event that a message of any shape holds; fails where it holds none."""
    result = read_object(thing)
    assert isinstance(result, Event), result
    return result


def read_unsupported(thing: object) -> UnsupportedEvent:
    result = read_object(thing)
    assert isinstance(result, UnsupportedEvent), result
    return result
