"""What becomes of a message. Settling turns each into a queue action, a metric and a log line (worker/settle.py)."""

from dataclasses import dataclass

from commands.record import record
from handlers.events.event import Event, RejectionCode
from handlers.ports import Announcement
from sync.audit import AuditRecord


@record
class Done:
    """Handled, or nothing to handle: delete the message."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """May succeed later: make the message visible again after a growing delay, or after `after_s` seconds."""

    reason: str
    after_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Poison:
    """Can never succeed: to the dead-letter queue, with code and reason."""

    code: RejectionCode
    reason: str


MessageOutcome = Done | Retry | Poison


@record
class HandledEvent:
    """One event's end: its outcome, its audit record, and what was put into the outbox for it."""

    event: Event
    outcome: Done | Retry
    audit: AuditRecord
    announcements: tuple[Announcement, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PolledPair:
    """What became of a pair that no event asked about."""

    audit: AuditRecord
    announcements: tuple[Announcement, ...] = ()
