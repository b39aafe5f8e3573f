"""The conversation as the rules see it, and the fields that it shares with its work-item (docs/rules.md)."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Literal

from msgspec import Struct
from msgspec.structs import replace

Field = Literal["assignee", "queue", "status", "ended", "paused"]
"""`status`: done or completed, or not. `ended`: ended or wrap-up, or not. `paused`: snoozed or paused, or not."""

FIELDS: Final[tuple[Field, ...]] = ("assignee", "queue", "status", "ended", "paused")


class ConversationStatus(StrEnum):
    """A conversation's status. A work-item never stores `done`, a conversation never `completed`."""

    OPEN = "open"
    SNOOZED = "snoozed"
    DONE = "done"


class Conversation(Struct, frozen=True, kw_only=True):
    """One conversation at one revision; users and queue are ids."""

    id: str
    rev: int
    status: ConversationStatus
    assigned_users: tuple[str, ...] = ()
    queue: str | None = None
    ended: bool = False
    deleted: bool = False
    updated_at: datetime | None = None


def with_fields(conversation: Conversation, fields: Mapping[str, Any], *, rev: int, now: datetime) -> Conversation:
    """The conversation at revision `rev`, after a write of table A's `fields` (`status`, `assignedUsers`, `ended`,
    `queue: {id}`)."""
    return replace(
        conversation,
        rev=rev,
        status=ConversationStatus(fields.get("status", conversation.status)),
        assigned_users=tuple(fields.get("assignedUsers", conversation.assigned_users)),
        queue=fields["queue"]["id"] if "queue" in fields else conversation.queue,
        ended=fields.get("ended", conversation.ended),
        updated_at=now,
    )
