"""The reads of the API on MongoDB: work-items by id and by conversation, and queues by key."""

from collections.abc import Mapping, Sequence
from typing import Any

from pymongo import DESCENDING

from handlers.ports import Document
from worker.mongo.database import Client, database_of, store_deadline
from worker.mongo.indexes import creation
from worker.mongo.stored_types import STORED_TYPES
from worker.store.documents import Collection


class MongoWorkItems:
    """`handlers.ports.WorkItems`. `deadline_s` bounds each call. Each raises StoreAway."""

    def __init__(self, client: Client, database: str, *, deadline_s: float) -> None:
        """The client's owner closes it."""
        self._database = database_of(client, database)
        self._documents = self._database.with_options(codec_options=STORED_TYPES)
        self._deadline_s = deadline_s

    async def ensure_indexes(self) -> None:
        """Create the missing indexes of these reads, which the worker alone does not need.

        Raises StoreUnfit, Misconfigured, StoreAway.
        """
        await creation.ensure_api_indexes(self._database)

    async def work_item(self, work_item_id: str, *, org: str | None) -> Document | None:
        """The stored work-item, or None."""
        with store_deadline(self._deadline_s):
            return await self._documents[Collection.WORK_ITEMS].find_one({"_id": work_item_id, **_of_org(org)})

    async def of_conversation(self, conversation_id: str, *, org: str | None, limit: int) -> Sequence[Document] | None:
        """The latest `limit` work-items of the conversation, the one with the highest number first; None if neither
        the conversation nor a work-item of it is stored."""
        query = {"conversationId": conversation_id, **_of_org(org)}
        with store_deadline(self._deadline_s):
            cursor = self._documents[Collection.WORK_ITEMS].find(
                query, sort=[("workItemNumber", DESCENDING)], limit=limit, batch_size=limit
            )
            found = await cursor.to_list()
            if found:
                return found
            conversation = {"_id": conversation_id, **_of_org(org)}
            stored = await self._documents[Collection.CONVERSATIONS].find_one(conversation, {"_id": True})
        return None if stored is None else []

    async def queue_id(self, key: str, *, org: str | None) -> str | None:
        """The id of the org's queue with this key, or None. A queue that names no org is every org's."""
        orgs: Mapping[str, Any] = {} if org is None else {"org": {"$in": [org, None]}}
        query = {"$or": [{"key": key}, {"attributes.key": key}], **orgs}
        with store_deadline(self._deadline_s):
            queue = await self._documents[Collection.QUEUES].find_one(query, {"_id": True})
        return queue["_id"] if queue is not None and isinstance(queue["_id"], str) else None


def _of_org(org: str | None) -> dict[str, str]:
    return {} if org is None else {"org": org}
