"""The waiting times on MongoDB: the records of `waits`, and the work-items that wait.

| read | uses |
|---|---|
| the latest wait of each queue | the index `by_queue_and_end` of `waits`: one entry a queue |
| the queues of an org | the index `by_org_and_queue` of `waits`: one entry a queue; without an org the other one |
| how many wait | the index `queued_by_queue` of `work_items` alone, which holds those that wait and no others |
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from pymongo import DESCENDING

from worker.mongo.database import Client, database_of, store_deadline
from worker.mongo.indexes.definitions import QUEUED, QUEUED_BY_QUEUE_KEYS
from worker.ports.waiting_times import LATEST_WAIT_WITHIN, EndedWait
from worker.store.documents import Collection

_UNIONS_MAX: Final = 100
"""Queues that one command reads: each is a part of its pipeline."""


class MongoWaitingTimes:
    """`worker.ports.waiting_times.WaitingTimes`. Each call takes at most `deadline_s` and raises StoreAway."""

    def __init__(self, client: Client, database: str, *, deadline_s: float) -> None:
        """The client's owner closes it."""
        self._database = database_of(client, database)
        self._waits = self._database[Collection.WAITS]
        self._deadline_s = deadline_s

    async def latest(self, queue_ids: Sequence[str], *, now: datetime) -> Mapping[str, EndedWait]:
        """By queue: the wait that ended last, within a day before or after `now`."""
        within = {"$gte": now - LATEST_WAIT_WITHIN, "$lte": now + LATEST_WAIT_WITHIN}
        with store_deadline(self._deadline_s):
            return await self._latest(queue_ids, {"endedAt": within})

    async def latest_in(
        self, begin: datetime, end: datetime, *, queue_ids: Sequence[str] | None, org: str | None
    ) -> Mapping[str, EndedWait]:
        """By queue: the wait that ended last from `begin` to `end`."""
        of_org = {} if org is None else {"org": org}
        with store_deadline(self._deadline_s):
            if queue_ids is None:
                # Of a record in another form than the worker's the queue may be anything.
                queue_ids = [each for each in await self._waits.distinct("queue", of_org) if isinstance(each, str)]
            return await self._latest(queue_ids, {"endedAt": {"$gte": begin, "$lte": end}, **of_org})

    async def waiting(self, queue_ids: Sequence[str]) -> Mapping[str, int]:
        """By queue: how many work-items wait in it now; MongoDB reads only the index, which must have been made."""
        by_queue: list[dict[str, Any]] = [
            {"$match": {**QUEUED, "relationships.queue.data.id": {"$in": sorted(set(queue_ids))}}},
            {"$group": {"_id": "$relationships.queue.data.id", "count": {"$sum": 1}}},
        ]
        with store_deadline(self._deadline_s):
            cursor = await self._database[Collection.WORK_ITEMS].aggregate(by_queue, hint=QUEUED_BY_QUEUE_KEYS)
            return {group["_id"]: group["count"] for group in await cursor.to_list()}

    async def _latest(self, queue_ids: Sequence[str], condition: Mapping[str, Any]) -> dict[str, EndedWait]:
        ids = sorted(set(queue_ids))
        found: dict[str, EndedWait] = {}
        for start in range(0, len(ids), _UNIONS_MAX):
            first, *rest = [_last_of(queue, condition) for queue in ids[start : start + _UNIONS_MAX]]
            unions = [{"$unionWith": {"coll": Collection.WAITS.value, "pipeline": each}} for each in rest]
            cursor = await self._waits.aggregate([*first, *unions], batchSize=_UNIONS_MAX)
            waits = [(document["queue"], _ended_wait(document)) for document in await cursor.to_list()]
            found.update((queue, wait) for queue, wait in waits if wait is not None)
        return found


def _last_of(queue: str, condition: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        {"$match": {"queue": queue, **condition}},
        {"$sort": {"endedAt": DESCENDING, "_id": DESCENDING}},
        {"$limit": 1},
        {"$project": {"queue": 1, "workItemId": 1, "endedAt": 1, "durationMs": 1}},
    ]


def _ended_wait(document: Mapping[str, Any]) -> EndedWait | None:
    """The wait of a record; None for one that is not in the form in which the worker writes it."""
    match document:
        case {"workItemId": str(item), "endedAt": datetime() as ended_at, "durationMs": int(duration_ms)}:
            return EndedWait(work_item=item, ended_at=ended_at, duration_ms=duration_ms)
        case _:
            return None
