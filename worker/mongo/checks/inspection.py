"""What `routing-sync doctor` asks MongoDB: nothing is written, and no index is made.

Every call is bounded by the deadline. Raises StoreAway, and Misconfigured or StoreUnfit as the start does.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from msgspec import Struct
from pymongo.errors import OperationFailure

from worker.mongo.checks.foreign_fields import ForeignField, foreign_fields
from worker.mongo.checks.foreign_ids import ForeignIds, foreign_ids
from worker.mongo.database import Client, Database, calls_of_the_start, check_server, database_of
from worker.mongo.indexes.creation import clash_line, duplicates_line, refusal_line
from worker.mongo.indexes.definitions import (
    API_INDEXES,
    AUDIT,
    REVISIONS,
    WAIT_DAYS,
    WAITING_INDEXES,
    WAITS,
    Index,
    wanted_indexes,
)
from worker.mongo.stored_types import STORED_TYPES
from worker.store.documents import Collection

_NOT_PERMITTED: Final = 13
_LARGE: Final = 100_000
"""From so many documents on, building an index takes seconds or more."""
_POOL_UNLIMITED: Final = 100
"""Counted for a client without a limit, the driver's default."""
_ACTIONS: Final = frozenset({"find", "insert", "update", "remove", "createCollection", "createIndex", "dropIndex"})
"""What the processes do to the collections; the role `readWrite` has all of them."""


class ServerFacts(Struct, frozen=True, kw_only=True):
    """The server: its version, its `transactionLifetimeLimitSeconds` (None: it does not say), its clock, and the most
    connections that the client opens to it."""

    version: tuple[int, ...]
    lifetime_s: int | None
    time: datetime | None
    pool_max: int


class Connections(Struct, frozen=True, kw_only=True):
    """The connections of the server that are open, and those that are free."""

    open: int
    free: int


class IndexFacts(Struct, frozen=True, kw_only=True):
    """The indexes: lines about those of others in the way and about duplicates, each with its remedy; how many of ours
    stand and how many the start makes; the collections that are large, with the indexes to build."""

    in_the_way: tuple[str, ...]
    duplicates: str | None
    standing: int
    missing: int
    large: tuple[tuple[str, int, tuple[str, ...]], ...]


