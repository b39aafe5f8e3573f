"""The status page's ports in memory, for tests."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from commands.instant import parse_instant
from handlers.ports import Clock, Document
from worker.ports.status import FleetStatus, HeldLease, PostedReport, QueueBacklog, WorkerReport
from worker.store.documents import Collection
from worker.store.memory.store import MemoryStore


class MemoryStatus:
    """The ports `StatusBoard` and `StatusReads`, beside the documents of a store."""

    def __init__(self, store: MemoryStore, clock: Clock) -> None:
        """No report is left, and no lease is held."""
        self._store = store
        self._clock = clock
        self._reports: dict[str, tuple[datetime, WorkerReport]] = {}
        self._leases: dict[str, tuple[str, datetime]] = {}

    def put_lease(self, name: str, holder: str, until: datetime) -> None:
        """Hold the lease, whether or not it is held."""
        self._leases[name] = holder, until

    async def post(self, report: WorkerReport) -> None:
        """Leave the report in the place of the worker's last one."""
        self._reports[report.worker] = self._clock.now(), report

    async def remove_old(self, older_than_s: float) -> None:
        """Remove the reports of workers that have left none for so long."""
        now = self._clock.now()
        self._reports = {
            name: (at, report)
            for name, (at, report) in self._reports.items()
            if (now - at).total_seconds() <= older_than_s
        }

    async def fleet(self, limit: int) -> FleetStatus:
        """The reports of at most `limit` workers, the latest first, and the leases."""
        now = self._clock.now()
        latest = sorted(self._reports.values(), key=lambda posted: (posted[0], posted[1].worker), reverse=True)
        return FleetStatus(
            reports=tuple(
                PostedReport(report=report, age_s=(now - at).total_seconds()) for at, report in latest[:limit]
            ),
            leases=tuple(
                HeldLease(name=name, holder=holder, left_s=(until - now).total_seconds())
                for name, (holder, until) in sorted(self._leases.items())
            ),
        )

    async def queue_backlogs(self, limit: int) -> Sequence[QueueBacklog]:
        """The queues in which work-items wait, at most `limit`, the longest one first."""
        entered: dict[str | None, list[datetime | None]] = {}
        for document in self._store.documents(Collection.WORK_ITEMS):
            if document.get("active") is True and _at(document, "attributes", "status") == "queued":
                queue = _at(document, "relationships", "queue", "data", "id")
                entered.setdefault(queue, []).append(
                    parse_instant(text)
                    if isinstance(text := _at(document, "attributes", "lastRevision", "enteredQueueAt"), str)
                    else None
                )
        found = [
            QueueBacklog(queue=queue, count=len(times), oldest=min((at for at in times if at), default=None))
            for queue, times in entered.items()
        ]
        return sorted(found, key=lambda each: (-each.count, each.queue or ""))[:limit]


def _at(document: Document, *path: str) -> Any:
    value: Any = document
    for step in path:
        value = value.get(step) if isinstance(value, dict) else None
    return value
