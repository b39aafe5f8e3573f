"""The flat form of a conversation or work-item, in which `decide` and `replay` read and show documents.

    C = {"id", "rev", "status", "assignedUsers": [id, …], "queue": null|{"id"}, "ended", "deleted"}
    W = {"id", "rev", "status", "assignedTo": null|id, "queue": null|{"id", "rule"}, "paused", "resource": {"id"}, …}

A relationship is a plain id (`assignedTo`, `session`, `routedTo`, …), apart from `queue` and `resource`. Every other
field is an attribute under its own name. An unknown name is a fault. Source: docs/decide.md.
"""

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any, Final

from handlers.documents.document import document_from_snapshot
from handlers.documents.document_mapping import conversation_of
from handlers.documents.relationships import related_id, relationship
from handlers.dry_run.question_part import unknown_name
from handlers.events.schema import ConversationAttributes, HandleTime, LastRevision, StatusTime, WorkItemAttributes
from handlers.events.validation import FieldPath, InvalidFields, validate_conversation, validate_work_item
from handlers.ports import Document

_RELATIONSHIP_NAMES: Final = {
    "assignedTo": "assignedTo",
    "acceptedBy": "acceptedBy",
    "routedTo": "routedTo",
    "session": "workSession",
    "team": "team",
}
"""The relationship's name of each flat name that holds a plain id."""
_ALWAYS_SHOWN: Final = ("assignedTo", "queue", "paused")
_UNREAD_NAMES: Final = ("channel", "createdAt", "modifiedAt", "resourceDirection")
"""The attributes of captured work-items that no rule and no command reads."""
_WORK_ITEM_NAMES: Final = (
    *("id", "queue", "resource", "rev", "status", "paused"),
    *_RELATIONSHIP_NAMES,
    *WorkItemAttributes.__annotations__,
    *_UNREAD_NAMES,
)
_CONVERSATION_NAMES: Final = ("id", "queue", *ConversationAttributes.__annotations__)
_QUEUE_AND_RULE_NAMES: Final = ("id", "rule")
_NESTED_NAMES: Final[Mapping[str, Collection[str]]] = {
    "resource": ("id",),
    "lastRevision": LastRevision.__annotations__,
    "ivr": StatusTime.__annotations__,
    "wrapUp": StatusTime.__annotations__,
    "handle": HandleTime.__annotations__,
}


def conversation_document(flat: Mapping[str, Any], *, at: str = "conversation") -> Document:
    """The document of a flat conversation. Raises InvalidFields with every fault; `at` begins each path."""
    attributes = {name: value for name, value in flat.items() if name not in ("id", "queue")}
    attributes.setdefault("rev", 1)
    snapshot = {
        "id": flat.get("id", "conversation"),
        "type": "conversation",
        "attributes": attributes,
        "relationships": {"queue": _relationship("queue", _queue_id(flat.get("queue")))},
    }
    _check(flat, snapshot, _CONVERSATION_NAMES, {"queue": ("id",)}, at=at)
    return document_from_snapshot(snapshot, org=None, rev=attributes["rev"])


def work_item_document(flat: Mapping[str, Any], *, at: str = "workItem") -> Document:
    """The document of a flat work-item. Raises InvalidFields with every fault; `at` begins each path."""
    queue = flat.get("queue")
    relationships = {
        **{wire: _relationship(wire, flat.get(name)) for name, wire in _RELATIONSHIP_NAMES.items()},
        "queue": _relationship("queue", _queue_id(queue)),
        "rule": _relationship("rule", queue.get("rule") if isinstance(queue, Mapping) else None),
    }
    resource = flat.get("resource")
    resource_id = resource.get("id") if isinstance(resource, Mapping) else resource
    not_attributes = (*_RELATIONSHIP_NAMES, "id", "queue", "resource")
    attributes = {name: value for name, value in flat.items() if name not in not_attributes}
    attributes.setdefault("rev", 1)
    snapshot = {
        "id": flat.get("id", "work-item"),
        "type": "work_item",
        "attributes": attributes,
        "relationships": {
            **{name: link for name, link in relationships.items() if link is not None},
            "resource": {"data": {"type": "conversation", "id": resource_id or "conversation"}},
        },
    }
    _check(flat, snapshot, _WORK_ITEM_NAMES, {"queue": _QUEUE_AND_RULE_NAMES, **_NESTED_NAMES}, at=at)
    return document_from_snapshot(snapshot, org=None, rev=attributes["rev"])


def _check(
    flat: Mapping[str, Any],
    snapshot: Mapping[str, Any],
    names: Collection[str],
    nested: Mapping[str, Collection[str]],
    *,
    at: str,
) -> None:
    """Raises InvalidFields with every fault: unknown names of the flat form, wrong values of its snapshot."""
    faults = _unknown_names((at,), flat, names)
    for name, known in nested.items():
        faults += _unknown_names((at, name), flat.get(name), known)
    try:
        if snapshot["type"] == "conversation":
            validate_conversation(snapshot)
        else:
            validate_work_item(snapshot)
    except InvalidFields as error:
        faults += error.below(at).faults
    if faults:
        raise InvalidFields(faults)


def _unknown_names(at: FieldPath, given: object, known: Collection[str]) -> list[tuple[FieldPath, str]]:
    if not isinstance(given, Mapping):
        return []
    return [
        # A misspelt name is shown. Any other may be a customer's words.
        ((*at, name if get_close_matches(name, known) else "*"), unknown_name(name, known))
        for name in given
        if name not in known
    ]


def flat_work_item(document: Document, asked: Mapping[str, Any]) -> dict[str, Any]:
    """A work-item's document in flat form. A field that only `asked`, an earlier flat form, has is null."""
    queue, rule = related_id(document, "queue"), related_id(document, "rule")
    flat: dict[str, Any] = {
        "id": document["_id"],
        **document["attributes"],
        **{name: related_id(document, wire) for name, wire in _RELATIONSHIP_NAMES.items()},
        "queue": None if queue is None else {"id": queue} if rule is None else {"id": queue, "rule": rule},
        "paused": bool(document["attributes"].get("paused")),
    }
    if "resource" in asked:
        flat["resource"] = asked["resource"]
    return {name: value for name, value in flat.items() if value is not None or name in asked or name in _ALWAYS_SHOWN}


def _queue_id(queue: object) -> object:
    # An object without an id is not a queue. It stays as it is, so that the check of the snapshot reports it.
    return queue.get("id", queue) if isinstance(queue, Mapping) else queue


def _relationship(name: str, target: object) -> dict[str, Any] | None:
    if isinstance(target, str):
        return relationship(name, target)
    # A target of a wrong type stays as it is, so that the check of the snapshot reports it with its path.
    return None if target is None else {"data": {"id": target}}


_SHOWN_NAMES: Final = frozenset({*WorkItemAttributes.__annotations__, *_RELATIONSHIP_NAMES, "id", "queue", "resource"})


def shown_conversation(document: Document) -> dict[str, Any]:
    """A stored conversation in flat form, with its modelled fields only. Raises UnreadableDocument."""
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
    """A stored work-item in flat form, with its modelled fields only and its conversation as `resource`."""
    flat = flat_work_item(document, {"resource": {"id": document["conversationId"]}})
    # A field that is not modelled may be a customer's content.
    shown = {name: value for name, value in flat.items() if name in _SHOWN_NAMES}
    first = ("id", "rev", "status", "assignedTo", "queue", "paused")
    return {name: shown[name] for name in first} | shown
