"""Outcomes of messages and endings of events.

The settler turns an outcome into a queue action, a metric and a log line (worker/consumer/settlement.py).
"""

from msgspec import Struct

from handlers.events.event import Event, RejectionCode
from handlers.ports import Announcement
from sync.audit import AuditRecord


class Done(Struct, frozen=True, kw_only=True):
    """The message is handled, or there is nothing to handle: delete it."""

    reason: str


class Retry(Struct, frozen=True, kw_only=True):
    """The message may succeed later: make it visible again after a growing delay, or after `after_s` seconds."""

    reason: str
    after_s: float | None = None


class Poison(Struct, frozen=True, kw_only=True):
    """The message can never succeed: move it to the dead-letter queue, with code and reason."""

    code: RejectionCode
    reason: str


MessageOutcome = Done | Retry | Poison


class HandledEvent(Struct, frozen=True, kw_only=True):
    """An event's ending: its outcome, its audit record, and the outbox entries of its writes.

    `gaps_given_up`: how many gaps of unobserved revisions were closed because a document had too many of them; the last
    event of a conversation's batch counts them.
    """

    event: Event
    outcome: Done | Retry
    audit: AuditRecord
    announcements: tuple[Announcement, ...] = ()
    gaps_given_up: int = 0


class PolledPair(Struct, frozen=True, kw_only=True):
    """The ending of a pair that the gap poll decided: its audit record, and the outbox entries of its writes."""

    audit: AuditRecord
    announcements: tuple[Announcement, ...] = ()


class PolledPage(Struct, frozen=True, kw_only=True):
    """The endings of one call of the gap poll. `complete` False: the store went away, or its deadline passed, before
    all pairs were handled. `timed_out`: of how many the commit had no answer in time."""

    pairs: tuple[PolledPair, ...] = ()
    complete: bool = True
    timed_out: int = 0
