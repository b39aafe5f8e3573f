"""The check at start: documents whose `_id` is an ObjectId, as MongoDB makes it, where events name texts.

| a collection has | then |
|---|---|
| ObjectIds and no text | StoreUnfit: the worker would find no document, and would store a second one beside each |
| ObjectIds beside texts, such as a shell's `insertOne` | one of them is returned, for a warning |
"""

from typing import Final

from bson import ObjectId
from msgspec import Struct

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
_LOWEST_OBJECT_ID: Final = ObjectId("0" * 24)
_LOWEST_TEXT: Final = ""


class StrayDocument(Struct, frozen=True, kw_only=True):
    """A document under an ObjectId in a collection of texts."""

    collection: str
    id: str


async def documents_under_object_ids(database: Database) -> list[StrayDocument]:
    """One document for each collection that has ObjectIds beside texts.

    Raises StoreUnfit for a collection that has ObjectIds and no text; pymongo's exceptions.
    """
    strays: list[StrayDocument] = []
    for collection in _CHECKED:
        stray = await _id_from(database, collection, _LOWEST_OBJECT_ID)
        if stray is None:
            continue
        if await _id_from(database, collection, _LOWEST_TEXT) is None:
            raise StoreUnfit(
                f"{collection.value} holds documents whose _id is an ObjectId ({stray}), and events name "
                "documents by texts: store them under the id as text, or point MONGODB_DATABASE at the right database"
            )
        strays.append(StrayDocument(collection=collection.value, id=str(stray)))
    return strays


async def _id_from(database: Database, collection: Collection, lowest: ObjectId | str) -> object:
    """An `_id` of the type of the lowest value of that type; None if there is none.

    MongoDB compares values of one type only, so the query is one look into the index on `_id`.
    """
    found = await database[collection].find_one({"_id": {"$gte": lowest}}, {"_id": True})
    return None if found is None else found["_id"]
