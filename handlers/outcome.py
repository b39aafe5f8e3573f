"""What becomes of a message. Settling turns each into a queue action, a metric and a log line (worker/settle.py)."""

from dataclasses import dataclass

from commands.record import record
from handlers.events.event import Event, Fault
from handlers.ports import Announcement
from sync.audit import Audit


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

    code: Fault
    reason: str


Outcome = Done | Retry | Poison


@record
class Handled:
    """One event's end: its outcome, its audit record, and what was put into the outbox for it."""

    event: Event
    outcome: Done | Retry
    audit: Audit
    announcements: tuple[Announcement, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Polled:
    """What became of a pair that no event asked about."""

    audit: Audit
    announcements: tuple[Announcement, ...] = ()
