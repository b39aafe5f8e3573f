"""The two stores on their benches; for MongoDB a database of its own for every test."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count

import pytest
from pymongo import AsyncMongoClient

from mongod import Mongod
from tests.worker.store_bench import Bench, Commands, MemoryBench, MongoBench
from worker.mongo_database import Client

_numbers = count(1)


@asynccontextmanager
async def _mongo_bench(mongod: Mongod) -> AsyncIterator[MongoBench]:
    commands = Commands()
    client: Client = AsyncMongoClient(mongod.uri, event_listeners=[commands])
    async with client:
        bench = MongoBench(client, f"test_{next(_numbers)}", commands)
        await bench.store.ensure_indexes()
        commands.take()
        # Not dropped: the server goes with the session, and its data with it.
        yield bench


@pytest.fixture
async def mongo(mongod: Mongod) -> AsyncIterator[MongoBench]:
    async with _mongo_bench(mongod) as bench:
        yield bench


@pytest.fixture(params=["memory", "mongo"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    if request.param == "memory":
        yield MemoryBench()
        return
    async with _mongo_bench(request.getfixturevalue("mongod")) as bench:
        yield bench
