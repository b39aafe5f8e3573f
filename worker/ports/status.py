"""The ports of the status page: what each worker tells of itself, and what the page reads.

| port | adapter | raises |
|---|---|---|
| `StatusBoard` | `mongo/adapters/status_board.py`, `store/memory/status.py` | `StoreAway` |
| `StatusReads` | `mongo/adapters/status_reads.py`, `store/memory/status.py` | `StoreAway` |

The page is another process than the workers, so each worker leaves a report in the store every few seconds: its health
and its last decisions. A report is one document of bounded size, written beside the transactions of the events and
never within one. It holds ids, states and codes, and never a customer's words.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol

from msgspec import Struct

DECISIONS_MAX: Final = 20
"""The decisions that a worker's report keeps, and the drifts."""
DEAD_LETTERS_MAX: Final = 20
"""The kinds of dead letters that a worker's report tells apart."""


class DecisionReason(Struct, frozen=True, kw_only=True, rename="camel"):
    """Why a decision wrote a field, or wrote nothing: a reason's action and code (docs/events.md, *Reason codes*), and
    the rule's id if a rule asked for it."""

    action: str
    code: str
    rule: str | None = None


class RecentDecision(Struct, frozen=True, kw_only=True, rename="camel"):
    """One decision that wrote, was refused, failed, or waits: the part of its audit record that the page shows.

    `conversation_fields`, `work_item_fields`: the names of the fields that it wrote. `waiting_fields`: the fields that
    wait for an event. `event` None: no event triggered it, but the gap poll or the sweep.
    """

    at: datetime
    conversation_id: str | None
    work_item_id: str | None
    outcome: str
    direction: str | None
    trigger: str | None
    reasons: tuple[DecisionReason, ...]
    conversation_fields: tuple[str, ...] = ()
    work_item_fields: tuple[str, ...] = ()
    waiting_fields: tuple[str, ...] = ()
    event: str | None = None
    event_rev: int | None = None


class FoundDrift(Struct, frozen=True, kw_only=True, rename="camel"):
    """A drift that the sweep found: its class, what became of it, and the fields on which the records differed.

    `settled`: nothing is left for a person. `since`: the later time of writing of the pair's documents, None if it is
    not known. `detail` says more in words.
    """

    at: datetime
    drift: str
    end: str
    settled: bool
    conversation_id: str | None
    work_item_id: str | None
    since: datetime | None = None
    fields: tuple[str, ...] = ()
    detail: str | None = None


class DeadLetterCount(Struct, frozen=True, kw_only=True, rename="camel"):
    """How many messages the worker gave up for one reason, and when the last one. `event`: the name of a handled
    event, or `other`. `code`: as the letter has it, or `NO_CODE` where SQS moves the message."""

    code: str
    reason: str
    event: str
    count: int
    last: datetime


class PartHealth(Struct, frozen=True, kw_only=True, rename="camel"):
    """A part of a worker as its readiness check has it; `reason` None: it works."""

    part: str
    reason: str | None = None


class WorkerReport(Struct, frozen=True, kw_only=True, rename="camel"):
    """A worker's report on itself. The next one follows in `interval_s`; a worker that stops leaves a last one with
    `stopped`.

    `watermark` is None if the worker has none; `no_watermark` then says why, None if its policy keeps none.
    `decisions`, `drifts`: the last ones, oldest first. `dead_letters`: since the process started, `up_s` ago; a worker
    of an earlier version reports no `up_s`.
    """

    worker: str
    interval_s: float
    parts: tuple[PartHealth, ...] = ()
    watermark: str | None = None
    no_watermark: str | None = None
    decisions: tuple[RecentDecision, ...] = ()
    drifts: tuple[FoundDrift, ...] = ()
    dead_letters: tuple[DeadLetterCount, ...] = ()
    stopped: bool = False
    up_s: float | None = None


class StatusBoard(Protocol):
    """The place where the workers leave their reports."""

    async def post(self, report: WorkerReport) -> None:
        """Leave the report in the place of the worker's last one. Raises StoreAway."""
        ...

    async def remove_old(self, older_than_s: float) -> None:
        """Remove the reports of workers that have left none for so long. Raises StoreAway."""
        ...


class PostedReport(Struct, frozen=True, kw_only=True):
    """A worker's last report, and the time since it was left, by the database's clock."""

    report: WorkerReport
    age_s: float


class HeldLease(Struct, frozen=True, kw_only=True):
    """A lease of the fleet. `left_s`: the time until it expires, by the database's clock; below 0: it has expired."""

    name: str
    holder: str
    left_s: float


class FleetStatus(Struct, frozen=True, kw_only=True):
    """The last reports of the workers, the latest first, and the fleet's leases by name."""

    reports: tuple[PostedReport, ...] = ()
    leases: tuple[HeldLease, ...] = ()


class QueueBacklog(Struct, frozen=True, kw_only=True):
    """The work-items that wait in a queue: how many, and since when the oldest; None: no item says. `queue` None: the
    items name no queue."""

    queue: str | None
    count: int
    oldest: datetime | None


class StatusReads(Protocol):
    """The reads of the status page that no other port has. Each uses an index, or a collection that stays small."""

    async def fleet(self, limit: int) -> FleetStatus:
        """The reports of at most `limit` workers, and the leases. Raises StoreAway."""
        ...

    async def queue_backlogs(self, limit: int) -> Sequence[QueueBacklog]:
        """The queues in which work-items wait, at most `limit`, the longest one first. Raises StoreAway."""
        ...
