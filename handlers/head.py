"""An event that has been unwrapped, with its snapshot still to be read."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from handlers.event import Event
from handlers.wire import EventEnvelope, ReasonMeta, RoutingReason
from sync.gates import Trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What is known of an event before its snapshot is read. `data` is as it came."""

    envelope: EventEnvelope
    data: Mapping[str, Any]
    published_at: datetime | None
    trace: Mapping[str, str] | None
    metas: tuple[ReasonMeta, ...] = ()
    supported: bool = True

    def unsupported(self) -> "Head":
        """The same event, of which only the revision counts."""
        return replace(self, supported=False)

    def event(self, side: Trigger, *, conversation_id: str, document_id: str, rev: int, **own: Any) -> Event:
        """The event, with what its side has of its own."""
        return Event(
            id=self.envelope.id,
            name=self.envelope.name,
            side=side,
            org=self.envelope.org,
            partition=self.envelope.partition,
            conversation_id=conversation_id,
            document_id=document_id,
            rev=rev,
            data=self.data,
            client=self.envelope.client,
            is_sync=self.envelope.isSync is True,
            ours=self.ours,
            published_at=self.published_at,
            supported=self.supported,
            trace=self.trace,
            **own,
        )

    @property
    def is_create(self) -> bool:
        """A create has no `changes`."""
        return self.envelope.name.endswith(".create")

    @property
    def reasons(self) -> list[RoutingReason]:
        """The routing reasons, none for null."""
        return self.envelope.routingReasons or []

    @property
    def ours(self) -> bool:
        """A sync of this worker's: its reasons hold a `SYNC_*` action; the predecessor's hold none (domain.md)."""
        return self.envelope.isSync is True and any(
            reason.action is not None and reason.action.startswith("SYNC_") for reason in self.reasons
        )

    def attribute_change(self, name: str) -> tuple[Any, Any] | None:
        """An attribute's value before and after, or None where it did not change."""
        changes = self.envelope.changes
        change = (changes.attributes or {}).get(name) if changes else None
        return None if change is None else (change.before, change.after)

    def relationship_changed(self, name: str) -> bool:
        """True where the relationship names something else than before."""
        changes = self.envelope.changes
        return changes is not None and name in (changes.relationships or {})
