"""The database that the MongoDB adapters share: its read and write concerns, the deadline of a call."""

import asyncio
import contextlib
from collections.abc import Iterator
from datetime import UTC
from typing import Any, Final

import pymongo
from bson.codec_options import CodecOptions, DatetimeConversion
from pymongo import AsyncMongoClient, ReadPreference
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import OperationFailure
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from worker.errors import StoreUnfit
from worker.mongo.errors import DRIVER_ERRORS, store_away
from worker.mongo.setup_errors import setup_error

Client = AsyncMongoClient[dict[str, Any]]
Database = AsyncDatabase[dict[str, Any]]

MAJORITY: Final = WriteConcern("majority")

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
    except DRIVER_ERRORS as error:
        raise store_away(error) from error


@contextlib.contextmanager
def calls_of_the_start(client: Client, deadline_s: float) -> Iterator[None]:
    """As `store_deadline`; Misconfigured for an error that no waiting ends (worker/mongo/setup_errors.py)."""
    try:
        with keeping_cancellation(), pymongo.timeout(deadline_s):
            yield
    except DRIVER_ERRORS as error:
        servers = client.topology_description.server_descriptions().values()
        raise setup_error(error, [server.error for server in servers]) or store_away(error) from error


async def check_server(client: Client, deadline_s: float) -> int | None:
    """Check that the server has transactions. Returns its `transactionLifetimeLimitSeconds`, None if it does not say.

    Raises StoreUnfit if the server has no transactions; Misconfigured if no waiting helps; StoreAway.
    """
    with calls_of_the_start(client, deadline_s):
        hello = await client.admin.command("hello")
        if "setName" not in hello and hello.get("msg") != "isdbgrid":
            raise StoreUnfit(
                "MongoDB is neither a replica set member nor mongos and so has no transactions: "
                "start it with --replSet and initiate the set, one node is enough"
            )
        return await _transaction_lifetime_s(client)


async def ping(client: Client, deadline_s: float) -> None:
    """Return if MongoDB's primary answers within the deadline. Raises StoreAway."""
    with store_deadline(deadline_s):
        await client.admin.command("ping", read_preference=ReadPreference.PRIMARY)


async def _transaction_lifetime_s(client: Client) -> int | None:
    try:
        response = await client.admin.command("getParameter", 1, transactionLifetimeLimitSeconds=1)
    except OperationFailure as error:
        # The user may not read the parameter, or mongos answers, which has no such parameter.
        if error.code == _NOT_PERMITTED or "no option found" in str(error):
            return None
        raise
    return int(response["transactionLifetimeLimitSeconds"])


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
