"""What becomes of a message. Settling turns each into a queue action, a metric and a log line (worker/settle.py)."""

from msgspec import Struct

from handlers.events.event import Event, RejectionCode
from handlers.ports import Announcement
from sync.audit import AuditRecord


class Done(Struct, frozen=True, kw_only=True):
    """Handled, or nothing to handle: delete the message."""

    reason: str


class Retry(Struct, frozen=True, kw_only=True):
    """May succeed later: make the message visible again after a growing delay, or after `after_s` seconds."""

    reason: str
    after_s: float | None = None


class Poison(Struct, frozen=True, kw_only=True):
    """Can never succeed: to the dead-letter queue, with code and reason."""

    code: RejectionCode
    reason: str


MessageOutcome = Done | Retry | Poison


class HandledEvent(Struct, frozen=True, kw_only=True):
    """One event's end: its outcome, its audit record, and what was put into the outbox for it."""

    event: Event
    outcome: Done | Retry
    audit: AuditRecord
    announcements: tuple[Announcement, ...] = ()


class PolledPair(Struct, frozen=True, kw_only=True):
    """What became of a pair that no event asked about."""

    audit: AuditRecord
    announcements: tuple[Announcement, ...] = ()
