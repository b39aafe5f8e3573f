"""The database that the MongoDB adapters share: its read and write concerns, its indexes, the deadline of a call."""

import asyncio
import contextlib
from collections.abc import Iterator
from datetime import UTC
from typing import Any, Final

import pymongo
from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo import ASCENDING, AsyncMongoClient, IndexModel, ReadPreference
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import CollectionInvalid, DuplicateKeyError, OperationFailure, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from worker.errors import StoreUnfit
from worker.mongo.errors import store_away
from worker.store.documents import Collection

Client = AsyncMongoClient[dict[str, Any]]
Database = AsyncDatabase[dict[str, Any]]

MAJORITY: Final = WriteConcern("majority")

_ACTIVE: Final = {"active": True}


def has_timestamp(name: str) -> dict[str, Any]:
    """The condition that a state has this timestamp, an ISO text. A query must repeat it to use the partial index."""
    return {name: {"$type": "string"}}


_INDEXES: Final = {
    Collection.WORK_ITEMS: [
        IndexModel(
            [("conversationId", ASCENDING)],
            name="one_active_a_conversation",
            unique=True,
            partialFilterExpression=_ACTIVE,
        )
    ],
    Collection.WORK_SESSIONS: [
        IndexModel([("user", ASCENDING)], name="active_by_user", partialFilterExpression=_ACTIVE)
    ],
    # Most states neither wait nor are finished, so these two indexes are small.
    Collection.SYNC_STATES: [
        IndexModel(
            [("waitingSince", ASCENDING)], name="waiting_by_age", partialFilterExpression=has_timestamp("waitingSince")
        ),
        IndexModel(
            [("finishedAt", ASCENDING)], name="finished_by_age", partialFilterExpression=has_timestamp("finishedAt")
        ),
    ],
    Collection.OUTBOX: [IndexModel([("status", ASCENDING), ("createdAt", ASCENDING)], name="by_status_and_age")],
}

_EXPIRY: Final = "expired_revisions"
"""The name of the time-to-live index of `work_item_revisions`."""
_DAY_S: Final = 86_400

_BUILD_S_MAX: Final = 600
"""Building an index on stored documents takes long; start-up ends after this time at the latest."""

_NAMESPACE_EXISTS: Final = 48
_INDEX_NOT_FOUND: Final = 27
_INDEX_OPTIONS_CLASH: Final = 85
_INDEX_CLASHES: Final = frozenset({67, _INDEX_OPTIONS_CLASH, 86})
_NOT_PERMITTED: Final = 13


def database_of(client: Client, name: str) -> Database:
    """The database. A stored date beyond Python's range and a text that is not UTF-8 are read without an error."""
    return client.get_database(
        name,
        codec_options=CodecOptions(
            tz_aware=True,
            tzinfo=UTC,
            unicode_decode_error_handler="replace",
            datetime_conversion=DatetimeConversion.DATETIME_AUTO,
        ),
        read_preference=ReadPreference.PRIMARY,
        read_concern=ReadConcern("majority"),
        write_concern=MAJORITY,
    )


@contextlib.contextmanager
def store_deadline(deadline_s: float) -> Iterator[None]:
    """Run the block within the deadline. Raises StoreAway for every error of the driver; keeps a cancellation."""
    try:
        with keeping_cancellation(), pymongo.timeout(deadline_s):
            yield
    except PyMongoError as error:
        raise store_away(error) from error


async def ensure_indexes(database: Database, *, revision_days: int) -> None:
    """Create the collections, which must exist before a transaction, and exactly the indexes that the queries use.

    Records of `work_item_revisions` expire after `revision_days` by a time-to-live index; 0: never, and without it.
    May be called again, and by several workers at once. Raises StoreAway; StoreUnfit if stored data forbids an index.
    """
    try:
        with pymongo.timeout(_BUILD_S_MAX):
            existing = await database.list_collection_names()
            # Creating an index creates its collection.
            missing = [each for each in Collection if each not in existing and each not in _INDEXES]
            await asyncio.gather(
                *(_create_collection(database, each) for each in missing),
                *(database[each].create_indexes(indexes) for each, indexes in _INDEXES.items()),
            )
            await _ensure_expiry(database, revision_days)
    except DuplicateKeyError as error:
        raise StoreUnfit(
            "work_items holds conversations with more than one active work-item: complete all but one of each"
        ) from error
    except OperationFailure as error:
        if error.code in _INDEX_CLASHES:
            raise StoreUnfit(
                "the database has another index where one of the store's must stand: drop the other one first"
            ) from error
        raise store_away(error) from error
    except PyMongoError as error:
        raise store_away(error) from error


async def _ensure_expiry(database: Database, days: int) -> None:
    """Make, change or drop the time-to-live index, so that it stands exactly for `days`."""
    revisions = database[Collection.WORK_ITEM_REVISIONS]
    if days == 0:
        await _drop_expiry(database)
        return
    seconds = days * _DAY_S
    index = IndexModel([("createdAt", ASCENDING)], name=_EXPIRY, expireAfterSeconds=seconds)
    try:
        await revisions.create_indexes([index])
    except OperationFailure as clash:
        if clash.code != _INDEX_OPTIONS_CLASH or _EXPIRY not in await revisions.index_information():
            raise
        try:
            change = {"name": _EXPIRY, "expireAfterSeconds": seconds}
            await database.command("collMod", Collection.WORK_ITEM_REVISIONS.value, index=change)
        except OperationFailure as refusal:
            if refusal.code != _NOT_PERMITTED:
                raise
            # The role `readWrite` makes and drops indexes, but has no `collMod`.
            await _drop_expiry(database)
            await revisions.create_indexes([index])


async def _drop_expiry(database: Database) -> None:
    try:
        await database[Collection.WORK_ITEM_REVISIONS].drop_index(_EXPIRY)
    except OperationFailure as error:
        if error.code != _INDEX_NOT_FOUND:
            raise


async def check_server(client: Client, deadline_s: float) -> int | None:
    """Check that the server has transactions. Returns its `transactionLifetimeLimitSeconds`, None if it does not say.

    Raises StoreUnfit if the server has no transactions; StoreAway.
    """
    try:
        with pymongo.timeout(deadline_s):
            hello = await client.admin.command("hello")
            if "setName" not in hello and hello.get("msg") != "isdbgrid":
                raise StoreUnfit(
                    "MongoDB is neither a replica set member nor mongos and so has no transactions: "
                    "start it with --replSet and initiate the set, one node is enough"
                )
            return await _transaction_lifetime_s(client)
    except PyMongoError as error:
        raise store_away(error) from error


async def _transaction_lifetime_s(client: Client) -> int | None:
    try:
        response = await client.admin.command("getParameter", 1, transactionLifetimeLimitSeconds=1)
    except OperationFailure as error:
        # The user may not read the parameter, or mongos answers, which has no such parameter.
        if error.code == _NOT_PERMITTED or "no option found" in str(error):
            return None
        raise
    return int(response["transactionLifetimeLimitSeconds"])


async def _create_collection(database: Database, collection: Collection) -> None:
    try:
        await database.create_collection(collection)
    except CollectionInvalid:
        # Another worker created it meanwhile.
        pass
    except OperationFailure as error:
        if error.code != _NAMESPACE_EXISTS:
            raise


@contextlib.contextmanager
def keeping_cancellation() -> Iterator[None]:
    """Raise CancelledError at the end of the block if the driver swallowed a cancellation of the task within it."""
    task = asyncio.current_task()
    requests_before = task.cancelling() if task is not None else 0
    try:
        yield
    finally:
        if task is not None and task.cancelling() > requests_before:
            raise asyncio.CancelledError
