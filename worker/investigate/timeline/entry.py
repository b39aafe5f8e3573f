"""The entries of a timeline: one revision of a conversation or of a work-item, and what its write changed.

An entry is made from a captured event (`captured.py`). Any other source that knows the revisions of a record, for
example the store's revision records, makes the same entries. A reader may pack them with `msgspec.msgpack`, so every
value is JSON or a type that msgspec reads back.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from msgspec import Struct

from commands.work_item import STATUS_ALIASES, Status, WorkItem
from sync.conversation import FIELDS, Conversation, ConversationStatus, Field
from sync.gates import Side


class RecordState(Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """What a record had after a write, or before it, as far as both records share it. Users and queues are ids.

    `status`: a conversation's `open`, `snoozed` or `done`, a work-item's `ivr` to `completed`. `assignees`: of a
    work-item at most one. `ended` of a work-item: it is in wrap-up. `paused` of a conversation: it is snoozed.
    `number` and `queued_count` are 0 for a conversation.
    """

    status: str
    assignees: tuple[str, ...] = ()
    queue: str | None = None
    ended: bool = False
    paused: bool = False
    deleted: bool = False
    number: int = 0
    queued_count: int = 0

    @property
    def closed(self) -> bool:
        """A conversation is done or deleted, a work-item completed."""
        return self.deleted or self.status in (ConversationStatus.DONE.value, Status.COMPLETED.value)

    def value(self, field: Field) -> object:
        """The shared value of a field, in a form in which the two records compare: for `assignee` the ids in order, for
        `queue` an id or None, else true or false."""
        match field:
            case "assignee":
                return self.assignees
            case "queue":
                return self.queue
            case "status":
                return self.closed
            case "ended":
                return self.ended
            case "paused":
                return self.paused

    def as_conversation(self, document_id: str, rev: int) -> Conversation:
        """The conversation as the rules see it. `status` must be a conversation's."""
        return Conversation(
            id=document_id,
            rev=rev,
            status=ConversationStatus(self.status),
            assigned_users=self.assignees,
            queue=self.queue,
            ended=self.ended,
            deleted=self.deleted,
        )

    def as_work_item(self, document_id: str, rev: int) -> WorkItem:
        """The work-item as the rules see it. `status` must be a work-item's."""
        return WorkItem(
            id=document_id,
            rev=rev,
            status=STATUS_ALIASES[self.status],
            number=self.number,
            assigned_to=self.assignees[0] if self.assignees else None,
            queue=self.queue,
            paused=self.paused,
            queued_count=self.queued_count,
        )


class ChangedValue(Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """An attribute or a relationship before and after a write; of a relationship the id that it names.

    `name` is the wire's (`assignedUsers`, `queue`). None: it had, or has, no value.
    """

    name: str
    before: Any
    after: Any


class EntryReason(Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """A routing reason of the event. `meta` holds the known keys alone (docs/events.md)."""

    action: str | None
    code: str | None
    meta: Mapping[str, Any] = {}


class TimelineEntry(Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """One revision of a record.

    `at`: the time of the write by its owner's clock (`updatedAt`), else the time of publication; None if the source
    says neither. Clocks of different owners may differ by milliseconds or more.
    `state`: the record after the write; None where the event's name is not supported. `before`: the record before it;
    None where it was not captured.
    `changes`: the fields that the write changed and whose values a timeline may show; None if the source does not say.
    `other_changes`: the names of the others, which may hold a customer's words.
    `changed_fields`: the shared fields among them; None if the source does not say. A work-item's creation counts as a
    change of every field (docs/rules.md, *The sync state*).
    `known_conversation_rev`: the conversation revision that a work-item's write knew; None if it does not say.
    `is_own_sync`: a sync of this worker; a sync of its predecessor gives no reason.
    `file` and `line`: the place in the capture; empty and 0 for another source.
    """

    side: Side
    document_id: str
    rev: int
    at: datetime | None
    published_at: datetime | None = None
    event_id: str | None = None
    name: str | None = None
    client: str | None = None
    is_sync: bool = False
    is_own_sync: bool = False
    creation: bool = False
    deletion: bool = False
    state: RecordState | None = None
    before: RecordState | None = None
    changes: tuple[ChangedValue, ...] | None = ()
    other_changes: tuple[str, ...] = ()
    changed_fields: frozenset[Field] | None = frozenset()
    reasons: tuple[EntryReason, ...] = ()
    known_conversation_rev: int | None = None
    trace_id: str | None = None
    file: str = ""
    line: int = 0

    @property
    def label(self) -> str:
        """`conversation 7`, `work-item 2`: the entry within its pair, where the pair has one work-item."""
        return f"{self.side} {self.rev}"

    def changed(self, field: Field) -> bool:
        """Whether the write is known to have given the field another value. A creation does not."""
        if self.before is not None and self.state is not None:
            return self.before.value(field) != self.state.value(field)
        return not self.creation and self.changed_fields is not None and field in self.changed_fields

    def follows_from_closing(self, field: Field) -> bool:
        """Whether the field has its value because the record is closed: a conversation that is done is not snoozed any
        more, and a completed work-item has left its wrap-up. Whoever closed it did not write the field."""
        is_closed = self.state is not None and self.state.closed
        return is_closed and field == ("paused" if self.side == "conversation" else "ended")


class AuditEntry(Struct, frozen=True, kw_only=True, gc=False, array_like=True):
    """A recorded audit line (docs/events.md, *The audit line*), this worker's or its predecessor's.

    The predecessor's lines have the ids, the time, the trace id and `updated_conversation` alone. `is_own` is False
    for them. `updated_conversation` and `updated_work_item` are as recorded, with `rev`: the revision against which
    the write was decided. A key of another type than documented counts as absent.
    """

    at: datetime | None
    conversation_id: str
    is_own: bool
    work_item_id: str | None = None
    event_id: str | None = None
    event_rev: int | None = None
    trigger: str | None = None
    outcome: str | None = None
    direction: str | None = None
    policy: str | None = None
    updated_conversation: Mapping[str, Any] | None = None
    updated_work_item: Mapping[str, Any] | None = None
    before: Mapping[str, Any] | None = None
    reasons: tuple[EntryReason, ...] = ()
    suppressed: tuple[Mapping[str, Any], ...] = ()
    conversation_rev: int | None = None
    work_item_rev: int | None = None
    trace_id: str | None = None
    client: str | None = None
    file: str = ""
    line: int = 0


EVERY_FIELD: Final = frozenset(FIELDS)
