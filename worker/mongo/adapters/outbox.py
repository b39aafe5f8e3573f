"""The outbox on MongoDB: the collection `outbox`, by its index on status and age."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from pymongo import ASCENDING

from handlers.documents.stored_forms import UnreadableDocument
from handlers.ports import Announcement
from worker.mongo.database import Client, database_of, store_deadline
from worker.ports.outbox import OutboxBacklog
from worker.store.documents import Collection, OutboxEntryStatus, announcement_from_document


class MongoOutbox:
    """`worker.ports.outbox.Outbox`. `deadline_s` bounds each call, which is one command. Each raises StoreAway."""

    def __init__(self, client: Client, database: str, *, deadline_s: float) -> None:
        """The client's owner closes it."""
        self._entries = database_of(client, database)[Collection.OUTBOX]
        self._deadline_s = deadline_s

    async def waiting_entries(
        self, older_than: datetime, limit: int, *, skip: int = 0, or_after: datetime | None = None
    ) -> Sequence[Announcement]:
        """At most `limit` waiting entries created before `older_than` or after `or_after`, oldest first."""
        ages: list[dict[str, Any]] = [{"createdAt": {"$lt": older_than}}]
        if or_after is not None:
            ages.append({"createdAt": {"$gt": or_after}})
        query = {"status": OutboxEntryStatus.WAITING.value, "$or": ages}
        with store_deadline(self._deadline_s):
            found = self._entries.find(query, sort=[("createdAt", ASCENDING)], skip=skip, limit=limit, batch_size=limit)
            return await self._readable([document async for document in found])

    async def _readable(self, documents: Sequence[dict[str, Any]]) -> list[Announcement]:
        """The entries that the documents hold. One that cannot be read can never be published, so it is set aside."""
        entries: list[Announcement] = []
        for document in documents:
            try:
                entries.append(announcement_from_document(document))
            except UnreadableDocument as fault:
                await self._set_aside(document["_id"], f"STORED_DOCUMENT_UNREADABLE: {fault}")
        return entries

    async def remove_entries(self, ids: Iterable[str]) -> None:
        """Remove published entries; an id without an entry is ignored."""
        published = list(ids)
        if published:
            with store_deadline(self._deadline_s):
                await self._entries.delete_many({"_id": {"$in": published}})

    async def set_aside(self, entry_id: str, reason: str) -> None:
        """Set the entry aside with the reason: it is kept and no longer waits. An id without an entry is ignored."""
        with store_deadline(self._deadline_s):
            await self._set_aside(entry_id, reason)

    async def _set_aside(self, entry_id: object, reason: str) -> None:
        change = {"$set": {"status": OutboxEntryStatus.SET_ASIDE.value, "reason": reason}}
        await self._entries.update_one({"_id": entry_id}, change)

    async def backlog(self) -> OutboxBacklog:
        """The present backlog. MongoDB reads only the index."""
        by_status: list[dict[str, Any]] = [
            {"$match": {"status": {"$in": [status.value for status in OutboxEntryStatus]}}},
            {"$group": {"_id": "$status", "count": {"$sum": 1}, "oldest": {"$min": "$createdAt"}}},
        ]
        with store_deadline(self._deadline_s):
            groups = {group["_id"]: group async for group in await self._entries.aggregate(by_status)}
        waiting = groups.get(OutboxEntryStatus.WAITING.value)
        set_aside = groups.get(OutboxEntryStatus.SET_ASIDE.value)
        return OutboxBacklog(
            count=waiting["count"] if waiting else 0,
            # Others may have written another type, which sorts before dates.
            oldest=waiting["oldest"] if waiting and isinstance(waiting["oldest"], datetime) else None,
            set_aside=set_aside["count"] if set_aside else 0,
        )
