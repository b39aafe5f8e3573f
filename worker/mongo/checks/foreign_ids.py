"""The check at start: documents whose `_id` is no text, such as an ObjectId as MongoDB makes it. Events name texts.

| a collection has | then |
|---|---|
| other `_id`s and no text | StoreUnfit: the worker would find no document, and would store a second one beside each |
| others beside texts, such as a shell's `insertOne` | one of them is returned, for a warning |

Those that come later are found where an event names their text (`foreign_ids_of`).
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final
from uuid import UUID

from bson import ObjectId
from bson.binary import Binary
from msgspec import Struct

from handlers.documents.json_values import INT64_MAX
from handlers.documents.stored_forms import shown
from handlers.documents.stored_values import ForeignValue
from handlers.ports import Document
from worker.errors import StoreUnfit
from worker.mongo.database import Database
from worker.store.documents import Collection

NO_TEXT: Final = (
    *("number", "object", "binData", "objectId", "bool", "date"),
    *("regex", "javascript", "timestamp", "minKey", "maxKey"),
)
"""The BSON types of which an index has ranges apart from those of texts, so that a query for them reads no text."""

_OBJECT_ID: Final = re.compile("[0-9a-f]{24}")
_UUID: Final = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NUMBER: Final = re.compile("0|[1-9][0-9]{0,18}")

_CHECKED: Final = (
    Collection.CONVERSATIONS,
    Collection.WORK_ITEMS,
    Collection.WORK_SESSIONS,
    Collection.QUEUES,
    Collection.SYNC_STATES,
)


class StrayDocument(Struct, frozen=True, kw_only=True):
    """A document under an `_id` that is no text, in a collection of texts."""

    collection: str
    id: str


class ForeignIds(Struct, frozen=True, kw_only=True):
    """A collection with `_id`s that are no texts: one of them, and whether there are no texts beside."""

    collection: str
    id: str
    alone: bool

    @property
    def found(self) -> str:
        """What stands in a collection without texts."""
        return f"holds documents whose _id is no text ({self.id}), and events name documents by texts"


ALONE_REMEDY: Final = "store them under the id as text, or point MONGODB_DATABASE at the right database"


async def documents_under_foreign_ids(database: Database) -> list[StrayDocument]:
    """One document for each collection that has other `_id`s beside texts. `database` reads stored types.

    Raises StoreUnfit for a collection that has others and no text; pymongo's exceptions.
    """
    found = await foreign_ids(database)
    for each in found:
        if each.alone:
            raise StoreUnfit(f"{each.collection} {each.found}: {ALONE_REMEDY}")
    return [StrayDocument(collection=each.collection, id=each.id) for each in found]


async def foreign_ids(database: Database) -> list[ForeignIds]:
    """The collections with other `_id`s than texts. `database` reads stored types. Raises pymongo's exceptions."""
    found: list[ForeignIds] = []
    for collection in _CHECKED:
        stray = await _one_of(database, collection, NO_TEXT)
        if stray is not None:
            alone = await _one_of(database, collection, ("string",)) is None
            found.append(ForeignIds(collection=collection.value, id=shown(stray["_id"]), alone=alone))
    return found


async def _one_of(database: Database, collection: Collection, types: Iterable[str]) -> Document | None:
    """A document whose `_id` has one of the types: one look into the index on `_id` for each."""
    return await database[collection].find_one({"_id": {"$type": list(types)}}, {"_id": True})


def foreign_ids_of(texts: Iterable[str]) -> Iterator[object]:
    """The ids of other types that are written as one of the texts. MongoDB finds a number whatever its type."""
    for text in texts:
        if _OBJECT_ID.fullmatch(text):
            yield ObjectId(text)
        elif _UUID.fullmatch(text):
            yield Binary.from_uuid(UUID(text))
        elif _NUMBER.fullmatch(text) and int(text) <= INT64_MAX:
            yield int(text)


def documents_by_foreign_ids(documents: Iterable[Document]) -> dict[str, Document]:
    """The documents by the text of their ids."""
    return {_text_of(document["_id"]): document for document in documents}


def _text_of(key: object) -> str:
    return str(key.json) if isinstance(key, ForeignValue) else str(key)
