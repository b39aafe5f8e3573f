"""The waiting and the finished pairs on MongoDB: the collection `sync_states`, by its two partial indexes.

Timestamps are stored as ISO text of one fixed form. Such texts sort as the times do.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pymongo import ASCENDING

from commands.instant import format_instant, parse_instant
from worker.mongo.database import Client, database_of, has_timestamp, store_deadline
from worker.ports import WaitingBacklog
from worker.store.documents import Collection


class MongoWaitingPairs:
    """`worker.ports.WaitingPairs`. `deadline_s` bounds each call. Each raises StoreAway."""

    def __init__(self, client: Client, database: str, *, deadline_s: float) -> None:
        """The client's owner closes it."""
        self._states = database_of(client, database)[Collection.SYNC_STATES]
        self._deadline_s = deadline_s

    async def waiting_longer(self, than: datetime, limit: int) -> Sequence[str]:
        """The conversation ids of at most `limit` pairs that wait since before `than`, oldest first."""
        with store_deadline(self._deadline_s):
            return await self._oldest("waitingSince", than, limit)

    async def waiting_backlog(self) -> WaitingBacklog:
        """The waiting pairs as they are now. The index alone answers the query."""
        counted: list[dict[str, Any]] = [
            {"$match": has_timestamp("waitingSince")},
            {"$group": {"_id": None, "count": {"$sum": 1}, "oldest": {"$min": "$waitingSince"}}},
        ]
        with store_deadline(self._deadline_s):
            groups = await (await self._states.aggregate(counted)).to_list()
        if not groups:
            return WaitingBacklog(count=0, oldest=None)
        return WaitingBacklog(count=groups[0]["count"], oldest=parse_instant(groups[0]["oldest"]))

    async def remove_finished(self, before: datetime, limit: int) -> int:
        """Remove the states of at most `limit` pairs that finished before `before`; returns how many."""
        with store_deadline(self._deadline_s):
            finished = await self._oldest("finishedAt", before, limit)
            if not finished:
                return 0
            # The query repeats the condition, since another writer may have changed a state after the first query.
            return (
                await self._states.delete_many({"_id": {"$in": finished}, **_before("finishedAt", before)})
            ).deleted_count

    async def _oldest(self, name: str, before: datetime, limit: int) -> list[str]:
        found = self._states.find(
            _before(name, before), {"_id": True}, sort=[(name, ASCENDING)], limit=limit, batch_size=limit
        )
        return [document["_id"] for document in await found.to_list()]


def _before(name: str, instant: datetime) -> dict[str, Any]:
    return {name: {**has_timestamp(name)[name], "$lt": format_instant(instant)}}
