"""Relationships in the JSON form of events and documents: `{name: {data: {type, id}, links: {self}}}`."""

from collections.abc import Mapping
from typing import Any, Final

from msgspec import Struct


class Link(Struct, frozen=True, kw_only=True):
    """One kind of relationship: the noun's field that holds its target's id, and its form in JSON."""

    field: str
    name: str
    type: str
    path: str

    def to(self, target: str) -> dict[str, Any]:
        """The relationship to the document with the id `target`."""
        return {"data": {"type": self.type, "id": target}, "links": {"self": f"{self.path}{target}"}}


QUEUE: Final = Link(field="queue", name="queue", type="queue", path="/v1/routing/queues/")
WORK_ITEM_LINKS: Final = (
    QUEUE,
    Link(field="rule", name="rule", type="queue-rule", path="/v1/routing/queue-rules/"),
    Link(field="assigned_to", name="assignedTo", type="user", path="/v1/users/"),
    Link(field="accepted_by", name="acceptedBy", type="user", path="/v1/users/"),
    Link(field="routed_to", name="routedTo", type="user", path="/v1/users/"),
    Link(field="session", name="workSession", type="work_session", path="/v1/routing/work-sessions/"),
    Link(field="team", name="team", type="team", path="/v1/teams/"),
)
"""A work-item's relationships. A conversation has `QUEUE` alone."""


def relationship(name: str, target: str) -> dict[str, Any]:
    """A work-item's relationship of this name to the document with the id `target`."""
    return next(link for link in WORK_ITEM_LINKS if link.name == name).to(target)


def related_id(document: Mapping[str, Any], name: str) -> str | None:
    """The id that a document's relationship names; None where it is absent or names none."""
    link = (document.get("relationships") or {}).get(name)
    data = link.get("data") if link else None
    return data["id"] if data else None


def with_relationship(relationships: Mapping[str, Any], link: Link, target: str | None) -> Mapping[str, Any]:
    """The relationships with this one naming `target`; without it where `target` is None."""
    if target is None:
        return {name: value for name, value in relationships.items() if name != link.name}
    return {**relationships, link.name: link.to(target)}
