"""The status page as data: what is away, the pairs that wait and why, queues, the last decisions, the workers."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from handlers.ports import Clock, LoadRequest, Store, StoreAway
from worker.api.pages.pair_report import PairReport, pair_report
from worker.api.pages.status_problems import Problem, WorkerRow, counted, not_measured, problems_of, worker_rows
from worker.errors import first_line
from worker.ports.history import PairHistory
from worker.ports.outbox import Outbox, OutboxBacklog
from worker.ports.status import (
    DeadLetterCount,
    FoundDrift,
    HeldLease,
    PostedReport,
    QueueBacklog,
    RecentDecision,
    StatusReads,
)
from worker.ports.sync_states import SyncStatesByAge, WaitingBacklog
from worker.ports.waiting_times import EndedWait, QueueDirectory, WaitingTimes

PAIRS_MAX: Final = 20
DECISIONS_SHOWN: Final = 20
DEAD_LETTERS_SHOWN: Final = 20
_QUEUES_MAX: Final = 100
_WORKERS_MAX: Final = 50
_FAR: Final = timedelta(days=1)
"""Clocks differ: a wait may begin in this process's future."""


class PageSources(Struct, frozen=True, kw_only=True):
    """The ports that the pages read, and the clock of ages. `audit_days`: the setting `AUDIT_DAYS`."""

    store: Store
    sync_states: SyncStatesByAge
    outbox: Outbox
    status: StatusReads
    queues: QueueDirectory
    waiting_times: WaitingTimes
    history: PairHistory
    audit_days: int
    clock: Clock


class QueueRow(Struct, frozen=True, kw_only=True):
    """A queue: the work-items that wait in it, and the wait that ended last, within a day."""

    backlog: QueueBacklog
    latest: EndedWait | None


class StatusView(Struct, frozen=True, kw_only=True):
    """Everything that the status page shows. `away`: why the store cannot be read; the rest is then empty.

    `away_since`: when that was seen first. `not_measured`: what is not known yet, as the workers have just started.
    """

    at: datetime
    away: str | None = None
    away_since: datetime | None = None
    problems: tuple[Problem, ...] = ()
    not_measured: str | None = None
    waiting: WaitingBacklog = WaitingBacklog(count=0, oldest=None)
    pairs: tuple[PairReport, ...] = ()
    queues: tuple[QueueRow, ...] = ()
    outbox: OutboxBacklog = OutboxBacklog(count=0, oldest=None, set_aside=0)
    decisions: tuple[RecentDecision, ...] = ()
    drifts: tuple[FoundDrift, ...] = ()
    dead_letters: tuple[DeadLetterCount, ...] = ()
    workers: tuple[WorkerRow, ...] = ()
    leases: tuple[HeldLease, ...] = ()

    @property
    def summary(self) -> str:
        """One sentence, which a screen reader speaks when it changes."""
        if self.away is not None:
            return "MongoDB is away."
        # Where no worker reports, nothing is known of them: that is not the same as that nothing is wrong.
        calm = "Nothing is away" if self.workers else "No worker reports"
        wrong = f"{counted(len(self.problems), 'problem')}" if self.problems else calm
        if self.not_measured is not None:
            wrong += ", no watermark is measured yet"
        waiting = counted(self.waiting.count, "pair waits", "pairs wait")
        drift = f", {counted(self.left, 'pair has', 'pairs have')} drift that no sweep repaired" if self.left else ""
        return f"{wrong}, {waiting}{drift}."

    @property
    def left(self) -> int:
        """The pairs with drift that is left to a person."""
        return len({drift.conversation_id for drift in self.drifts if not drift.settled})


async def status_view(sources: PageSources) -> StatusView:
    """The view of this moment. It never raises StoreAway: the page then says so."""
    now = sources.clock.now()
    try:
        waiting = await sources.sync_states.waiting_backlog()
        ids = await sources.sync_states.waiting_since_before(now + _FAR, PAIRS_MAX)
        pairs = await pair_reports(ids, sources)
        queues = await _queues(sources, now)
        outbox = await sources.outbox.backlog()
        fleet = await sources.status.fleet(_WORKERS_MAX)
    except StoreAway as away:
        return StatusView(at=now, away=first_line(away))
    workers = tuple(worker_rows(fleet))
    return StatusView(
        at=now,
        problems=tuple(problems_of(workers, outbox, now)),
        not_measured=not_measured(workers),
        waiting=waiting,
        pairs=tuple(pairs),
        queues=queues,
        outbox=outbox,
        decisions=last_decisions(fleet.reports),
        drifts=last_drifts(fleet.reports),
        dead_letters=dead_letters(fleet.reports),
        workers=workers,
        leases=fleet.leases,
    )


async def pair_reports(conversation_ids: Sequence[str], sources: PageSources) -> list[PairReport]:
    """The reports of these pairs, in order. Raises StoreAway."""
    if not conversation_ids:
        return []
    pairs = await sources.store.load([LoadRequest(conversation_id=each) for each in conversation_ids])
    now = sources.clock.now()
    return [pair_report(each, pairs[each], now=now) for each in conversation_ids]


def last_decisions(reports: Sequence[PostedReport], conversation_id: str | None = None) -> tuple[RecentDecision, ...]:
    """The last decisions of all workers, the latest first; with an id those of that conversation."""
    found = [
        decision
        for posted in reports
        for decision in posted.report.decisions
        if conversation_id is None or decision.conversation_id == conversation_id
    ]
    return tuple(sorted(found, key=lambda each: each.at, reverse=True)[:DECISIONS_SHOWN])


def last_drifts(reports: Sequence[PostedReport], conversation_id: str | None = None) -> tuple[FoundDrift, ...]:
    """The last drifts that the sweeps of all workers found, the latest first; with an id those of that conversation."""
    found = [
        drift
        for posted in reports
        for drift in posted.report.drifts
        if conversation_id is None or drift.conversation_id == conversation_id
    ]
    return tuple(sorted(found, key=lambda each: each.at, reverse=True)[:DECISIONS_SHOWN])


def dead_letters(reports: Sequence[PostedReport]) -> tuple[DeadLetterCount, ...]:
    """What all workers gave up, by code, reason and event, the most first. Workers that went within a day count."""
    sums: dict[tuple[str, str, str], DeadLetterCount] = {}
    for each in (count for posted in reports for count in posted.report.dead_letters):
        key = (each.code, each.reason, each.event)
        before = sums.get(key)
        sums[key] = (
            each if before is None else replace(each, count=before.count + each.count, last=max(before.last, each.last))
        )
    ordered = sorted(sums.values(), key=lambda each: (-each.count, each.code, each.reason, each.event))
    return tuple(ordered[:DEAD_LETTERS_SHOWN])


async def _queues(sources: PageSources, now: datetime) -> tuple[QueueRow, ...]:
    """The queues in which work-items wait, the longest one first, then those in which a wait ended within a day."""
    backlogs = {each.queue: each for each in await sources.status.queue_backlogs(_QUEUES_MAX)}
    ids = list(dict.fromkeys([*(key for key in backlogs if key is not None), *await sources.queues.first(_QUEUES_MAX)]))
    latest = await sources.waiting_times.latest(ids, now=now)
    empty = [QueueBacklog(queue=key, count=0, oldest=None) for key in ids if key in latest and key not in backlogs]
    return tuple(
        QueueRow(backlog=each, latest=None if each.queue is None else latest.get(each.queue))
        for each in (*backlogs.values(), *empty)
    )
