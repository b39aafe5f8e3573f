"""The workers' reports on MongoDB: in the collection `fleet`, by the server's clock (`$$NOW`).

| `_id` | document |
|---|---|
| `worker/NAME` | `at`: when the report was left, and `report` |
"""

from typing import Any, Final

from pymongo.errors import DuplicateKeyError

from worker.mongo.database import Client, database_of, store_deadline
from worker.ports.status import WorkerReport
from worker.store.documents import Collection
from worker.store.status_documents import REPORT_PREFIX, prefix_range, report_fields

_NOW: Final = "$$NOW"


class MongoStatusBoard:
    """`worker.ports.status.StatusBoard`. Each call takes at most `deadline_s` and raises StoreAway."""

    def __init__(self, client: Client, database: str, *, deadline_s: float) -> None:
        """The client's owner closes it."""
        self._documents = database_of(client, database)[Collection.FLEET]
        self._deadline_s = deadline_s

    async def post(self, report: WorkerReport) -> None:
        """Leave the report in the place of the worker's last one."""
        # A text may begin with $, which an expression would read as a field.
        change: list[dict[str, Any]] = [{"$set": {"at": _NOW, "report": {"$literal": report_fields(report)}}}]
        query = {"_id": f"{REPORT_PREFIX}{report.worker}"}
        with store_deadline(self._deadline_s):
            try:
                await self._documents.update_one(query, change, upsert=True)
            except DuplicateKeyError:
                # Another report of the same name was created meanwhile.
                await self._documents.update_one(query, change, upsert=True)

    async def remove_old(self, older_than_s: float) -> None:
        """Remove the reports of workers that have left none for so long."""
        oldest = {"$subtract": [_NOW, round(older_than_s * 1_000)]}
        query = {"_id": prefix_range(REPORT_PREFIX), "$expr": {"$lt": ["$at", oldest]}}
        with store_deadline(self._deadline_s):
            await self._documents.delete_many(query)
