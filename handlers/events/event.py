"""An event as the use case sees it, and the two other things that a message can turn out to be."""

import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from commands.instant import format_instant
from handlers.documents.nouns import conversation_of
from sync.conversation import Field
from sync.gates import Side
from sync.state import Observation, shared_values

_CLIENT: Final = re.compile(r"[\w.:/@-]{1,64}")
"""What a service is called. Anything else in its place may be anybody's words, and is not told."""


class RejectionCode(StrEnum):
    """Why a message can never be handled: the dead letter's `error_code` (domain.md, *Dead letters*)."""

    NOT_JSON = "NOT_JSON"
    NOT_AN_EVENT = "NOT_AN_EVENT"
    INVALID_FIELD = "INVALID_FIELD"
    BAD_REVISION = "BAD_REVISION"
    TOO_LARGE = "TOO_LARGE"
    TOO_DEEP = "TOO_DEEP"


class Malformed(Struct, frozen=True, kw_only=True):
    """A message that can never succeed; `reason` names every fault, never a customer's content."""

    code: RejectionCode
    reason: str


class UnsupportedEvent(Struct, frozen=True, kw_only=True):
    """A well-formed event that is none of ours: acknowledged and counted."""

    id: str | None
    name: str


class Event(Struct, frozen=True, kw_only=True):
    """One event of a conversation or a work-item.

    `data` is the snapshot after the write, as it came. `fields` are the shared fields that the write changed, `knew`
    the conversation revision that a work-item's write knew. `supported` False: only its revision is of interest.
    Nobody changes one; but to freeze it would take 2 of the 35 µs in which a message is read.
    """

    id: str
    name: str
    side: Side
    org: str | None
    partition: str | None
    conversation_id: str
    document_id: str
    rev: int
    data: Mapping[str, Any]
    client: str | None
    is_sync: bool
    ours: bool
    published_at: datetime | None
    creation: bool = False
    deletion: bool = False
    fields: frozenset[Field] = frozenset()
    knew: int | None = None
    work_item_number: int = 0
    supported: bool = True
    trace: Mapping[str, Any] | None = None

    @property
    def values(self) -> Mapping[Field, Any]:
        """A conversation's shared values after the write. Made when asked for: nobody asks it of our own syncs."""
        if self.side == "work-item":
            return {}
        snapshot = conversation_of({**self.data, "_id": self.document_id, "rev": self.rev})
        return shared_values(replace(snapshot, deleted=True) if self.deletion else snapshot)

    def observation(self) -> Observation:
        """What the event says to the sync state."""
        item = self.side == "work-item"
        if not self.supported:
            # Its revision and nothing else: what its name makes of the document is not ours to guess.
            return Observation(
                side=self.side,
                rev=self.rev,
                is_sync=True,
                work_item=self.document_id if item else None,
                work_item_number=self.work_item_number,
            )
        return Observation(
            side=self.side,
            rev=self.rev,
            is_sync=self.is_sync,
            fields=self.fields,
            knew=self.knew,
            # Of no other field than the changed ones anything is kept.
            values=self.values if self.creation or self.fields else {},
            creation=self.creation,
            deletion=self.deletion,
            work_item=self.document_id if item else None,
            work_item_number=self.work_item_number,
        )

    def as_audit(self) -> dict[str, Any]:
        """The audit's `event`."""
        return {
            "id": self.id,
            "name": self.name,
            "rev": self.rev,
            "client": self.client if self.client and _CLIENT.fullmatch(self.client) else None,
            "isSync": self.is_sync,
            "publishedAt": format_instant(self.published_at) if self.published_at else None,
        }
