"""The reads of a batch on MongoDB: three rounds, side by side within each, whatever the number of conversations.

Every query is answered by an index and has a limit. `$or` is planned branch by branch, so that its first branch walks
the partial index of active work-items and its second one `_id`.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from handlers.ports import LoadRequest, Pair
from worker.mongo.database import Database
from worker.store.documents import Collection
from worker.store.pair_assembly import BatchDocuments, context_of, named_context, named_work_items, pairs_of

# One is the rule; the bound is for a database gone wrong.
_ACTIVE_SESSIONS_A_USER_MAX: Final = 16

_QUEUE_FIELDS: Final = ("key", "itemSize", "priority")
_QUEUE: Final = (*_QUEUE_FIELDS, *(f"attributes.{field}" for field in _QUEUE_FIELDS))
_SESSION: Final = ("user", "active", "capacity", "workItems", "pausedWorkItems", "pendingItem")

_Documents = list[dict[str, Any]]


async def read_pairs(database: Database, requests: Sequence[LoadRequest]) -> dict[str, Pair]:
    """A pair for every want. Raises what pymongo raises."""
    ids = sorted({request.conversation_id for request in requests})
    # First, and by itself: see `BatchDocuments`.
    states = _keyed(await _by_id(database, Collection.SYNC_STATES, ids))
    conversations, work_items = await _together(
        _by_id(database, Collection.CONVERSATIONS, ids),
        _work_items(database, ids, named_work_items(requests, states)),
    )
    reading = BatchDocuments(states=states, conversations=_keyed(conversations), work_items=_keyed(work_items))
    context = named_context(requests, reading)
    queues, sessions = await _together(
        _by_id(database, Collection.QUEUES, context.queues, _QUEUE), _sessions(database, context.users)
    )
    return pairs_of(requests, reading, context_of(queues, sessions))


async def _together(*reads: Any) -> list[_Documents]:
    """All of them end before the first fault is raised, so that nothing goes on unwatched."""
    results = await asyncio.gather(*reads, return_exceptions=True)
    documents: list[_Documents] = []
    for result in results:
        if isinstance(result, BaseException):
            raise result
        documents.append(result)
    return documents


async def _by_id(
    database: Database, collection: Collection, ids: Sequence[str], fields: Sequence[str] | None = None
) -> _Documents:
    return await _find(database, collection, {"_id": {"$in": ids}}, len(ids), fields)


async def _work_items(database: Database, conversation_ids: Sequence[str], ids: Sequence[str]) -> _Documents:
    branches: list[dict[str, Any]] = [{"conversationId": {"$in": conversation_ids}, "active": True}]
    if ids:
        branches.append({"_id": {"$in": ids}})
    limit = len(conversation_ids) + len(ids)
    return await _find(database, Collection.WORK_ITEMS, {"$or": branches}, limit)


async def _sessions(database: Database, users: Sequence[str]) -> _Documents:
    query = {"user": {"$in": users}, "active": True}
    limit = len(users) * _ACTIVE_SESSIONS_A_USER_MAX
    return await _find(database, Collection.WORK_SESSIONS, query, limit, _SESSION)


async def _find(
    database: Database,
    collection: Collection,
    query: Mapping[str, Any],
    limit: int,
    fields: Sequence[str] | None = None,
) -> _Documents:
    """A limit of 0 means that there is nothing to look for: then nothing is asked."""
    if limit == 0:
        return []
    # One batch of all of them: a second one would be a further round trip.
    return await database[collection].find(query, fields, limit=limit, batch_size=limit).to_list()


def _keyed(documents: _Documents) -> dict[str, dict[str, Any]]:
    return {document["_id"]: document for document in documents}
