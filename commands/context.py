"""The command context: the queues and sessions that a command may need."""

from collections.abc import Mapping

from msgspec import Struct, field

from commands.reason import Refusal, RefusalCode
from commands.session import Session, without_item
from commands.update import QueueChoice


class RoutingQueue(Struct, frozen=True, kw_only=True):
    """A queue; size and priority are None where the queue does not set them."""

    id: str
    key: str | None = None
    item_size: float | None = None
    priority: int | None = None


class UnreadableRecord(Exception):
    """A queue or a session that a command needs is stored in a form that cannot be read; the message names it."""


class CommandContext(Struct, frozen=True, kw_only=True):
    """Queues and sessions by id, as read from the store.

    `unreadable_queues`, by id, and `unreadable_sessions`, by user: why a stored one cannot be read. A command that
    needs one raises UnreadableRecord.
    """

    queues: Mapping[str, RoutingQueue] = field(default_factory=dict)
    sessions: Mapping[str, Session] = field(default_factory=dict)
    unreadable_queues: Mapping[str, str] = field(default_factory=dict)
    unreadable_sessions: Mapping[str, str] = field(default_factory=dict)

    def queue(self, queue_id: str) -> RoutingQueue | None:
        """The queue; None: it is not stored. Raises UnreadableRecord."""
        if queue_id in self.unreadable_queues:
            raise UnreadableRecord(self.unreadable_queues[queue_id])
        return self.queues.get(queue_id)

    def queue_id(self, choice: QueueChoice) -> str | Refusal:
        """The id of the queue that an update names: an id as it is, or the id of a known key (else `UNKNOWN_QUEUE`)."""
        if choice.id is not None:
            return choice.id
        queue = next((queue for queue in self.queues.values() if queue.key == choice.key), None)
        if queue is not None:
            return queue.id
        for reason in self.unreadable_queues.values():
            # The key may be that of the queue that cannot be read.
            raise UnreadableRecord(reason)
        return Refusal(
            code=RefusalCode.UNKNOWN_QUEUE,
            message=f"'queue.key' {choice.key!r} names no queue: use a known key, or the queue's id",
        )

    def session_for(self, user: str, *, item: str, preferred: str | None = None) -> Session | None:
        """The session that takes a work-item of this user, as it is without the work-item `item`; None: there is none.

        It is `preferred` where that is an active session of the user. Else it is the active session that can take the
        work-item best: one without another's pending item, then the one with the most free capacity, then the lowest
        id. An assignment is never refused, so this may be a session with another's pending item: `routable` is False.
        Raises UnreadableRecord.
        """
        sessions = [each for each in self.sessions.values() if each.active and each.user == user]
        named = [each for each in sessions if each.id == preferred]
        if not named and user in self.unreadable_sessions:
            raise UnreadableRecord(self.unreadable_sessions[user])
        free = [without_item(each, item) for each in named or sessions]
        return min(free, key=lambda each: (not each.routable, -each.free_capacity, each.id), default=None)

    def session_id_for(self, user: str, *, item: str, preferred: str | None = None) -> str | None:
        """The id of `session_for`."""
        session = self.session_for(user, item=item, preferred=preferred)
        return None if session is None else session.id
