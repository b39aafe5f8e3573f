"""The conversation, as the rules see it. Left out: everything agents and customers see beyond the shared fields."""

from datetime import datetime
from enum import StrEnum

from commands.record import record


class ConversationStatus(StrEnum):
    """A conversation's status; a work-item never stores `done`, a conversation never `completed`."""

    OPEN = "open"
    SNOOZED = "snoozed"
    DONE = "done"


@record
class Conversation:
    """One conversation at one revision; users and queue are ids."""

    id: str
    rev: int
    status: ConversationStatus
    assigned_users: tuple[str, ...] = ()
    queue: str | None = None
    ended: bool = False
    deleted: bool = False
    updated_at: datetime | None = None
