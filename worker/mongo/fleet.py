"""What the fleet agrees on, on MongoDB: the collection `fleet`, by the server's clock (`$$NOW`).

| `_id` | document |
|---|---|
| `start` | `at`: when the first worker of the deployment started |
| `lease/NAME` | `holder`, and `until` when it holds the lease |

Each call is one command, and repeats itself where two workers create the same document at once.
"""

from datetime import datetime
from typing import Any, Final

from pymongo import ReturnDocument
from pymongo.errors import DuplicateKeyError

from handlers.documents.stored_forms import shown
from worker.errors import StoreUnfit
from worker.mongo.database import Client, database_of, store_deadline
from worker.store.documents import Collection

_NOW: Final = "$$NOW"


class MongoFleet:
    """`worker.ports.Fleet`. Each call takes at most `deadline_s` and raises StoreAway."""

    def __init__(self, client: Client, database: str, *, deadline_s: float) -> None:
        """The client's owner closes it."""
        self._documents = database_of(client, database)[Collection.FLEET]
        self._deadline_s = deadline_s

    async def acquire_lease(self, name: str, holder: str, seconds: float) -> bool:
        """Whether `holder` has the lease for the next `seconds`."""
        # An id may begin with $, which an expression would read as a field.
        mine = {"$literal": holder}
        free = {"$or": [{"$eq": ["$holder", mine]}, {"$lte": [{"$ifNull": ["$until", _NOW]}, _NOW]}]}
        until = {"$add": [_NOW, round(seconds * 1_000)]}
        change = {"holder": {"$cond": [free, mine, "$holder"]}, "until": {"$cond": [free, until, "$until"]}}
        return bool((await self._change(f"lease/{name}", change))["holder"] == holder)

    async def started_at(self) -> datetime:
        """The time at which the first worker of the deployment started. Raises StoreUnfit if no date is stored."""
        started_at = (await self._change("start", {"at": {"$ifNull": ["$at", _NOW]}}))["at"]
        if not isinstance(started_at, datetime):
            raise StoreUnfit(
                f"the document `start` of fleet: at is {shown(started_at)}, not a date: remove the document"
            )
        return started_at

    async def _change(self, document_id: str, change: dict[str, Any]) -> dict[str, Any]:
        """Set the fields of the document, which is created if it is missing; returns it afterwards."""
        with store_deadline(self._deadline_s):
            try:
                return await self._upsert(document_id, change)
            except DuplicateKeyError:
                # Another worker has just created it.
                return await self._upsert(document_id, change)

    async def _upsert(self, document_id: str, change: dict[str, Any]) -> dict[str, Any]:
        changed = await self._documents.find_one_and_update(
            {"_id": document_id}, [{"$set": change}], upsert=True, return_document=ReturnDocument.AFTER
        )
        assert changed is not None, "an upsert returns the document"
        return changed
