"""The look at start for stored fields of another type, which make the worker's queries miss their documents.

| field | looked at | if it has another type |
|---|---|---|
| `conversationId` of active work-items, `user` of active sessions | all, by an index | never found |
| `active` of work-items and sessions | the first documents of the collection | never found as active |

A query for each event would find all of them and would cost each event its time.
"""

from collections.abc import Sequence
from typing import Any, Final

from msgspec import Struct

from handlers.documents.stored_forms import shown
from handlers.ports import Document
from worker.mongo.checks.foreign_ids import NO_TEXT
from worker.mongo.database import Database
from worker.store.documents import Collection

_DOCUMENTS_MAX: Final = 1000
"""Documents that the look counts, and those whose `active` it reads, of each collection."""

_KEYS: Final = ((Collection.WORK_ITEMS, "conversationId"), (Collection.WORK_SESSIONS, "user"))
_FLAG: Final = "active"


class ForeignField(Struct, frozen=True, kw_only=True):
    """A field with another type: in how many documents, 1000 at most, in which one first, and what stands there."""

    collection: str
    field: str
    count: int
    id: str
    found: str


async def foreign_fields(database: Database) -> list[ForeignField]:
    """The fields with other types, each once. `database` reads stored types. Raises pymongo's exceptions."""
    fields: list[ForeignField] = []
    for collection, name in _KEYS:
        query = {_FLAG: True, name: {"$type": list(NO_TEXT)}}
        documents = await database[collection].find(query, {name: True}, limit=_DOCUMENTS_MAX).to_list()
        fields += _field(collection, name, documents)
        other_type: list[dict[str, Any]] = [
            {"$limit": _DOCUMENTS_MAX},
            {"$match": {"$expr": {"$ne": [{"$type": f"${_FLAG}"}, "bool"]}}},
            {"$project": {_FLAG: True}},
        ]
        fields += _field(collection, _FLAG, await (await database[collection].aggregate(other_type)).to_list())
    return fields


def _field(collection: Collection, name: str, documents: Sequence[Document]) -> list[ForeignField]:
    if not documents:
        return []
    first = documents[0]
    return [
        ForeignField(
            collection=collection.value,
            field=name,
            count=len(documents),
            id=key if isinstance(key := first["_id"], str) else shown(key),
            found=shown(first[name]) if name in first else "nothing",
        )
    ]