class StoreInspection:
    """Looks at one database."""

    def __init__(self, client: Client, database: str, *, deadline_s: float) -> None:
        self._client = client
        self._name = database
        self._database = database_of(client, database)
        self._documents: Database = self._database.with_options(codec_options=STORED_TYPES)
        self._deadline_s = deadline_s

    async def server(self) -> ServerFacts:
        """The server's facts. Raises StoreUnfit if it has no transactions."""
        lifetime_s = await check_server(self._client, self._deadline_s)
        with calls_of_the_start(self._client, self._deadline_s):
            build = await self._client.admin.command("buildInfo")
            hello = await self._database.command("hello", codec_options=self._database.codec_options)
        return ServerFacts(
            version=tuple(int(part) for part in build.get("versionArray", [])[:3]),
            lifetime_s=lifetime_s,
            time=hello.get("localTime"),
            pool_max=int(self._client.options.pool_options.max_pool_size or _POOL_UNLIMITED),
        )

    async def connections(self) -> Connections | None:
        """The server's connections; None if the user may not ask for them."""
        answer = await self._permitted("serverStatus", 1)
        if answer is None:
            return None
        found = answer.get("connections", {})
        return Connections(open=int(found.get("current", 0)), free=int(found.get("available", 0)))

    async def missing_actions(self) -> Sequence[str] | None:
        """What the user may not do to the database's collections; None if the server has no access control."""
        with calls_of_the_start(self._client, self._deadline_s):
            status = await self._client.admin.command("connectionStatus", 1, showPrivileges=True)
        auth = status.get("authInfo", {})
        if not auth.get("authenticatedUsers"):
            return None
        granted: set[str] = set()
        for privilege in auth.get("authenticatedUserPrivileges", []):
            resource = privilege.get("resource", {})
            of_all = resource.get("anyResource") is True
            # Privileges on one collection are not counted: the process uses all of them.
            if of_all or (resource.get("db") in {"", self._name} and resource.get("collection") == ""):
                granted |= set(privilege.get("actions", []))
        return sorted(_ACTIONS - granted)

    async def foreign_ids(self) -> Sequence[ForeignIds]:
        """The collections with `_id`s that are no texts."""
        with calls_of_the_start(self._client, self._deadline_s):
            return await foreign_ids(self._documents)

    async def foreign_fields(self) -> Sequence[ForeignField]:
        """The fields of other types by which the process misses documents."""
        with calls_of_the_start(self._client, self._deadline_s):
            return await foreign_fields(self._documents)

    async def has_conversations(self) -> bool:
        """Whether any conversation is stored."""
        with calls_of_the_start(self._client, self._deadline_s):
            return await self._database[Collection.CONVERSATIONS].find_one({}, {"_id": True}) is not None

    async def indexes(
        self,
        *,
        revision_days: int,
        waiting_times: bool,
        create_work_items: bool,
        queue_rules: bool,
        by_time_of_writing: bool,
        audit_days: int = 0,
        api: bool = False,
    ) -> IndexFacts:
        """How the indexes of the database compare with those that the process uses; nothing is made.

        `api`: those of `routing-sync serve`, too. The other flags are those of `ensure_indexes`.
        """
        wanted = wanted_indexes(
            waiting_times=waiting_times or api,
            create_work_items=create_work_items,
            queue_rules=queue_rules,
            by_time_of_writing=by_time_of_writing,
            keeps_audit=audit_days > 0,
        )
        expiring = [REVISIONS.index(revision_days)] if revision_days else []
        expiring += [AUDIT.index(audit_days)] if audit_days else []
        every = (*wanted, *expiring, WAITS.index(WAIT_DAYS), *(_OF_API if api else ()))
        once = {(index.collection, index.name): index for index in every}
        with calls_of_the_start(self._client, self._deadline_s):
            return await self._compared(tuple(once.values()))

    async def _compared(self, wanted: Sequence[Index]) -> IndexFacts:
        existing = await self._database.list_collection_names()
        in_the_way: list[str] = []
        missing: dict[Collection, list[str]] = {}
        duplicates: str | None = None
        for index in wanted:
            found: dict[str, Any] = {}
            if index.collection in existing:
                found = dict(await self._database[index.collection].index_information())
            refusal = refusal_line(index, found)
            in_the_way += [] if refusal is None else [refusal]
            if any(index.is_same(each) or _is_other_time(index, each) for each in found.values()):
                continue
            in_the_way += [
                clash_line(index, name, each) for name, each in found.items() if index.clashes_with(name, each)
            ]
            missing.setdefault(index.collection, []).append(index.name)
            if index.options.get("unique"):
                duplicates = await duplicates_line(self._database, index)
        counts = {each: await self._database[each].estimated_document_count() for each in missing}
        return IndexFacts(
            in_the_way=tuple(in_the_way),
            duplicates=duplicates,
            standing=len(wanted) - sum(map(len, missing.values())),
            missing=sum(map(len, missing.values())),
            large=tuple((each.value, counts[each], tuple(missing[each])) for each in missing if counts[each] >= _LARGE),
        )

    async def _permitted(self, command: str, value: int) -> dict[str, Any] | None:
        with calls_of_the_start(self._client, self._deadline_s):
            try:
                answer: dict[str, Any] = await self._client.admin.command(command, value)
            except OperationFailure as error:
                if error.code == _NOT_PERMITTED:
                    return None
                raise
            return answer


def _is_other_time(index: Index, found: Mapping[str, Any]) -> bool:
    """Whether this is our time-to-live index with another time, which the start changes."""
    return "expireAfterSeconds" in index.options and found["key"] == index.keys and "expireAfterSeconds" in found


_OF_API: Final = (*API_INDEXES, *WAITING_INDEXES)
