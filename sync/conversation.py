"""The conversation as the rules see it, and the fields that it shares with its work-item.

Leaves out everything else that agents and customers see of a conversation.
"""

from datetime import datetime
from enum import StrEnum
from typing import Final, Literal

from msgspec import Struct

Field = Literal["assignee", "queue", "status", "ended", "paused"]
"""`status`: done or completed, or not. `ended`: ended or wrap-up, or not. `paused`: snoozed or paused, or not."""

FIELDS: Final[tuple[Field, ...]] = ("assignee", "queue", "status", "ended", "paused")


class ConversationStatus(StrEnum):
    """A conversation's status; a work-item never stores `done`, a conversation never `completed`."""

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
