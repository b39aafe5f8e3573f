"""The status page as data: what is away, the pairs that wait and why, queues, the last decisions, the workers."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from handlers.ports import Clock, LoadRequest, Store, StoreAway
from worker.api.pages.pair_report import PairReport, pair_report
from worker.errors import first_line
from worker.history_ports import PairHistory
from worker.ports import (
    EndedWait,
    Outbox,
    OutboxBacklog,
    QueueDirectory,
    SyncStatesByAge,
    WaitingBacklog,
    WaitingTimes,
)
from worker.status_ports import (
    DeadLetterCount,
    FleetStatus,
    FoundDrift,
    HeldLease,
    PostedReport,
    QueueBacklog,
    RecentDecision,
    StatusReads,
)

PAIRS_MAX: Final = 20
DECISIONS_SHOWN: Final = 20
DEAD_LETTERS_SHOWN: Final = 20
_QUEUES_MAX: Final = 100
_WORKERS_MAX: Final = 50
_OUTBOX_AGE_S_MAX: Final = 60.0
"""An announcement leaves the outbox within seconds, and a relay takes it after half a minute."""
_SILENT_INTERVALS: Final = 3
_GONE_S: Final = 3_600.0
"""A worker that reported for the last time so long ago is no longer shown."""
_STOPPED_S: Final = 120.0
"""A worker that stopped is shown for so long."""
_NAMES_MAX: Final = 3
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


class Problem(Struct, frozen=True, kw_only=True):
    """A part that is away or late: its name, and what is wrong in one line."""

    part: str
    text: str


class WorkerRow(Struct, frozen=True, kw_only=True):
    """A worker's last report, and whether the next one is overdue."""

    posted: PostedReport
    silent: bool


class QueueRow(Struct, frozen=True, kw_only=True):
    """A queue: the work-items that wait in it, and the wait that ended last, within a day."""

    backlog: QueueBacklog
    latest: EndedWait | None


class StatusView(Struct, frozen=True, kw_only=True):
    """Everything that the status page shows. `away`: why the store cannot be read; the rest is then empty.

    `away_since`: when that was seen first.
    """

    at: datetime
    away: str | None = None
    away_since: datetime | None = None
    problems: tuple[Problem, ...] = ()
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
        waiting = counted(self.waiting.count, "pair waits", "pairs wait")
        drift = f", {counted(self.left, 'pair has', 'pairs have')} drift that no sweep repaired" if self.left else ""
        return f"{wrong}, {waiting}{drift}."

    @property
    def left(self) -> int:
        """The pairs with drift that is left to a person."""
        return len({drift.conversation_id for drift in self.drifts if not drift.settled})


def counted(count: int, one: str, many: str | None = None) -> str:
    """`1 pair waits`, `2 pairs wait`; `many` is by default `one` with an s."""
    return f"{count} {one if count == 1 else many or f'{one}s'}"


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
    workers = tuple(_workers(fleet))
    return StatusView(
        at=now,
        problems=tuple(_problems(workers, outbox, now)),
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


def _workers(fleet: FleetStatus) -> Iterator[WorkerRow]:
    for posted in fleet.reports:
        shown_s = _STOPPED_S if posted.report.stopped else _GONE_S
        if posted.age_s <= shown_s:
            overdue = posted.age_s > posted.report.interval_s * _SILENT_INTERVALS
            yield WorkerRow(posted=posted, silent=overdue and not posted.report.stopped)


def _problems(workers: Sequence[WorkerRow], outbox: OutboxBacklog, now: datetime) -> Iterator[Problem]:
    yield from _silent_workers(workers)
    yield from _parts_away(workers)
    if workers and all(row.posted.report.stopped for row in workers):
        yield Problem(part="workers", text="each one that reported has stopped: no event is handled")
    working = [row.posted.report for row in workers if not row.silent and not row.posted.report.stopped]
    reasons = {report.no_watermark for report in working if report.no_watermark is not None}
    if reasons and all(report.watermark is None for report in working):
        yield Problem(
            part="watermark",
            text=f"no worker has one ({', '.join(sorted(reasons))}): no waiting pair is decided by time",
        )
    if outbox.oldest is not None and (age_s := (now - outbox.oldest).total_seconds()) > _OUTBOX_AGE_S_MAX:
        events = counted(outbox.count, "event waits", "events wait")
        yield Problem(part="SNS", text=f"{events} to be published, the oldest for {span(age_s)}")
    if outbox.set_aside:
        events = counted(outbox.set_aside, "event")
        yield Problem(part="outbox", text=f"{events} set aside: SNS can never accept them")


def _silent_workers(workers: Sequence[WorkerRow]) -> Iterator[Problem]:
    silent = [row for row in workers if row.silent]
    match silent:
        case []:
            pass
        case [row]:
            yield Problem(part=row.posted.report.worker, text=f"no report for {span(row.posted.age_s)}")
        case _:
            least_s = min(row.posted.age_s for row in silent)
            names = _listed([row.posted.report.worker for row in silent])
            yield Problem(part=f"{len(silent)} workers", text=f"no report for {span(least_s)} or longer: {names}")


def _parts_away(workers: Sequence[WorkerRow]) -> Iterator[Problem]:
    """A problem for each part and reason, however many workers have it: an outage is one problem, not one a worker."""
    having: dict[tuple[str, str], list[str]] = {}
    for row in workers:
        report = row.posted.report
        if not row.silent and not report.stopped:
            for each in report.parts:
                if each.reason is not None:
                    having.setdefault((each.part, each.reason), []).append(report.worker)
    # What most workers have comes first.
    for (part, reason), names in sorted(having.items(), key=lambda found: -len(found[1])):
        match names:
            case [name]:
                yield Problem(part=f"{name}, {part}", text=reason)
            case _:
                yield Problem(part=f"{part}, {len(names)} workers", text=f"{reason} ({_listed(names)})")


def _listed(names: Sequence[str]) -> str:
    first = ", ".join(sorted(names)[:_NAMES_MAX])
    return first if len(names) <= _NAMES_MAX else f"{first} and {len(names) - _NAMES_MAX} more"


_SPANS: Final = ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s"))


def span(seconds: float) -> str:
    """A time span in its two largest units, rounded down: `2 min 5 s`; a negative one counts as 0."""
    whole = max(int(seconds), 0)
    for unit_s, unit, part_s, part in _SPANS:
        if whole >= unit_s:
            rest = whole % unit_s // part_s
            return f"{whole // unit_s} {unit} {rest} {part}" if rest else f"{whole // unit_s} {unit}"
    return f"{whole} s"
