"""The check at start: a collection whose `_id`s are ObjectIds, as MongoDB makes them, where events name texts.

The worker would find none of its documents, and would store a second one beside each.
"""

from typing import Final

from bson import ObjectId

from worker.errors import StoreUnfit
from worker.mongo.database import Database
from worker.store.documents import Collection

_CHECKED: Final = (
    Collection.CONVERSATIONS,
    Collection.WORK_ITEMS,
    Collection.WORK_SESSIONS,
    Collection.QUEUES,
    Collection.SYNC_STATES,
)
_LOWEST: Final = ObjectId("0" * 24)


async def check_ids(database: Database) -> None:
    """Raises StoreUnfit for a collection that has an ObjectId as `_id`; pymongo's exceptions.

    MongoDB compares values of one type only, so each query is one look into the index on `_id`.
    """
    for collection in _CHECKED:
        found = await database[collection].find_one({"_id": {"$gte": _LOWEST}}, {"_id": True})
        if found is not None:
            raise StoreUnfit(
                f"{collection.value} holds documents whose _id is an ObjectId ({found['_id']}), and events name "
                "documents by texts: store them under the id as text, or point MONGODB_DATABASE at the right database"
            )
