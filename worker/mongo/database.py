"""The database as every adapter on MongoDB uses it: majority reads from the primary, majority writes, and its indexes.

Leaves out documents and queries.
"""

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
from worker.mongo.errors import away
from worker.store.documents import Collection

Client = AsyncMongoClient[dict[str, Any]]
Database = AsyncDatabase[dict[str, Any]]

MAJORITY: Final = WriteConcern("majority")

_ACTIVE: Final = {"active": True}


def stamped(name: str) -> dict[str, Any]:
    """The condition that a document has the stamp, ISO text. A query must say it, too, to be answered by its index."""
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
    # Most states neither wait nor are finished: these two hold few of them.
    Collection.SYNC_STATES: [
        IndexModel(
            [("waitingSince", ASCENDING)], name="waiting_by_age", partialFilterExpression=stamped("waitingSince")
        ),
        IndexModel([("finishedAt", ASCENDING)], name="finished_by_age", partialFilterExpression=stamped("finishedAt")),
    ],
    Collection.OUTBOX: [IndexModel([("status", ASCENDING), ("createdAt", ASCENDING)], name="by_status_and_age")],
}

# An index on what a database already holds takes as long as it takes; start-up must end all the same.
_BUILD_S_MAX: Final = 600

_NAMESPACE_EXISTS: Final = 48
_INDEX_CLASHES: Final = frozenset({67, 85, 86})
_NOT_PERMITTED: Final = 13


def database_of(client: Client, name: str) -> Database:
    """The database; a stored date that Python cannot hold, or a broken text, spoils no reading."""
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
def within(deadline_s: float) -> Iterator[None]:
    """Within the deadline, or `StoreAway`; a cancellation is not lost."""
    try:
        with cancellation_kept(), pymongo.timeout(deadline_s):
            yield
    except PyMongoError as error:
        raise away(error) from error


async def ensure_indexes(database: Database) -> None:
    """Make the collections, since a transaction should find them there, and exactly the indexes that the queries use.

    May be called again and by several at once. Raises `StoreAway`; `StoreUnfit` where what is stored forbids an index.
    """
    try:
        with pymongo.timeout(_BUILD_S_MAX):
            there = await database.list_collection_names()
            # An index makes its collection.
            missing = [each for each in Collection if each not in there and each not in _INDEXES]
            await asyncio.gather(
                *(_create(database, each) for each in missing),
                *(database[each].create_indexes(indexes) for each, indexes in _INDEXES.items()),
            )
    except DuplicateKeyError as error:
        raise StoreUnfit(
            "work_items holds conversations with more than one active work-item: complete all but one of each"
        ) from error
    except OperationFailure as error:
        if error.code in _INDEX_CLASHES:
            raise StoreUnfit(
                "the database has another index where one of the store's must stand: drop the other one first"
            ) from error
        raise away(error) from error
    except PyMongoError as error:
        raise away(error) from error


async def check_server(client: Client, deadline_s: float) -> int | None:
    """Whether the server has transactions; its `transactionLifetimeLimitSeconds`, None where it does not tell.

    Raises `StoreUnfit` where it has none, `StoreAway`.
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
        raise away(error) from error


async def _transaction_lifetime_s(client: Client) -> int | None:
    try:
        answer = await client.admin.command("getParameter", 1, transactionLifetimeLimitSeconds=1)
    except OperationFailure as error:
        # Not permitted, or mongos, which has no such parameter: either way only the answer is missing.
        if error.code == _NOT_PERMITTED or "no option found" in str(error):
            return None
        raise
    return int(answer["transactionLifetimeLimitSeconds"])


async def _create(database: Database, collection: Collection) -> None:
    try:
        await database.create_collection(collection)
    except CollectionInvalid:
        # Another worker made it since.
        pass
    except OperationFailure as error:
        if error.code != _NAMESPACE_EXISTS:
            raise


@contextlib.contextmanager
def cancellation_kept() -> Iterator[None]:
    """Raises `CancelledError` at the end of the block if the task was told within it to end and did not hear."""
    task = asyncio.current_task()
    asked = task.cancelling() if task is not None else 0
    try:
        yield
    finally:
        if task is not None and task.cancelling() > asked:
            raise asyncio.CancelledError
