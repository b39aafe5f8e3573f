"""The heartbeat: an event that shows only that SNS delivers (docs/events.md, *The heartbeat*).

A worker publishes it, so that a quiet system can be told from one whose events SNS holds. It is an unsupported event:
every worker acknowledges it and does nothing else.
"""

from datetime import datetime
from typing import Any, Final

import orjson

from commands.instant import format_instant
from handlers.events.event import UnsupportedEvent

HEARTBEAT_NAME: Final = "routing-sync.heartbeat"
_CLIENT: Final = "routing-worker"


def is_heartbeat(event: UnsupportedEvent) -> bool:
    """Whether the event is a heartbeat."""
    return event.name == HEARTBEAT_NAME


def heartbeat_message(message_id: str, event_id: str, at: datetime) -> str:
    """The published message of a heartbeat, as JSON text. Its snapshot is that of no document."""
    written_at = format_instant(at)
    event: dict[str, Any] = {
        "id": event_id,
        "name": HEARTBEAT_NAME,
        "org": None,
        "partition": None,
        "data": {"id": event_id, "type": "heartbeat", "attributes": {}, "relationships": {}},
        "createdAt": written_at,
        "changes": None,
        "client": _CLIENT,
        "isSync": False,
        "persist": False,
        "sourceId": None,
        "sourceType": None,
        "routingReasons": [],
    }
    message: dict[str, Any] = {
        "id": message_id,
        "name": HEARTBEAT_NAME,
        "partition": None,
        "body": event,
        "publishedAt": written_at,
        "version": 3,
    }
    return orjson.dumps(message).decode()
