"""The history of one pair's outside writes, and what the audit needs of a load's services."""

from dataclasses import dataclass, field
from random import Random
from typing import Any, Protocol

from handlers.events.event import Event
from handlers.events.parser import read_object
from sync.contract import FieldHistory
from sync.conversation import Field
from tests.causality.outside import (
    published_event,
    with_outside_write,
    with_unknown_knew,
    with_unknown_knew_of_fields,
)
from tests.faults.load.document_writer import OutsideWrite


@dataclass(slots=True, kw_only=True)
class WrittenPair:
    """One conversation with its work-items: the writes so far, and what each field must hold.

    `seen`: the conversation's revisions that the services have read, the latest last.
    """

    key: str
    random: Random
    written: FieldHistory = field(default_factory=FieldHistory)
    writes: int = 0
    items: int = 0
    seen: list[int] = field(default_factory=list)
    lost: set[Field] = field(default_factory=set)

    @property
    def item_key(self) -> str:
        """The id of the latest work-item. Before the first work-item, an id that is not stored."""
        return f"{self.key}-w{self.items}"

    @property
    def history(self) -> FieldHistory:
        """The writes as `sync.contract` reads them. Where a conversation's event was lost, nobody can tell which
        revision changed its fields, so no write of the work-item counts as one that knew it."""
        return with_unknown_knew_of_fields(self.written, self.lost)

    def record(self, write: OutsideWrite, *, lost: bool = False) -> dict[str, Any]:
        """Adds a committed write to the history; returns the event that announces it, unless it is lost."""
        wire = published_event(write.before, write.after, knew=write.known_rev)
        event = read_object(wire)
        assert isinstance(event, Event), event
        self.written = with_outside_write(self.written, event, write.after, write.known_rev)
        fields = event.changed_fields or frozenset()
        if lost and event.side == "conversation":
            self.lost |= fields
        elif lost:
            self.written = with_unknown_knew(self.written, event)
        elif event.side == "conversation":
            self.lost -= fields
        self.writes += 1
        return wire


class LoadServices(Protocol):
    """The services of a load. `run` writes until `stopping` is set."""

    stopping: bool

    @property
    def cases(self) -> dict[str, WrittenPair]:
        """The pairs by the conversation's id."""
        ...

    @property
    def writes(self) -> int:
        """The number of writes committed."""
        ...

    async def run(self) -> None:
        """Writes until `stopping` is set."""
        ...
