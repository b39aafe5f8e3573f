"""Fixtures of the worker's tests: both stores on benches, and clients of moto's server.

The tests share one MongoDB database, emptied before each test: creating a database with its indexes takes ten times as
long. A test of the creation uses `new_mongo`.
"""

import asyncio
import logging
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from itertools import count

import pytest
from pymongo import AsyncMongoClient

from mongod import Mongod
from moto_server import MotoServer
from tests.worker.stand_ins.moto_clients import Aws, opened
from tests.worker.store.store_bench import Bench, Commands, MemoryBench, MongoBench
from worker.mongo.database import Client
from worker.store.documents import Collection

_numbers = count(1)
_indexed: set[tuple[int, str]] = set()
"""The databases that have their indexes, by the port of their server."""


@asynccontextmanager
async def _mongo_bench(mongod: Mongod, database: str) -> AsyncIterator[MongoBench]:
    """A bench on that database, with indexes and without documents."""
    commands = Commands()
    # A server that a fail point made say that it is no primary is one again at the next heartbeat.
    client: Client = AsyncMongoClient(mongod.uri, event_listeners=[commands], heartbeatFrequencyMS=500)
    async with client:
        bench = MongoBench(client, database, commands)
        if (mongod.port, database) not in _indexed:
            # Records never expire: the tests' clocks stand in the past.
            await bench.store.ensure_indexes(revision_days=0, wait_days=0, waiting_times=True, audit_days=3_650)
            _indexed.add((mongod.port, database))
        await asyncio.gather(*(bench.database[each].delete_many({}) for each in Collection))
        commands.take()
        # The database is not dropped: the server and its data end with the test session.
        yield bench


@pytest.fixture
def logging_as_it_was() -> Iterator[None]:
    """For a test that runs the worker in this process: it takes over the logs of libraries, warnings and hooks."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    yield
    logging.captureWarnings(False)
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    root.handlers = handlers
    root.setLevel(level)


class _RecordKeeper(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@pytest.fixture
def log_records() -> Iterator[list[logging.LogRecord]]:
    """What the test's code and its libraries log to Python's `logging`. pytest's own plugin for it is off: around each
    of thousands of tests it costs more than most of them."""
    kept, root = _RecordKeeper(), logging.getLogger()
    root.addHandler(kept)
    yield kept.records
    root.removeHandler(kept)


@pytest.fixture
async def mongo(mongod: Mongod) -> AsyncIterator[MongoBench]:
    async with _mongo_bench(mongod, "test") as bench:
        yield bench


@pytest.fixture
async def new_mongo(mongod: Mongod) -> AsyncIterator[MongoBench]:
    """A bench on a new database, which the test may leave in any condition."""
    async with _mongo_bench(mongod, f"test_{next(_numbers)}") as bench:
        yield bench


@pytest.fixture(params=["memory", "mongo"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    if request.param == "memory":
        yield MemoryBench()
        return
    async with _mongo_bench(request.getfixturevalue("mongod"), "test") as bench:
        yield bench


@pytest.fixture(autouse=True)
def _credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    # The machine's certificates are not needed here, and every client would read the whole file.
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
async def aws(moto: MotoServer) -> AsyncIterator[Aws]:
    async with opened(moto) as clients:
        yield clients
