"""Snapshots, events and envelopes of production size: 3.3 KB an event, 4.8 KB in SNS's envelope."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from tests.handlers.wire_events import link, published

Json = dict[str, Any]

NOW: Final = "@NOW-ISO-8601@"
"""The placeholder of a time."""
ORG: Final = "5c093c1abd6d1c00124a36b2"
QUEUE: Final = "5dea5f45c6a646001a621475"
OTHER_QUEUE: Final = "5dea5f66f2a0ba0019fa5c86"
_TEXT: Final = (
    "The parcel that was promised for Tuesday has still not arrived, and nobody picks up the phone at the depot."
)


def queues() -> list[Json]:
    """The documents of the two queues that pairs name."""
    return [{"_id": queue, "key": queue, "itemSize": 1, "priority": 1} for queue in (QUEUE, OTHER_QUEUE)]


def conversation(key: str, *, rev: int, users: list[str], queue: str, **attributes: Any) -> Json:
    """A conversation's snapshot with production's fields beside the shared ones."""
    return {
        "id": key,
        "type": "conversation",
        "attributes": {
            "rev": rev,
            "status": "open",
            "assignedUsers": users,
            "ended": False,
            "name": _TEXT[:60],
            "preview": _TEXT,
            "channels": ["email", "chat"],
            "direction": "in",
            "messageCount": 7,
            "noteCount": 2,
            "outboundMessageCount": 3,
            "priority": 3,
            "tags": ["5c0a", "5c0b", "5c0c"],
            "sentiment": {"polarity": 0, "confidence": 0.87},
            "lastMessageIn": {"channel": "email", "sentAt": NOW, "meta": {"subject": _TEXT[:40]}},
            "lastMessageOut": {"channel": "email", "sentAt": NOW, "createdBy": "5bb3d1b8"},
            "firstResponse": {"createdAt": NOW, "responseTime": 184_233, "businessTime": 93_000},
            "custom": {f"field{number:02}Str": _TEXT[:24] for number in range(27)},
            "createdAt": NOW,
            "updatedAt": NOW,
            "modifiedAt": NOW,
            **attributes,
        },
        "relationships": {
            "org": link("org", ORG),
            "queue": link("queue", queue),
            "customer": link("customer", "5cb49f2b9d0a4500195f5a3a"),
            "createdBy": link("user", "5bb3d1b8d6a4d60013a0f4c1"),
        },
        "links": {"self": f"/v1/conversations/{key}"},
    }


def work_item(key: str, *, of: str, rev: int, user: str, queue: str) -> Json:
    """The snapshot of a work-item that is assigned to an agent."""
    return {
        "id": key,
        "type": "work_item",
        "attributes": {
            "resourceType": "conversation",
            "rev": rev,
            "status": "assigned",
            "paused": False,
            "channel": "email",
            "itemSize": 1,
            "priority": 1,
            "queuedCount": 1,
            "workItemNumber": 1,
            "resourceRev": 1,
            "firstEnterQueueAt": NOW,
            "lastRevision": {"enteredQueueAt": NOW, "queueTime": 1_200, "acceptedAt": NOW},
            "handle": {"resumedAt": NOW},
            "resourceCreatedAt": NOW,
            "createdAt": NOW,
            "updatedAt": NOW,
        },
        "relationships": {
            "org": link("org", ORG),
            "resource": link("conversation", of),
            "queue": link("queue", queue),
            "assignedTo": link("user", user),
            "workSession": link("work_session", session_of(user)),
        },
        "links": {"self": f"/v1/routing/work-items/{key}"},
    }


def session_of(user: str) -> str:
    """The id of an agent's session. It holds the agent's id, so a placeholder in it is replaced like any other."""
    return f"session-{user}"


def event(key: str, name: str, data: Mapping[str, Any], changes: Json | None, **more: Any) -> Json:
    """An event as producers publish it."""
    body = {
        "id": key,
        "name": name,
        "org": ORG,
        "partition": ORG,
        "data": data,
        "createdAt": NOW,
        "client": "api",
        "isSync": False,
        **({} if changes is None else {"changes": changes}),
        **more,
    }
    return {**published(body), "dd": {"trace_id": "6938909321752945810", "span_id": "2886485573899963115"}}


def wrapped(message: bytes, name: str) -> bytes:
    """A published message in SNS's envelope, as it arrives in a queue."""
    return orjson.dumps(
        {
            "Type": "Notification",
            "MessageId": "3b5f2c7e-0000-4000-8000-000000000000",
            "TopicArn": "arn:aws:sns:us-east-1:000000000000:conversation",
            "Message": message.decode(),
            "Timestamp": NOW,
            "SignatureVersion": "1",
            "Signature": "x" * 344,
            "SigningCertURL": "https://sns.invalid/SimpleNotificationService-0000000000000000000000000000.pem",
            "UnsubscribeURL": "https://sns.invalid/?Action=Unsubscribe&SubscriptionArn=arn:aws:sns:us-east-1:0:c:1",
            "MessageAttributes": {
                "name": {"Type": "String", "Value": name},
                "_datadog": {"Type": "String", "Value": '{"x-datadog-trace-id":"6938909321752945810"}'},
            },
        }
    )
