"""The waiting times and the queues of work-items in memory, for tests, simulations and replay."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from handlers.documents.relationships import related_id
from handlers.ports import Document
from worker.ports.waiting_times import LATEST_WAIT_WITHIN, EndedWait, QueueDescription
from worker.store.documents import Collection
from worker.store.memory.store import MemoryStore


class MemoryWaitingTimes:
    """`worker.ports.waiting_times.WaitingTimes` on the store in memory. Records do not expire."""

    def __init__(self, store: MemoryStore) -> None:
        """The store that records the waits."""
        self._store = store

    async def latest(self, queue_ids: Sequence[str], *, now: datetime) -> Mapping[str, EndedWait]:
        """By queue: the wait that ended last, within a day before or after `now`."""
        begin, end = now - LATEST_WAIT_WITHIN, now + LATEST_WAIT_WITHIN
        return await self.latest_in(begin, end, queue_ids=queue_ids, org=None)

    async def latest_in(
        self, begin: datetime, end: datetime, *, queue_ids: Sequence[str] | None, org: str | None
    ) -> Mapping[str, EndedWait]:
        """By queue: the wait that ended last from `begin` to `end`."""
        return _latest(
            wait
            for wait in self._waits
            if begin <= wait["endedAt"] <= end
            and (queue_ids is None or wait["queue"] in queue_ids)
            and (org is None or wait["org"] == org)
        )

    async def waiting(self, queue_ids: Sequence[str]) -> Mapping[str, int]:
        """By queue: how many work-items wait in it now."""
        queues = [
            related_id(item, "queue")
            for item in self._store.documents(Collection.WORK_ITEMS)
            if item.get("active") is True and item["attributes"]["status"] == "queued"
        ]
        return Counter(queue for queue in queues if queue is not None and queue in queue_ids)

    @property
    def _waits(self) -> Sequence[Document]:
        return self._store.documents(Collection.WAITS)


def _latest(waits: Iterable[Document]) -> dict[str, EndedWait]:
    ordered = sorted(waits, key=lambda wait: (wait["endedAt"], wait["_id"]))
    return {
        wait["queue"]: EndedWait(work_item=wait["workItemId"], ended_at=wait["endedAt"], duration_ms=wait["durationMs"])
        for wait in ordered
    }


class MemoryQueueDirectory:
    """`worker.ports.waiting_times.QueueDirectory` of given queues."""

    def __init__(self, queues: Iterable[QueueDescription]) -> None:
        """The queues that there are."""
        self._queues = {queue.id: queue for queue in queues}

    async def described(self, queue_ids: Sequence[str]) -> Mapping[str, QueueDescription]:
        """The queues by id; an unknown id is left out."""
        return {queue_id: self._queues[queue_id] for queue_id in queue_ids if queue_id in self._queues}

    async def first(self, limit: int) -> Sequence[str]:
        """The ids of at most `limit` queues, the lowest ids first."""
        return sorted(self._queues)[:limit]
