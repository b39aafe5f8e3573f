"""The command context: the queues and sessions that a command may need."""

from collections.abc import Mapping

from msgspec import Struct, field

from commands.reason import Refusal, RefusalCode
from commands.session import Session
from commands.update import QueueChoice


class RoutingQueue(Struct, frozen=True, kw_only=True):
    """A queue; size and priority are None where the queue does not set them."""

    id: str
    key: str | None = None
    item_size: int | None = None
    priority: int | None = None


class CommandContext(Struct, frozen=True, kw_only=True):
    """Queues and sessions by id, as read from the store."""

    queues: Mapping[str, RoutingQueue] = field(default_factory=dict)
    sessions: Mapping[str, Session] = field(default_factory=dict)

    def queue_id(self, choice: QueueChoice) -> str | Refusal:
        """The id of the queue that an update names: an id as it is, or the id of a known key (else `UNKNOWN_QUEUE`)."""
        if choice.id is not None:
            return choice.id
        queue = next((queue for queue in self.queues.values() if queue.key == choice.key), None)
        if queue is not None:
            return queue.id
        return Refusal(
            code=RefusalCode.UNKNOWN_QUEUE,
            message=f"'queue.key' {choice.key!r} names no queue: use a known key, or the queue's id",
        )

    def session_for(self, user: str, preferred: str | None = None) -> str | None:
        """The session that takes an item of this user: `preferred` if it is an active one of the user's, else the
        user's first active one by id, else None."""
        active = sorted(session.id for session in self.sessions.values() if session.active and session.user == user)
        if preferred in active:
            return preferred
        return active[0] if active else None
