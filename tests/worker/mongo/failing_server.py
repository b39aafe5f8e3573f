"""A server that fails commands on purpose, and another store on its database."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.handlers.small_ports import HandClock
from tests.worker.store.store_bench import MongoBench
from worker.mongo.database import Client
from worker.mongo.store import MongoStore
from worker.runtime.clock import ObjectIds


def store_on(client: Client, bench: MongoBench, deadline_s: float = 5) -> MongoStore:
    """Another store on the bench's database, whose retries do not wait."""
    return MongoStore(
        client, bench.database.name, clock=HandClock(), ids=ObjectIds(), deadline_s=deadline_s, observer=bench.watch
    )


@asynccontextmanager
async def failing(bench: MongoBench, command: str, times: int | None = None, **how: Any) -> AsyncIterator[None]:
    """The server fails a command of the bench's client, a number of times or always."""
    mode: Any = "alwaysOn" if times is None else {"times": times}
    data = {"failCommands": [command], **how}
    await bench.client.admin.command({"configureFailPoint": "failCommand", "mode": mode, "data": data})
    try:
        yield
    finally:
        await bench.client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})
        bench.commands.take()


async def end_transactions(bench: MongoBench) -> None:
    """End what a failed commit has left open: the locks would hold the next test up for a transaction's lifetime."""
    await bench.client.admin.command("killAllSessions", [])
