"""The services outside: they write conversations and work-items, and know nothing of the worker.

Each service raises its record's revision by one a write, and announces every write. A document carries `outsideRev`,
the revision of its last outside write: a document with a higher `rev` was written by the worker.
"""

import json
import random
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from commands.instant import format_instant
from handlers.documents.document import changes_between
from handlers.documents.relationships import relationship

ORG = "5c093c1abd6d1c00124a36b2"
USERS = tuple(f"user-{number}" for number in range(6))
QUEUES = tuple(f"queue-{number}" for number in range(3))
_START = datetime(2026, 1, 5, 9, tzinfo=UTC)

Data = dict[str, Any]


def sessions() -> list[dict[str, Any]]:
    """One active session an agent, empty."""
    lists: dict[str, Any] = {"workItems": [], "pausedWorkItems": [], "pendingItem": None}
    return [
        {"_id": f"session-{user}", "org": ORG, "user": user, "active": True, "capacity": 5, **lists} for user in USERS
    ]


def queues() -> list[dict[str, Any]]:
    return [{"_id": queue, "key": queue, "itemSize": size, "priority": 1} for size, queue in enumerate(QUEUES, 1)]


def conversation_data(number: int) -> Data:
    attributes = {"status": "open", "assignedUsers": [], "ended": False, "rev": 1, "outsideRev": 1}
    return {"id": f"conversation-{number}", "type": "conversation", "attributes": attributes, "relationships": {}}


def work_item_data(number: int) -> Data:
    attributes = {
        "resourceType": "conversation",
        "status": "ivr",
        "paused": False,
        "itemSize": 1,
        "priority": 1,
        "queuedCount": 0,
        "workItemNumber": 1,
        "resourceRev": 1,
        "resourceCreatedAt": format_instant(_START),
        "rev": 1,
        "outsideRev": 1,
    }
    resource = {"data": {"type": "conversation", "id": f"conversation-{number}"}}
    return {
        "id": f"work-item-{number}",
        "type": "work_item",
        "attributes": attributes,
        "relationships": {"resource": resource},
    }


class Outside:
    """Makes messages. Ids and times follow from the seed, so that a failure can be repeated."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self._count = 0

    def pair(self, number: int, writes: int) -> Iterator[dict[str, Any]]:
        """The messages of one pair: both creates, then so many random outside writes on either side, in order."""
        conversation, item = conversation_data(number), work_item_data(number)
        yield self.message("kustomer.conversation.create", conversation, None)
        yield self.message("kustomer.work-item.create", item, None)
        for _ in range(writes):
            if self.chance.random() < 0.6:
                before, conversation = conversation, self._write(conversation, self._conversation_change())
                yield self._update("conversation", before, conversation)
            else:
                before, item = item, self._write(item, self._work_item_change())
                yield self._update("work-item", before, item)

    def conversation(self, number: int) -> Iterator[dict[str, Any]]:
        """A conversation without a work-item: its create, then edits of a field that no rule reads, without end."""
        conversation = conversation_data(number)
        yield self.message("kustomer.conversation.create", conversation, None)
        while True:
            before, conversation = conversation, self._write(conversation, {"subject": f"changed {self._count}"})
            yield self._update("conversation", before, conversation)

    def message(self, name: str, data: Mapping[str, Any], changes: object, *, is_sync: bool = False) -> dict[str, Any]:
        self._count += 1
        at = format_instant(_START + timedelta(milliseconds=10 * self._count))
        event = {
            "id": f"event-{self._count}",
            "name": name,
            "org": ORG,
            "partition": ORG,
            "data": data,
            "createdAt": at,
            "changes": changes,
            "client": "outside",
            "isSync": is_sync,
        }
        return {
            "id": f"message-{self._count}",
            "name": name,
            "partition": ORG,
            "body": event,
            "publishedAt": at,
            "version": 3,
            "dd": {"trace_id": str(1_000_000 + self._count), "span_id": "1"},
        }

    def _update(self, kind: str, before: Data, after: Data) -> dict[str, Any]:
        return self.message(f"kustomer.{kind}.update", after, changes_between(before, after))

    def _write(self, before: Data, changed: Mapping[str, Any]) -> Data:
        attributes, relationships = dict(before["attributes"]), dict(before["relationships"])
        for name, value in changed.items():
            if name not in ("queue", "assignedTo", "workSession"):
                attributes[name] = value
            elif value is None:
                relationships.pop(name, None)
            else:
                relationships[name] = relationship(name, value)
        rev = attributes["rev"] + 1
        attributes |= {"rev": rev, "outsideRev": rev}
        return {**before, "attributes": attributes, "relationships": relationships}

    def _conversation_change(self) -> dict[str, Any]:
        pick = self.chance.choice
        return pick(
            [
                {"assignedUsers": [pick(USERS)]},
                {"assignedUsers": []},
                {"queue": pick(QUEUES)},
                {"queue": None},
                {"status": pick(["open", "snoozed"])},
                {"ended": True},
                {"subject": f"changed {self._count}"},
            ]
        )

    def _work_item_change(self) -> dict[str, Any]:
        pick = self.chance.choice
        user = pick(USERS)
        return pick(
            [
                {"status": "queued", "queue": pick(QUEUES), "assignedTo": None, "workSession": None},
                {"status": "assigned", "assignedTo": user, "workSession": f"session-{user}"},
                {"status": "wrap-up"},
                {"paused": pick([True, False])},
                {"priority": self.chance.randrange(5)},
            ]
        )


def body(message: Mapping[str, Any]) -> str:
    return json.dumps(message)
