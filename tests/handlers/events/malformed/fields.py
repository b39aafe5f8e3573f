"""Messages with one wrong field: of the envelope, of a conversation, of a work-item."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from handlers.events.event import RejectionCode
from tests.handlers.events.malformed.kind import CONTENT, GONE, Kind, altered, good
from tests.handlers.wire_events import text

WRONG_IN_THE_EVENT: Final[Mapping[str, Any]] = {
    "id": {"$gt": ""},
    "name": 7,
    "org": [CONTENT],
    "partition": {"name": CONTENT},
    "createdAt": CONTENT,
    "client": {"name": CONTENT},
    "isSync": "true",
    "changes": [CONTENT],
    "changes.attributes": CONTENT,
    "changes.attributes.status": CONTENT,
    "changes.attributes.status.op": CONTENT,
    "changes.relationships": [CONTENT],
    "changes.relationships.queue": CONTENT,
    "changes.relationships.queue.op": 7,
    "routingReasons": {"action": CONTENT},
    "routingReasons.0": CONTENT,
    "routingReasons.0.action": {"name": CONTENT},
    "routingReasons.0.code": [CONTENT],
    "routingReasons.0.meta": CONTENT,
    "routingReasons.0.meta.conversationRev": CONTENT,
}
WRONG_IN_A_REASON: Final[Mapping[str, Any]] = {
    "routingReasons.0.meta.data": CONTENT,
    "routingReasons.0.meta.data.resource": [CONTENT],
    "routingReasons.0.meta.data.resource.rev": 0,
}
WRONG_IN_A_CONVERSATION: Final[Mapping[str, Any]] = {
    "data.id": {"$gt": ""},
    "data.type": CONTENT,
    "data.attributes": [CONTENT],
    "data.attributes.status": CONTENT,
    "data.attributes.assignedUsers": CONTENT,
    "data.attributes.assignedUsers.0": {"$ne": CONTENT},
    "data.attributes.ended": CONTENT,
    "data.attributes.deleted": 1,
    "data.attributes.updatedAt": 1714979289250,
    "data.relationships": CONTENT,
    "data.relationships.queue": CONTENT,
    "data.relationships.queue.data": CONTENT,
    "data.relationships.queue.data.id": {"$gt": CONTENT},
    "data.relationships.queue.data.type": [CONTENT],
}
_TARGETS: Final = (
    "resource",
    "queue",
    "rule",
    "assignedTo",
    "acceptedBy",
    "routedTo",
    "workSession",
    "team",
    "lastRevision",
)
WRONG_IN_A_WORK_ITEM: Final[Mapping[str, Any]] = {
    "data.id": [CONTENT],
    "data.type": CONTENT,
    "data.attributes": CONTENT,
    "data.attributes.resourceType": [CONTENT],
    "data.attributes.status": "done",
    "data.attributes.paused": CONTENT,
    "data.attributes.workItemNumber": CONTENT,
    "data.attributes.resourceRev": -3,
    "data.attributes.itemSize": "1.5",
    "data.attributes.priority": CONTENT,
    "data.attributes.queuedCount": -1,
    "data.attributes.firstEnterQueueAt": CONTENT,
    "data.attributes.resourceCreatedAt": "2024-05-06T07:08:09.250",
    "data.attributes.resourceFirstQueueTime": CONTENT,
    "data.attributes.resourceFirstRouteTime": True,
    "data.attributes.resourceFirstAssignTime": 0.5,
    "data.attributes.completedAt": CONTENT,
    "data.attributes.updatedAt": CONTENT,
    "data.attributes.lastRevision": CONTENT,
    "data.attributes.lastRevision.enteredQueueAt": CONTENT,
    "data.attributes.lastRevision.queueTime": CONTENT,
    "data.attributes.lastRevision.queueBusinessTime": CONTENT,
    "data.attributes.lastRevision.routedAt": CONTENT,
    "data.attributes.lastRevision.acceptedAt": CONTENT,
    "data.attributes.ivr": [CONTENT],
    "data.attributes.ivr.enteredAt": CONTENT,
    "data.attributes.ivr.time": CONTENT,
    "data.attributes.ivr.businessTime": CONTENT,
    "data.attributes.wrapUp": CONTENT,
    "data.attributes.wrapUp.enteredAt": CONTENT,
    "data.attributes.wrapUp.time": CONTENT,
    "data.attributes.wrapUp.businessTime": CONTENT,
    "data.attributes.handle": CONTENT,
    "data.attributes.handle.time": CONTENT,
    "data.attributes.handle.resumedAt": CONTENT,
    "data.relationships": [CONTENT],
    **{f"data.relationships.{name}": CONTENT for name in _TARGETS},
    **{f"data.relationships.{name}.data": [CONTENT] for name in _TARGETS},
    **{f"data.relationships.{name}.data.id": {"$gt": CONTENT} for name in _TARGETS},
    **{f"data.relationships.{name}.data.type": {"name": CONTENT} for name in _TARGETS},
}
"""Every modelled field by its path from the event down, with a value of a wrong type. `test_malformed.py` checks that
no field is missing. `data.attributes.rev` has a table of its own."""


def wrong_fields() -> Iterator[Kind]:
    for side, table in (
        ("conversation", {**WRONG_IN_THE_EVENT, **WRONG_IN_A_CONVERSATION}),
        ("work-item", {**WRONG_IN_A_REASON, **WRONG_IN_A_WORK_ITEM}),
    ):
        for path, value in table.items():
            body = text(altered(good(side), f"body.{path}", value))
            yield Kind(id=f"{side}:{path}", body=body, code=RejectionCode.INVALID_FIELD, says=f"{path}: ")


MISSING: Final[Mapping[str, tuple[str, ...]]] = {
    "conversation": ("id", "data.id", "data.type", "data.attributes", "data.attributes.status"),
    "work-item": (
        "data.id",
        "data.attributes.status",
        "data.relationships",
        "data.relationships.resource",
        "data.relationships.resource.data",
        "data.relationships.resource.data.id",
        "data.relationships.queue.data.id",
    ),
}


def missing_fields() -> Iterator[Kind]:
    for side, paths in MISSING.items():
        for path in paths:
            for what, value in (("missing", GONE), ("null", None)):
                body = text(altered(good(side), f"body.{path}", value))
                yield Kind(id=f"{side}:{path}:{what}", body=body, code=RejectionCode.INVALID_FIELD, says=f"{path}: ")


def ids() -> Iterator[Kind]:
    wrong: dict[str, Any] = {"empty": "", "number": 7, "too-long": "x" * 257, "null-character": f"{CONTENT}\0"}
    for path in ("id", "org", "data.id", "data.attributes.assignedUsers.0", "data.relationships.queue.data.id"):
        for what, value in wrong.items():
            body = text(altered(good(), f"body.{path}", value))
            yield Kind(id=f"id:{path}:{what}", body=body, code=RejectionCode.INVALID_FIELD, says=f"{path}: ")


def revisions() -> Iterator[Kind]:
    wrong: dict[str, Any] = {
        "missing": GONE,
        "null": None,
        "true": True,
        "a-float": 3.0,
        "a-string": "3",
        "an-object": {"$inc": 1},
        "zero": 0,
        "negative": -1,
        "beyond-2**53": 2**53,
        "beyond-64-bits": 2**63,
    }
    for side in ("conversation", "work-item"):
        for what, value in wrong.items():
            body = text(altered(good(side), "body.data.attributes.rev", value))
            yield Kind(
                id=f"{side}:rev:{what}", body=body, code=RejectionCode.BAD_REVISION, says="data.attributes.rev: "
            )
    huge = text(good()).replace('"rev":2,', '"rev":1e30,')
    yield Kind(id="rev:1e30", body=huge, code=RejectionCode.BAD_REVISION, says="data.attributes.rev: ")
