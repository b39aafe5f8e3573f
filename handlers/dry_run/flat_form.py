"""Conversations and work-items in the flat form of `decide` (docs/decide.md), to documents and back.

There the relationships are plain ids (`assignedTo`, `session`, `routedTo`, …), `queue` is `{id, rule?}` or null, and
everything else is an attribute under its own name.
"""

from collections.abc import Mapping
from typing import Any, Final

from handlers.documents.document import document_from_snapshot
from handlers.documents.nouns import conversation_of
from handlers.documents.relationships import related_id, relationship
from handlers.events.schema import WorkItemAttributes
from handlers.events.validation import validate_conversation, validate_work_item
from handlers.ports import Document

_IDS: Final = {
    "assignedTo": "assignedTo",
    "acceptedBy": "acceptedBy",
    "routedTo": "routedTo",
    "session": "workSession",
    "team": "team",
}
"""Flat name to relationship."""
_ALWAYS: Final = ("assignedTo", "queue", "paused")


def conversation_document(flat: Mapping[str, Any]) -> Document:
    """The document of a flat conversation; raises InvalidFields with every fault."""
    attributes = {name: value for name, value in flat.items() if name not in ("id", "queue")}
    attributes.setdefault("rev", 1)
    data = {
        "id": flat.get("id", "conversation"),
        "type": "conversation",
        "attributes": attributes,
        "relationships": {"queue": _link("queue", _queue_id(flat.get("queue")))},
    }
    checked = validate_conversation(data)
    return document_from_snapshot(data, org=None, rev=checked["attributes"]["rev"])


def work_item_document(flat: Mapping[str, Any]) -> Document:
    """The document of a flat work-item; raises InvalidFields with every fault."""
    queue = flat.get("queue")
    links = {
        **{wire: _link(wire, flat.get(name)) for name, wire in _IDS.items()},
        "queue": _link("queue", _queue_id(queue)),
        "rule": _link("rule", _part(queue, "rule") if isinstance(queue, Mapping) else None),
    }
    attributes = {name: value for name, value in flat.items() if name not in (*_IDS, "id", "queue", "resource")}
    attributes.setdefault("rev", 1)
    data = {
        "id": flat.get("id", "work-item"),
        "type": "work_item",
        "attributes": attributes,
        "relationships": {
            **{name: link for name, link in links.items() if link is not None},
            "resource": {"data": {"type": "conversation", "id": _part(flat.get("resource"), "id") or "conversation"}},
        },
    }
    checked = validate_work_item(data)
    return document_from_snapshot(data, org=None, rev=checked["attributes"]["rev"])


def flat_work_item(document: Document, asked: Mapping[str, Any]) -> dict[str, Any]:
    """A work-item's document in flat form: what it has, and null for what `asked` had and it has no more."""
    queue, rule = related_id(document, "queue"), related_id(document, "rule")
    flat: dict[str, Any] = {
        "id": document["_id"],
        **document["attributes"],
        **{name: related_id(document, wire) for name, wire in _IDS.items()},
        "queue": None if queue is None else {"id": queue} if rule is None else {"id": queue, "rule": rule},
        "paused": bool(document["attributes"].get("paused")),
    }
    if "resource" in asked:
        flat["resource"] = asked["resource"]
    return {name: value for name, value in flat.items() if value is not None or name in asked or name in _ALWAYS}


def _queue_id(queue: object) -> object:
    # An object without an id is no queue; it stays what it is, or it would count as leaving the queue.
    return queue.get("id", queue) if isinstance(queue, Mapping) else queue


def _part(value: object, name: str) -> object:
    return value.get(name) if isinstance(value, Mapping) else value


def _link(name: str, target: object) -> dict[str, Any] | None:
    if isinstance(target, str):
        return relationship(name, target)
    # A wrong type stays what it is: the check of the whole snapshot names it with its path.
    return None if target is None else {"data": {"id": target}}


_MODELLED: Final = frozenset(WorkItemAttributes.__annotations__)
_LINKED: Final = frozenset({"id", "assignedTo", "acceptedBy", "routedTo", "session", "team", "queue", "resource"})


def shown_conversation(document: Document) -> dict[str, Any]:
    """C."""
    conversation = conversation_of(document)
    return {
        "id": conversation.id,
        "rev": conversation.rev,
        "status": conversation.status.value,
        "assignedUsers": list(conversation.assigned_users),
        "queue": None if conversation.queue is None else {"id": conversation.queue},
        "ended": conversation.ended,
        "deleted": conversation.deleted,
    }


def shown_work_item(document: Document) -> dict[str, Any]:
    """W, with its conversation as `resource`."""
    whole = flat_work_item(document, {"resource": {"id": document["conversationId"]}})
    # Whatever else a snapshot carried may be a customer's content.
    kept = {name: value for name, value in whole.items() if name in _MODELLED or name in _LINKED}
    first = ("id", "rev", "status", "assignedTo", "queue", "paused")
    return {name: kept[name] for name in first} | kept
