"""Stored documents to the nouns of `commands` and `sync`, and changed nouns back into documents.

What no noun models stays in the document untouched; of a timing record the parts not modelled stay beside the others.
"""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct

from commands.work_item import STATUS_ALIASES, Status
from handlers.documents.json_values import same
from handlers.ports import Document


class _Link(Struct, frozen=True, kw_only=True):
    """How a relationship is spelt on the wire."""

    field: str
    name: str
    type: str
    path: str

    def to(self, target: str) -> dict[str, Any]:
        return {"data": {"type": self.type, "id": target}, "links": {"self": f"{self.path}{target}"}}


_LINKS: Final = (
    _Link(field="queue", name="queue", type="queue", path="/v1/routing/queues/"),
    _Link(field="rule", name="rule", type="queue-rule", path="/v1/routing/queue-rules/"),
    _Link(field="assigned_to", name="assignedTo", type="user", path="/v1/users/"),
    _Link(field="accepted_by", name="acceptedBy", type="user", path="/v1/users/"),
    _Link(field="routed_to", name="routedTo", type="user", path="/v1/users/"),
    _Link(field="session", name="workSession", type="work_session", path="/v1/routing/work-sessions/"),
    _Link(field="team", name="team", type="team", path="/v1/teams/"),
)
_QUEUE_LINK: Final = _LINKS[0]


def document_from_snapshot(
    data: Mapping[str, Any], *, org: str | None, rev: int, deletion: bool = False
) -> dict[str, Any]:
    """An event's snapshot as the document that is stored for it: `data` as it came, `_id`, `org`, `rev` on top."""
    # Our own names on top stand, whatever a snapshot brings under them.
    document = {key: value for key, value in data.items() if key != "id" and key not in _ON_TOP}
    document.update(_id=data["id"], org=org, rev=rev)
    if deletion:
        document["attributes"] = {**document["attributes"], "deleted": True}
    if data["type"] != "conversation":
        attributes = data["attributes"]
        document["conversationId"] = data["relationships"]["resource"]["data"]["id"]
        document["active"] = STATUS_ALIASES[attributes["status"]] is not Status.COMPLETED
        document["workItemNumber"] = attributes.get("workItemNumber") or 0
    return document


_ON_TOP: Final = frozenset({"_id", "org", "rev", "conversationId", "active", "workItemNumber"})


def snapshot_of(document: Document) -> dict[str, Any]:
    """A document as an event's `data`."""
    return {"id": document["_id"], **{key: value for key, value in document.items() if key not in _ON_TOP}}


class UnreadableDocument(Exception):
    """A stored document that is not what it should be: written by somebody else, and its own pair's trouble alone."""


_ODD: Final = (KeyError, ValueError, TypeError, AttributeError)
"""What reading raises where a document is not as it should be."""


def rev_of(document: Document) -> int:
    """A stored document's revision. Raises Unreadable."""
    try:
        return int(document["rev"])
    except _ODD as fault:
        raise _unreadable(document, fault) from fault


def is_older(document: Document, rev: int) -> bool:
    """True where the stored document is of an earlier revision. Raises Unreadable."""
    try:
        return bool(document["rev"] < rev)
    except _ODD as fault:
        raise _unreadable(document, fault) from fault


def _unreadable(document: Document, fault: Exception) -> UnreadableDocument:
    return UnreadableDocument(f"{document.get('_id')} in the store cannot be read: {type(fault).__name__}")


def changes_between(before: Document, after: Document) -> dict[str, dict[str, Any]]:
    """An event's `changes`: what differs in attributes and relationships, with the values before and after."""
    return {
        level: _changes(before.get(level) or {}, after.get(level) or {}) for level in ("attributes", "relationships")
    }


def related_id(document: Mapping[str, Any], name: str) -> str | None:
    """The id a relationship names, or None."""
    return _named(document.get("relationships") or {}, name)


def _named(relationships: Mapping[str, Any], name: str) -> str | None:
    link = relationships.get(name)
    data = link.get("data") if link else None
    return data["id"] if data else None


def relationship(name: str, target: str) -> dict[str, Any]:
    """A work-item's relationship as the wire spells it."""
    return next(link for link in _LINKS if link.name == name).to(target)


def _with_link(relationships: Mapping[str, Any], link: _Link, target: str | None) -> dict[str, Any]:
    if target is None:
        return {name: value for name, value in relationships.items() if name != link.name}
    return {**relationships, link.name: link.to(target)}


def _changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    # Most of it is the very same object, which a write takes over as it is.
    touched = [(name, old, new) for name, old in before.items() if (new := after.get(name)) is not old]
    changes = {name: _change(old, new) for name, old, new in touched if not same(old, new)}
    brought = [name for name in after if name not in before]
    changes.update((name, _change(None, after[name])) for name in brought if after[name] is not None)
    return changes


def _change(old: Any, new: Any) -> dict[str, Any]:
    op = "add" if old is None else "remove" if new is None else "replace"
    return {"op": op, "before": old, "after": new}
