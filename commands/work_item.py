"""The work-item and its timing records, as far as a command reads or writes them.

The stored document keeps every other field untouched.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from msgspec import Struct, field


class Status(StrEnum):
    """A work-item's status, as it is stored. Every status but completed is active."""

    IVR = "ivr"
    QUEUED = "queued"
    ROUTED = "routed"
    ASSIGNED = "assigned"
    WRAP_UP = "wrap-up"
    COMPLETED = "completed"


STATUS_ALIASES: Final = {
    **{status.value: status for status in Status},
    "complete": Status.COMPLETED,
    "wrapUp": Status.WRAP_UP,
    "wrapup": Status.WRAP_UP,
}
"""The statuses by every spelling that is accepted on input (docs/events.md)."""


class QueuePass(Struct, frozen=True, kw_only=True):
    """`lastRevision`: the timings of the current pass through the queue. `other` keeps the parts not modelled."""

    entered_queue_at: datetime | None = None
    queue_time_ms: int | None = None
    queue_business_time_ms: int | None = None
    routed_at: datetime | None = None
    accepted_at: datetime | None = None
    other: Mapping[str, Any] = field(default_factory=dict)


class StatusDuration(Struct, frozen=True, kw_only=True):
    """`ivr` or `wrapUp`: the time spent in a status, over all stays. `entered_at` is set while the item is in it."""

    entered_at: datetime | None = None
    time_ms: int | None = None
    business_time_ms: int | None = None
    other: Mapping[str, Any] = field(default_factory=dict)


class HandleDuration(Struct, frozen=True, kw_only=True):
    """`handle`: the time that agents worked on the item. `resumed_at`: when it came back from wrap-up to assigned."""

    time_ms: int | None = None
    resumed_at: datetime | None = None
    other: Mapping[str, Any] = field(default_factory=dict)


class WorkItem(Struct, frozen=True, kw_only=True):
    """One work-item at one revision. Users, queues, rules, sessions and teams are ids; None: there is none.

    `resource_rev`: the resource's revision that the creator of the work-item knew; 0 if it is not stored.
    `item_size` is any finite number; `session.capacity_of` says what it counts.
    """

    id: str
    rev: int
    status: Status
    number: int = 0
    assigned_to: str | None = None
    accepted_by: str | None = None
    queue: str | None = None
    rule: str | None = None
    routed_to: str | None = None
    session: str | None = None
    team: str | None = None
    paused: bool = False
    item_size: float | None = None
    priority: int | None = None
    queued_count: int = 0
    resource_rev: int = 0
    first_enter_queue_at: datetime | None = None
    last_revision: QueuePass | None = None
    ivr: StatusDuration | None = None
    wrap_up: StatusDuration | None = None
    handle: HandleDuration | None = None
    resource_created_at: datetime | None = None
    resource_first_queue_time_ms: int | None = None
    resource_first_route_time_ms: int | None = None
    resource_first_assign_time_ms: int | None = None
    completed_at: datetime | None = None
    updated_at: datetime | None = None

    @property
    def active(self) -> bool:
        """True until the work-item is completed."""
        return self.status is not Status.COMPLETED
