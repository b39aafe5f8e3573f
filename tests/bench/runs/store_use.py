"""What mongod did between two looks: CPU, transactions, bytes. Free for the worker: mongod counts them anyway."""

import time
from collections.abc import Mapping
from typing import Any, Self

from msgspec import Struct
from pymongo import MongoClient

from mongod import Mongod


class StoreUse(Struct, frozen=True, kw_only=True):
    """Totals since mongod started, or what was added between two looks.

    `stored_bytes`: documents, not compressed, and indexes, of one database. `journal_bytes`: what was logged for a
    crash. `network_bytes`: both ways, of all clients. `pages_read`: pages that were not in mongod's cache.
    """

    cpu_s: float
    committed: int
    aborted: int
    stored_bytes: int
    journal_bytes: int
    network_bytes: int
    pages_read: int

    @classmethod
    def now(cls, mongod: Mongod, mongo: MongoClient[dict[str, Any]], database: str) -> Self:
        """The totals at this moment."""
        status: Mapping[str, Any] = mongo.admin.command("serverStatus")
        stored: Mapping[str, Any] = mongo[database].command("dbStats")
        return cls(
            cpu_s=cpu_s(mongod.pid),
            committed=status["transactions"]["totalCommitted"],
            aborted=status["transactions"]["totalAborted"],
            stored_bytes=round(stored["dataSize"] + stored["indexSize"]),
            journal_bytes=status["wiredTiger"]["log"]["log bytes written"],
            network_bytes=status["network"]["bytesIn"] + status["network"]["bytesOut"],
            pages_read=status["wiredTiger"]["cache"]["pages read into cache"],
        )

    def since(self, before: Self) -> Self:
        """What was added."""
        return type(self)(
            cpu_s=self.cpu_s - before.cpu_s,
            committed=self.committed - before.committed,
            aborted=self.aborted - before.aborted,
            stored_bytes=self.stored_bytes - before.stored_bytes,
            journal_bytes=self.journal_bytes - before.journal_bytes,
            network_bytes=self.network_bytes - before.network_bytes,
            pages_read=self.pages_read - before.pages_read,
        )


def cpu_s(pid: int) -> float:
    """User and system seconds of a process, all threads. Linux numbers the CPU clocks of others this way."""
    return time.clock_gettime((~pid << 3) | 2)
