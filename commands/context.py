"""What a command may know besides its work-item: the queues and the sessions it could meet."""

from collections.abc import Mapping

from msgspec import Struct, field

from commands.refusal import Refusal, RefusalCode
from commands.session import Session
from commands.update import QueueChoice


class RoutingQueue(Struct, frozen=True, kw_only=True):
    """A queue; None for a size or priority that the queue does not set."""

    id: str
    key: str | None = None
    item_size: int | None = None
    priority: int | None = None


class CommandContext(Struct, frozen=True, kw_only=True):
    """Queues and sessions by id, as read."""

    queues: Mapping[str, RoutingQueue] = field(default_factory=dict)
    sessions: Mapping[str, Session] = field(default_factory=dict)

    def chosen_queue(self, choice: QueueChoice) -> str | Refusal:
        """The id of the queue an update names; an id is taken as it is, a key must be known (`UNKNOWN_QUEUE`)."""
        if choice.id is not None:
            return choice.id
        known = next((queue for queue in self.queues.values() if queue.key == choice.key), None)
        if known is not None:
            return known.id
        return Refusal(
            code=RefusalCode.UNKNOWN_QUEUE,
            message=f"'queue.key' {choice.key!r} names no queue: use a known key, or the queue's id",
        )

    def session_for(self, user: str, wanted: str | None = None) -> str | None:
        """The session an item of this user goes to: `wanted` if it is an active one of theirs, else their first
        active one by id, else None."""
        theirs = sorted(session.id for session in self.sessions.values() if session.active and session.user == user)
        if wanted in theirs:
            return wanted
        return theirs[0] if theirs else None
