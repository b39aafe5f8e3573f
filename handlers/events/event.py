"""The four results of reading a message: an event, one of this worker's own syncs, an unsupported event, or a malformed
message."""

import re
from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from commands.instant import format_instant
from handlers.documents.document_mapping import conversation_of
from sync.conversation import Field
from sync.gates import Side
from sync.state.agreement import shared_values
from sync.state.observation import Observation

_CLIENT: Final = re.compile(r"[\w.:/@-]{1,64}")
"""The form of a service's name. A `client` of another form may be a customer's words, and the audit leaves it out."""


SYNC_ACTION_PREFIX: Final = "SYNC_"
"""The beginning of a routing reason's action that this worker gives each of its syncs; its predecessor gave none."""


class RejectionCode(StrEnum):
    """Why a message can never be handled: the dead letter's `error_code` (docs/events.md, *Dead letters*).

    | code | found in |
    |---|---|
    | `NOT_JSON` | `json_text` |
    | `NOT_AN_EVENT` | `json_text`, `envelope` |
    | `INVALID_FIELD` | `validation`, `parser` |
    | `BAD_REVISION` | `validation` |
    | `TOO_LARGE` | `envelope` |
    | `TOO_DEEP` | `json_text`, `envelope` |
    """

    NOT_JSON = "NOT_JSON"
    NOT_AN_EVENT = "NOT_AN_EVENT"
    INVALID_FIELD = "INVALID_FIELD"
    BAD_REVISION = "BAD_REVISION"
    TOO_LARGE = "TOO_LARGE"
    TOO_DEEP = "TOO_DEEP"


class Malformed(Struct, frozen=True, kw_only=True):
    """A message that can never be handled. `reason` names every fault and shows no customer's content."""

    code: RejectionCode
    reason: str


class UnsupportedEvent(Struct, frozen=True, kw_only=True):
    """A well-formed event that this worker does not handle. Its message is deleted and counted."""

    id: str | None
    name: str


class OwnSync(Struct, frozen=True, kw_only=True):
    """One of this worker's own syncs, of which no more was read than its ending needs (`own_syncs.py`).

    Only the queue of a running worker has them: the transaction of the write has stored the document and observed its
    revision. The fields are those of `Event` with the same names.
    """

    id: str
    name: str
    side: Side
    conversation_id: str
    document_id: str
    rev: int
    client: str | None
    published_at: datetime | None
    known_conversation_rev: int | None = None
    trace: Mapping[str, Any] | None = None

    def as_audit(self) -> dict[str, Any]:
        """The event as the audit record's `event`, as `Event.as_audit` has it."""
        return _audited(self, is_sync=True)


class StatusChange(Struct, frozen=True, kw_only=True):
    """A work-item before a write that changed its status: the status, the queue's id and `lastRevision`, unchecked."""

    status: object
    queue: object
    last_revision: object


class Event(Struct, frozen=True, kw_only=True):
    """One write of a conversation or a work-item, announced by the service that made it.

    `data`: the document's snapshot after the write, as it came.
    `changed_fields`: the shared fields that the write changed; None for an update that does not say.
    `is_sync`: a sync made the write. `is_own_sync`: a sync of this worker, not of its predecessor.
    `known_conversation_rev`: the conversation revision that a work-item's write knew; None if the event does not say.
    `status_change`: None unless the event is of a work-item and says that the write changed its status.
    `told_changes`: what the event tells of the write's changes, in the audit's form (told_changes.py); None: nothing,
    and for this worker's own syncs, whose decisions the audit has already.
    `supported` False: the event's name is unknown, and only its revision is observed.
    `is_mended`: a text that no field models had half a surrogate pair, and has U+FFFD in its place.
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
    is_own_sync: bool
    published_at: datetime | None
    creation: bool = False
    deletion: bool = False
    changed_fields: frozenset[Field] | None = frozenset()
    known_conversation_rev: int | None = None
    work_item_number: int = 0
    status_change: StatusChange | None = None
    told_changes: Mapping[str, Any] | None = None
    supported: bool = True
    trace: Mapping[str, Any] | None = None
    is_mended: bool = False

    @property
    def values(self) -> Mapping[Field, Any]:
        """A conversation's shared values after the write; empty for a work-item.

        They are computed on each call, because this worker's own syncs, most of the events, never need them.
        """
        if self.side == "work-item":
            return {}
        snapshot = conversation_of({**self.data, "_id": self.document_id, "rev": self.rev})
        return shared_values(replace(snapshot, deleted=True) if self.deletion else snapshot)

    def observation(
        self, changed_fields: frozenset[Field] = frozenset(), *, all_changes_known: bool = True
    ) -> Observation:
        """The event as an observation for the sync state. The parameters replace `changed_fields` where it is None."""
        if self.changed_fields is not None:
            changed_fields, all_changes_known = self.changed_fields, True
        item = self.side == "work-item"
        if not self.supported:
            # The meaning of an unknown name is unknown, so only the revision is observed.
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
            changed_fields=changed_fields,
            all_changes_known=all_changes_known,
            known_conversation_rev=self.known_conversation_rev,
            # The sync state keeps the values of changed fields only.
            values=self.values if self.creation or changed_fields else {},
            creation=self.creation,
            deletion=self.deletion,
            work_item=self.document_id if item else None,
            work_item_number=self.work_item_number,
        )

    @property
    def _hides_changes(self) -> bool:
        """Whether the event is of an outside update that does not say what it changed."""
        return self.changed_fields is None and self.supported and not self.is_own_sync

    def as_audit(self) -> dict[str, Any]:
        """The event as the audit record's `event`."""
        audited = _audited(self, is_sync=self.is_sync)
        if self.told_changes is not None or self._hides_changes:
            audited["changes"] = self.told_changes
        return audited


def _audited(event: Event | OwnSync, *, is_sync: bool) -> dict[str, Any]:
    audited: dict[str, Any] = {
        "id": event.id,
        "name": event.name,
        "rev": event.rev,
        "client": event.client if event.client and _CLIENT.fullmatch(event.client) else None,
        "isSync": is_sync,
        "publishedAt": format_instant(event.published_at) if event.published_at else None,
    }
    if event.known_conversation_rev is not None:
        audited["knew"] = event.known_conversation_rev
    return audited
