"""What is away or late, for the status page: workers, their parts, the watermark, and the outbox."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from msgspec import Struct

from worker.ports.outbox import OutboxBacklog
from worker.ports.status import FleetStatus, PostedReport, WorkerReport

_OUTBOX_AGE_S_MAX: Final = 60.0
"""An announcement leaves the outbox within seconds, and a relay takes it after half a minute."""
_SILENT_INTERVALS: Final = 3
_GONE_S: Final = 3_600.0
"""A worker that reported for the last time so long ago is no longer shown."""
_STOPPED_S: Final = 120.0
"""A worker that stopped is shown for so long."""
_STARTING_S: Final = 300.0
"""A worker that started within so long may have no watermark yet: it takes about two minutes in which events come."""
_NOT_MEASURED: Final = frozenset({"BACKLOG_UNKNOWN", "SILENCE"})
"""Why a worker that has just started has no watermark (worker/consumer/watermark.py)."""
_NAMES_MAX: Final = 3


class Problem(Struct, frozen=True, kw_only=True):
    """A part that is away or late: its name, and what is wrong in one line."""

    part: str
    text: str


class WorkerRow(Struct, frozen=True, kw_only=True):
    """A worker's last report, and whether the next one is overdue."""

    posted: PostedReport
    silent: bool


def counted(count: int, one: str, many: str | None = None) -> str:
    """`1 pair waits`, `2 pairs wait`; `many` is by default `one` with an s."""
    return f"{count} {one if count == 1 else many or f'{one}s'}"


def worker_rows(fleet: FleetStatus) -> Iterator[WorkerRow]:
    """The workers that are shown, each with whether its next report is overdue."""
    for posted in fleet.reports:
        shown_s = _STOPPED_S if posted.report.stopped else _GONE_S
        if posted.age_s <= shown_s:
            overdue = posted.age_s > posted.report.interval_s * _SILENT_INTERVALS
            yield WorkerRow(posted=posted, silent=overdue and not posted.report.stopped)


def problems_of(workers: Sequence[WorkerRow], outbox: OutboxBacklog, now: datetime) -> Iterator[Problem]:
    """What is away or late, as the workers and the outbox tell it."""
    yield from _silent_workers(workers)
    yield from _parts_away(workers)
    if workers and all(row.posted.report.stopped for row in workers):
        yield Problem(part="workers", text="each one that reported has stopped: no event is handled")
    reasons = _watermark_missing(workers)
    if reasons and not_measured(workers) is None:
        yield Problem(part="watermark", text=f"no worker has one ({reasons}): no waiting pair is decided by time")
    if outbox.oldest is not None and (age_s := (now - outbox.oldest).total_seconds()) > _OUTBOX_AGE_S_MAX:
        events = counted(outbox.count, "event waits", "events wait")
        yield Problem(part="SNS", text=f"{events} to be published, the oldest for {span(age_s)}")
    if outbox.set_aside:
        events = counted(outbox.set_aside, "event")
        yield Problem(part="outbox", text=f"{events} set aside: SNS can never accept them")


def _working(workers: Sequence[WorkerRow]) -> list[WorkerReport]:
    return [row.posted.report for row in workers if not row.silent and not row.posted.report.stopped]


def _watermark_missing(workers: Sequence[WorkerRow]) -> str:
    """The reasons why no working worker has a watermark; empty where one has, or where none keeps any."""
    working = _working(workers)
    reasons = {report.no_watermark for report in working if report.no_watermark is not None}
    return "" if any(report.watermark is not None for report in working) else ", ".join(sorted(reasons))


def not_measured(workers: Sequence[WorkerRow]) -> str | None:
    """Why the missing watermark is no problem yet: all working workers have just started, and receive. None: it is."""
    reasons = _watermark_missing(workers)
    working = _working(workers)
    # An earlier version does not report how long it runs.
    up_s = max((_STARTING_S if report.up_s is None else report.up_s for report in working), default=_STARTING_S)
    if not reasons or up_s >= _STARTING_S or any(report.no_watermark not in _NOT_MEASURED for report in working):
        return None
    return (
        f"no worker has measured a watermark yet ({reasons}): the first one started {span(up_s)} ago, and it takes "
        "about two minutes in which events come; until then no waiting pair is decided by time"
    )


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
