"""The work of mongod between two readings of its own counters: CPU, transactions, bytes."""

import time
from collections.abc import Mapping
from typing import Any, Self

from msgspec import Struct
from pymongo import MongoClient

from mongod import Mongod


class StoreUse(Struct, frozen=True, kw_only=True):
    """Totals since mongod started, or the difference of two readings.

    `stored_bytes`: uncompressed documents and indexes of one database. `journal_bytes`: bytes written to the journal.
    `network_bytes`: both directions, all clients. `pages_read`: pages read into the cache.
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
        """Reads the totals."""
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
        """The difference to an earlier reading."""
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
    """User and system seconds of a process with all its threads. Linux derives the id of its CPU clock from its pid."""
    return time.clock_gettime((~pid << 3) | 2)
