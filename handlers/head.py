"""An event that has been unwrapped and checked, with its snapshot still to be read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from handlers.event import Event
from handlers.wire import ReasonMeta
from sync.field import Field
from sync.gates import Trigger


@dataclass(slots=True, kw_only=True)
class Head:
    """What is known of an event before its snapshot is read. `wire` is the event itself, as `EventEnvelope` has it.

    Made for every message: not frozen for the reason that Event is not.
    """

    wire: Mapping[str, Any]
    published_at: datetime | None
    trace: Mapping[str, str] | None
    reasons: Sequence[Mapping[str, Any]]
    metas: Sequence[ReasonMeta]
    supported: bool = True

    def unsupported(self) -> "Head":
        """The same event, of which only the revision counts."""
        return replace(self, supported=False)

    def event(
        self,
        side: Trigger,
        *,
        conversation_id: str,
        fields: frozenset[Field],
        deletion: bool = False,
        knew: int | None = None,
        work_item_number: int = 0,
    ) -> Event:
        """The event, with what its side has of its own; its snapshot must be in order."""
        wire = self.wire
        data = wire["data"]
        is_sync = wire.get("isSync") is True
        return Event(
            id=wire["id"],
            name=wire["name"],
            side=side,
            org=wire.get("org"),
            partition=wire.get("partition"),
            conversation_id=conversation_id,
            document_id=data["id"],
            rev=data["attributes"]["rev"],
            data=data,
            client=wire.get("client"),
            is_sync=is_sync,
            ours=is_sync and self._has_sync_reason(),
            published_at=self.published_at,
            creation=self.is_create,
            deletion=deletion,
            fields=fields,
            knew=knew,
            work_item_number=work_item_number,
            supported=self.supported,
            trace=self.trace,
        )

    @property
    def is_create(self) -> bool:
        """A create has no `changes`."""
        name: str = self.wire["name"]
        return name.endswith(".create")

    def _has_sync_reason(self) -> bool:
        """A sync of this worker's: its reasons hold a `SYNC_*` action; the predecessor's hold none (domain.md)."""
        for reason in self.reasons:  # noqa: SIM110 - a generator costs 2 µs more, of the 35 that reading a message takes
            if (reason.get("action") or "").startswith("SYNC_"):
                return True
        return False

    def changed(self) -> tuple[Mapping[str, Mapping[str, Any]], Mapping[str, Mapping[str, Any]]]:
        """What changed of the attributes and of the relationships, by name."""
        changes = self.wire.get("changes") or {}
        return changes.get("attributes") or {}, changes.get("relationships") or {}
