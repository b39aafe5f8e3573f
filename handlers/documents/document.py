"""Stored documents: made from an event's snapshot, compared with each other, and checked as they are read.

A document keeps the fields that no noun models. Source: docs/events.md, *Documents as stored*.
"""

from collections.abc import Mapping
from typing import Any, Final

from commands.work_item import STATUS_ALIASES, Status
from handlers.documents.json_values import same
from handlers.documents.stored_forms import UnreadableDocument, unreadable
from handlers.ports import Document

_STORE_FIELDS: Final = frozenset({"_id", "org", "rev", "conversationId", "active", "workItemNumber"})
"""The fields that a document has beside the fields of its snapshot."""
_KEPT_ATTRIBUTES: Final = ("status", "assignedUsers", "ended", "updatedAt")
"""The attributes of a conversation that hold no text."""


def document_from_snapshot(
    snapshot: Mapping[str, Any], *, org: str | None, rev: int, deletion: bool = False
) -> dict[str, Any]:
    """The document that the store keeps for an event's checked snapshot.

    The snapshot's fields stay as they came, except that the store's own fields replace fields of the same name.
    `deletion` marks the document as deleted.
    """
    document = {key: value for key, value in snapshot.items() if key != "id" and key not in _STORE_FIELDS}
    document.update(_id=snapshot["id"], org=org, rev=rev)
    if deletion:
        document["attributes"] = {**document["attributes"], "deleted": True}
    if snapshot["type"] != "conversation":
        attributes = snapshot["attributes"]
        document["conversationId"] = snapshot["relationships"]["resource"]["data"]["id"]
        document["active"] = STATUS_ALIASES[attributes["status"]] is not Status.COMPLETED
        document["workItemNumber"] = attributes.get("workItemNumber") or 0
    return document


def deletion_mark(document: Document, rev: int) -> dict[str, Any]:
    """What is left of a deleted conversation that its owner has removed and the worker had stored from an event: ids,
    states and times, and no text. `rev`: the deletion's revision."""
    rev = max(rev, rev_of(document))
    attributes = {name: document["attributes"][name] for name in _KEPT_ATTRIBUTES if name in document["attributes"]}
    queue = (document.get("relationships") or {}).get("queue")
    return {
        **{name: document[name] for name in ("_id", "org", "type") if name in document},
        "rev": rev,
        "attributes": {**attributes, "rev": rev, "deleted": True},
        "relationships": {} if queue is None else {"queue": queue},
    }


def snapshot_of(document: Document) -> dict[str, Any]:
    """The document as an event's `data`: without the store's own fields."""
    snapshot = {key: value for key, value in document.items() if key not in _STORE_FIELDS}
    return {"id": document["_id"], **snapshot} if "id" not in snapshot else {**snapshot, "id": document["_id"]}


def rev_of(document: Document) -> int:
    """A stored document's revision. Raises UnreadableDocument."""
    rev = document.get("rev")
    if isinstance(rev, int) and not isinstance(rev, bool) and rev >= 1:
        return rev
    raise _wrong_field(document, "rev", "a whole number of at least 1")


def is_active(document: Document) -> bool:
    """Whether a work-item's document is the active one of its conversation. Raises UnreadableDocument."""
    active = document.get("active")
    if active is True or active is False:
        return active
    raise _wrong_field(document, "active", "true or false")


def _wrong_field(document: Document, name: str, expected: str) -> UnreadableDocument:
    return unreadable({"_id": None, name: None, **document}, (name,), expected)


def changes_between(before: Document, after: Document) -> dict[str, dict[str, Any]]:
    """An event's `changes`: the attributes and relationships that differ, each as `{op, before, after}`."""
    return {
        level: _changes(before.get(level) or {}, after.get(level) or {}) for level in ("attributes", "relationships")
    }


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    # A write reuses the unchanged values, so most pairs are one object and need no comparison.
    touched = [(name, old, new) for name, old in before.items() if (new := after.get(name)) is not old]
    changes = {name: _change(old, new) for name, old, new in touched if not same(old, new)}
    added = [name for name in after if name not in before]
    changes.update((name, _change(None, after[name])) for name in added if after[name] is not None)
    return changes


def _change(old: Any, new: Any) -> dict[str, Any]:
    op = "add" if old is None else "remove" if new is None else "replace"
    return {"op": op, "before": old, "after": new}
