"""The sync states by age on MongoDB: finds and removes them with the two partial indexes of `sync_states`.

A timestamp is stored as ISO text of one fixed format, so that the order of the texts is the order of the times.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pymongo import ASCENDING

from commands.instant import format_instant, parse_instant
from worker.mongo.database import Client, database_of, store_deadline
from worker.mongo.indexes.definitions import has_timestamp
from worker.ports.sync_states import WaitingBacklog
from worker.store.documents import Collection


class MongoSyncStatesByAge:
    """`worker.ports.sync_states.SyncStatesByAge`. Each call takes at most `deadline_s` and raises StoreAway."""

    def __init__(self, client: Client, database: str, *, deadline_s: float) -> None:
        """The caller closes the client."""
        self._states = database_of(client, database)[Collection.SYNC_STATES]
        self._deadline_s = deadline_s

    async def waiting_since_before(self, instant: datetime, limit: int) -> Sequence[str]:
        """The conversation ids of at most `limit` pairs that have waited since before `instant`, oldest first."""
        with store_deadline(self._deadline_s):
            return await self._oldest_ids("waitingSince", instant, limit)

    async def waiting_backlog(self) -> WaitingBacklog:
        """The number of waiting pairs and the age of the oldest. MongoDB reads only the index."""
        count_and_oldest: list[dict[str, Any]] = [
            {"$match": has_timestamp("waitingSince")},
            {"$group": {"_id": None, "count": {"$sum": 1}, "oldest": {"$min": "$waitingSince"}}},
        ]
        with store_deadline(self._deadline_s):
            groups = await (await self._states.aggregate(count_and_oldest)).to_list()
        if not groups:
            return WaitingBacklog(count=0, oldest=None)
        return WaitingBacklog(count=groups[0]["count"], oldest=parse_instant(groups[0]["oldest"]))

    async def remove_finished(self, before: datetime, limit: int) -> int:
        """Remove the states of at most `limit` pairs that finished before `before`; returns the number removed."""
        with store_deadline(self._deadline_s):
            finished_ids = await self._oldest_ids("finishedAt", before, limit)
            if not finished_ids:
                return 0
            # Another writer may have changed a state since the query, so the delete repeats the condition.
            query = {"_id": {"$in": finished_ids}, **_is_before("finishedAt", before)}
            return (await self._states.delete_many(query)).deleted_count

    async def _oldest_ids(self, field: str, before: datetime, limit: int) -> list[str]:
        found = self._states.find(
            _is_before(field, before), {"_id": True}, sort=[(field, ASCENDING)], limit=limit, batch_size=limit
        )
        # An id of another type is no conversation's, and queries by ids need texts.
        return [document["_id"] for document in await found.to_list() if isinstance(document["_id"], str)]


def _is_before(field: str, instant: datetime) -> dict[str, Any]:
    return {field: {**has_timestamp(field)[field], "$lt": format_instant(instant)}}
