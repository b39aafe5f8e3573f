"""The reads of a batch on MongoDB: three rounds, with concurrent queries in each, for any number of conversations.

Every query uses an index and has a limit. MongoDB plans each branch of `$or` by itself: the first branch uses the
partial index of active work-items, the second the index on `_id`.
"""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bson.raw_bson import RawBSONDocument
from msgspec.structs import replace
from pymongo import DESCENDING
from pymongo.asynchronous.database import AsyncDatabase

from handlers.ports import LoadRequest, Pair
from worker.mongo.checks.foreign_ids import documents_by_foreign_ids, foreign_ids_of
from worker.mongo.stored_types import read_stored
from worker.store.documents import Collection
from worker.store.pair_assembly import (
    BatchDocuments,
    active_item_faults,
    context_keys,
    context_of,
    creating_conversations,
    keyed,
    pairs_of,
    wait_ids,
    wait_sightings,
    with_foreign_ids,
    with_waits,
    work_item_ids_to_read,
)

_ACTIVE_SESSIONS_PER_USER_MAX: Final = 16
"""A user has one active session, seldom several; the limit bounds the query if the data is wrong."""

_QUEUE_FIELDS: Final = ("key", "itemSize", "priority")
_QUEUE: Final = (*_QUEUE_FIELDS, *(f"attributes.{field}" for field in _QUEUE_FIELDS))
_SESSION: Final = ("user", "active", "capacity", "workItems", "pausedWorkItems", "pendingItem")

_WAIT: Final = ("rev",)

UnreadDatabase = AsyncDatabase[RawBSONDocument]
_Documents = list[dict[str, Any]]


async def read_pairs(database: UnreadDatabase, requests: Sequence[LoadRequest]) -> dict[str, Pair]:
    """The pairs by conversation id, one for every request. Raises pymongo's exceptions."""
    ids = sorted({request.conversation_id for request in requests})
    # The states are read first and alone: `BatchDocuments` says why.
    states = keyed(await _by_id(database, Collection.SYNC_STATES, ids))
    conversations, work_items = await _gathered(
        _by_id(database, Collection.CONVERSATIONS, ids),
        _work_items(database, ids, work_item_ids_to_read(requests, states)),
    )
    documents = BatchDocuments(
        states=states,
        conversations=keyed(conversations),
        work_items=keyed(work_items),
        unreadable=active_item_faults(work_items),
    )
    context = context_keys(requests, documents)
    sightings = wait_sightings(requests, documents)
    latest, queues, sessions, waits, *foreign = await _gathered(
        _latest_work_items(database, creating_conversations(requests, documents)),
        _by_id(database, Collection.QUEUES, context.queues, _QUEUE),
        _sessions(database, context.users),
        _by_id(database, Collection.WAITS, wait_ids(sightings), _WAIT),
        _under_foreign_ids(database, Collection.CONVERSATIONS, set(ids) - documents.conversations.keys()),
        _under_foreign_ids(database, Collection.WORK_ITEMS, _requested(requests) - documents.work_items.keys()),
    )
    documents = with_foreign_ids(documents, requests, *map(documents_by_foreign_ids, foreign))
    documents = with_waits(documents, sightings, keyed(waits))
    if latest:
        # MongoDB finds a conversation's id in a list, too. Such a completed work-item is no conversation's.
        of_one = [item for item in keyed(latest).values() if isinstance(item["conversationId"], str)]
        documents = replace(documents, latest={item["conversationId"]: item for item in of_one})
    return pairs_of(requests, documents, context_of(queues, sessions))


def _requested(requests: Sequence[LoadRequest]) -> set[str]:
    return set[str]().union(*(request.work_item_ids for request in requests))


async def _under_foreign_ids(database: UnreadDatabase, collection: Collection, missing: set[str]) -> _Documents:
    """The ids of the documents that stand under ids of other types. No query is sent where all were found."""
    ids = list(foreign_ids_of(sorted(missing)))
    return await _find(database, collection, {"_id": {"$in": ids}}, len(ids), ("_id",))


async def _gathered(*reads: Any) -> list[_Documents]:
    """The results of all reads. Every read has ended before the first error is raised, so none runs on unobserved."""
    results = await asyncio.gather(*reads, return_exceptions=True)
    documents: list[_Documents] = []
    for result in results:
        if isinstance(result, BaseException):
            raise result
        documents.append(result)
    return documents


async def _by_id(
    database: UnreadDatabase, collection: Collection, ids: Sequence[str], fields: Sequence[str] | None = None
) -> _Documents:
    return await _find(database, collection, {"_id": {"$in": ids}}, len(ids), fields)


async def _work_items(database: UnreadDatabase, conversation_ids: Sequence[str], ids: Sequence[str]) -> _Documents:
    branches: list[dict[str, Any]] = [{"conversationId": {"$in": conversation_ids}, "active": True}]
    if ids:
        branches.append({"_id": {"$in": ids}})
    limit = len(conversation_ids) + len(ids)
    return await _find(database, Collection.WORK_ITEMS, {"$or": branches}, limit)


async def _latest_work_items(database: UnreadDatabase, conversation_ids: Sequence[str]) -> _Documents:
    """The work-item with the highest number of each conversation. MongoDB reads one document of each, by the index."""
    if not conversation_ids:
        return []
    order = {"conversationId": DESCENDING, "workItemNumber": DESCENDING}
    newest: list[dict[str, Any]] = [
        {"$match": {"conversationId": {"$in": conversation_ids}}},
        {"$sort": order},
        {"$group": {"_id": "$conversationId", "latest": {"$first": "$$ROOT"}}},
        {"$replaceWith": "$latest"},
    ]
    cursor = await database[Collection.WORK_ITEMS].aggregate(newest, batchSize=len(conversation_ids))
    return [read_stored(each) for each in await cursor.to_list()]


async def _sessions(database: UnreadDatabase, users: Sequence[str]) -> _Documents:
    query = {"user": {"$in": users}, "active": True}
    limit = len(users) * _ACTIVE_SESSIONS_PER_USER_MAX
    return await _find(database, Collection.WORK_SESSIONS, query, limit, _SESSION)


async def _find(
    database: UnreadDatabase,
    collection: Collection,
    query: Mapping[str, Any],
    limit: int,
    fields: Sequence[str] | None = None,
) -> _Documents:
    """The documents that match. A limit of 0 means that there is nothing to look for, and no query is sent."""
    if limit == 0:
        return []
    # All documents in one batch: a second batch would be another round trip.
    found = await database[collection].find(query, fields, limit=limit, batch_size=limit).to_list()
    return [read_stored(each) for each in found]
