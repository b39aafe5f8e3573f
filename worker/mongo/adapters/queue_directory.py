"""The queues of work-items on MongoDB: the collection `queues`, by the index on `_id`."""

from collections.abc import Mapping, Sequence
from typing import Final

from pymongo import ASCENDING

from worker.mongo.database import Client, database_of, store_deadline
from worker.mongo.stored_types import STORED_TYPES
from worker.ports.waiting_times import QueueDescription
from worker.store.documents import Collection, queue_description_of

_FIELDS: Final = ("name", "org", "attributes.name", "relationships.org")


class MongoQueueDirectory:
    """`worker.ports.waiting_times.QueueDirectory`. Each call takes at most `deadline_s` and raises StoreAway."""

    def __init__(self, client: Client, database: str, *, deadline_s: float) -> None:
        """The client's owner closes it."""
        self._queues = database_of(client, database).with_options(codec_options=STORED_TYPES)[Collection.QUEUES]
        self._deadline_s = deadline_s

    async def described(self, queue_ids: Sequence[str]) -> Mapping[str, QueueDescription]:
        """The queues by id; an unknown id is left out. Raises UnreadableDocument."""
        ids = sorted(set(queue_ids))
        if not ids:
            return {}
        with store_deadline(self._deadline_s):
            found = self._queues.find({"_id": {"$in": ids}}, _FIELDS, limit=len(ids), batch_size=len(ids))
            documents = await found.to_list()
        return {document["_id"]: queue_description_of(document) for document in documents}

    async def first(self, limit: int) -> Sequence[str]:
        """The ids of at most `limit` queues, the lowest ids first."""
        with store_deadline(self._deadline_s):
            # Only ids that are texts: an event can name no other queue.
            found = self._queues.find(
                {"_id": {"$type": "string"}}, ("_id",), sort=[("_id", ASCENDING)], limit=limit, batch_size=limit
            )
            return [document["_id"] for document in await found.to_list()]
