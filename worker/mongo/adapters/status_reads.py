"""The reads of the status page on MongoDB.

| read | uses |
|---|---|
| `fleet` | the index on `_id` of `fleet`, which has a document a lease and a worker |
| `queue_backlogs` | the index `queued_by_queue` of `work_items` alone, which holds those that wait and no others |
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from pymongo import DESCENDING

from commands.instant import parse_instant
from worker.mongo.database import Client, database_of, store_deadline
from worker.mongo.indexes.creation import ensure_waiting_indexes
from worker.mongo.indexes.definitions import QUEUED, QUEUED_BY_QUEUE_KEYS
from worker.ports.status import FleetStatus, HeldLease, PostedReport, QueueBacklog
from worker.store.documents import Collection
from worker.store.status_documents import LEASE_PREFIX, REPORT_PREFIX, prefix_range, report_of

_LEASES_MAX: Final = 100
_NOW: Final = "$$NOW"


class MongoStatusReads:
    """`worker.ports.status.StatusReads`. Each call takes at most `deadline_s` and raises StoreAway."""

    def __init__(self, client: Client, database: str, *, deadline_s: float) -> None:
        """The client's owner closes it."""
        self._database = database_of(client, database)
        self._deadline_s = deadline_s

    async def ensure_indexes(self) -> None:
        """Create the missing index of these reads, which the worker alone does not need.

        Raises StoreUnfit, Misconfigured, StoreAway.
        """
        await ensure_waiting_indexes(self._database)

    async def fleet(self, limit: int) -> FleetStatus:
        """The reports of at most `limit` workers, the latest first, and the leases."""
        with store_deadline(self._deadline_s):
            return FleetStatus(reports=tuple(await self._reports(limit)), leases=tuple(await self._leases()))

    async def queue_backlogs(self, limit: int) -> Sequence[QueueBacklog]:
        """The queues in which work-items wait, at most `limit`, the longest one first."""
        entered = "$attributes.lastRevision.enteredQueueAt"
        by_queue: list[dict[str, Any]] = [
            {"$match": QUEUED},
            {
                "$group": {
                    "_id": "$relationships.queue.data.id",
                    "count": {"$sum": 1},
                    # Other services may store a date. Of a text and a date, MongoDB takes the text for the lesser one.
                    "text": {"$min": {"$cond": [{"$eq": [{"$type": entered}, "string"]}, entered, None]}},
                    "date": {"$min": {"$cond": [{"$eq": [{"$type": entered}, "date"]}, entered, None]}},
                }
            },
            {"$sort": {"count": -1, "_id": 1}},
            {"$limit": limit},
        ]
        with store_deadline(self._deadline_s):
            cursor = await self._database[Collection.WORK_ITEMS].aggregate(by_queue, hint=QUEUED_BY_QUEUE_KEYS)
            return [_backlog(group) for group in await cursor.to_list()]

    async def _reports(self, limit: int) -> list[PostedReport]:
        latest: list[dict[str, Any]] = [
            # A command fails as a whole on one `at` that is no date.
            {"$match": {"_id": prefix_range(REPORT_PREFIX), "at": {"$type": "date"}}},
            {"$sort": {"at": DESCENDING, "_id": DESCENDING}},
            {"$limit": limit},
            {"$set": {"ageMs": {"$subtract": [_NOW, "$at"]}}},
        ]
        found = await (await self._database[Collection.FLEET].aggregate(latest)).to_list()
        reports = [(report_of(document), document.get("ageMs")) for document in found]
        return [
            PostedReport(report=report, age_s=age_ms / 1_000)
            for report, age_ms in reports
            if report is not None and isinstance(age_ms, int)
        ]

    async def _leases(self) -> list[HeldLease]:
        by_name: list[dict[str, Any]] = [
            {"$match": {"_id": prefix_range(LEASE_PREFIX), "until": {"$type": "date"}}},
            {"$sort": {"_id": 1}},
            {"$limit": _LEASES_MAX},
            {"$project": {"holder": 1, "leftMs": {"$subtract": ["$until", _NOW]}}},
        ]
        found = await (await self._database[Collection.FLEET].aggregate(by_name)).to_list()
        return [
            HeldLease(
                name=document["_id"].removeprefix(LEASE_PREFIX),
                holder=str(document.get("holder")),
                left_s=document["leftMs"] / 1_000,
            )
            for document in found
        ]


def _backlog(group: dict[str, Any]) -> QueueBacklog:
    queue = group["_id"]
    times = [at for at in (_instant(group["text"]), _instant(group["date"])) if at is not None]
    return QueueBacklog(
        queue=queue if queue is None or isinstance(queue, str) else str(queue),
        count=group["count"],
        oldest=min(times, default=None),
    )


def _instant(stored: object) -> datetime | None:
    """The instant of a text or of a date; None for anything else, and for a date beyond Python's range."""
    if isinstance(stored, str):
        return parse_instant(stored)
    return stored if isinstance(stored, datetime) else None
