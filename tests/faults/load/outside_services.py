"""The outside services: they write conversations and work-items in the worker's database, and publish every write.

A write is a transaction that checks the document's revision; it competes with the worker's writes and is retried
through every fault of MongoDB. Its event is published once the write is known to be committed. The history of each
pair is recorded (`sync.contract`), so that the audit can tell whether a write was lost.
"""

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace
from pymongo import AsyncMongoClient, timeout
from pymongo.errors import PyMongoError
from pymongo.read_concern import ReadConcern

from commands.instant import format_instant
from commands.session import Session, move_between
from handlers.documents.document import document_from_snapshot
from handlers.documents.document_mapping import work_item_of
from handlers.events.event import Event
from handlers.events.parser import read_object
from handlers.ports import Document, DocumentWrite, Plan
from sync.contract import FieldHistory
from tests.causality.outside import (
    CONVERSATION_WRITES,
    WORK_ITEM_WRITES,
    conversation_written,
    published_event,
    with_outside_write,
    work_item_created,
    work_item_updated,
)
from tests.faults.load.event_delivery import EventDelivery
from worker.mongo.database import MAJORITY
from worker.mongo.writes import write_steps
from worker.store.documents import Collection
from worker.store.transaction_steps import transaction_steps

USERS: Final = 16
_WRITERS: Final = 6
_ANSWER_WITHIN_S: Final = 5.0
_DELETE_CHANCE: Final = 0.02
_KNOWN_REVISIONS: Final = 3
"""The writer of a work-item has read one of this many latest revisions of the conversation."""


def session_documents() -> list[dict[str, Any]]:
    """One active session an agent, empty."""
    lists: dict[str, Any] = {"workItems": [], "pausedWorkItems": [], "pendingItem": None}
    return [
        {"_id": session.id, "org": "org", "user": session.user, "active": True, "capacity": 1_000, **lists}
        for session in _SESSIONS.values()
    ]


def _agent(number: int) -> str:
    return f"agent-{number % USERS}"


_SESSIONS: Final = {
    f"session-{number}": Session(id=f"session-{number}", user=_agent(number), capacity=1_000) for number in range(USERS)
}


class _WriteConflict(Exception):
    """Another writer has changed the document since it was read."""


@dataclass(slots=True)
class PairHistory:
    """One conversation with its work-items: the writes so far, and what each field must hold."""

    key: str
    random: Random
    conversation_writes: Mapping[str, Any]
    work_item_writes: Mapping[str, Any]
    history: FieldHistory = field(default_factory=FieldHistory)
    writes: int = 0
    items: int = 0
    seen: list[int] = field(default_factory=list)

    @property
    def item_key(self) -> str:
        """The id of the latest work-item. Before the first work-item, an id that is not stored."""
        return f"{self.key}-w{self.items}"


class _Write(Struct, frozen=True, kw_only=True):
    before: Document | None
    after: Document
    known_rev: int | None = None

    def plan(self, key: str) -> Plan:
        write = DocumentWrite(before=self.before, after=self.after)
        if self.after["type"] == "conversation":
            return Plan(conversation_id=key, conversation=write)
        before = None if self.before is None else work_item_of(self.before)
        move = move_between(before, work_item_of(self.after))
        return Plan(conversation_id=key, work_items=(write,), moves=(move,) if move else ())


@dataclass(slots=True, kw_only=True)
class OutsideServices:
    """The writers of all pairs. `run` writes until `stopping` is set."""

    uri: str
    database: str
    delivery: EventDelivery
    random: Random
    per_second: float
    pairs: int
    cases: dict[str, PairHistory] = field(default_factory=dict)
    writes: int = 0
    stopping: bool = False

    async def run(self) -> None:
        """Writes until `stopping` is set. A write that has begun is committed and published."""
        where: dict[str, Any] = {"serverSelectionTimeoutMS": 5_000, "tz_aware": True}
        async with AsyncMongoClient[dict[str, Any]](self.uri, **where) as client, asyncio.TaskGroup() as tasks:
            for writer in range(_WRITERS):
                keys = [f"c{number}" for number in range(writer, self.pairs, _WRITERS)]
                tasks.create_task(self._writer(client, [self._case(key, number) for number, key in enumerate(keys)]))

    def _case(self, key: str, number: int) -> PairHistory:
        chance = Random(self.random.random())
        # Some conversations share an agent, so that their transactions write the same session.
        agents = {"u1": _agent(chance.randrange(USERS)), "u2": _agent(chance.randrange(USERS))}
        case = PairHistory(
            key=key,
            random=chance,
            conversation_writes=_with_agents(CONVERSATION_WRITES, agents),
            work_item_writes=_with_agents(WORK_ITEM_WRITES, agents),
        )
        self.cases[key] = case
        return case

    async def _writer(self, client: AsyncMongoClient[dict[str, Any]], cases: list[PairHistory]) -> None:
        chance = Random(self.random.random())
        while not self.stopping:
            number = chance.randrange(len(cases))
            case = cases[number]
            await asyncio.sleep(chance.expovariate(self.per_second / _WRITERS))
            if await self._conversation(client, case, chance.random() < 0.5):
                await self._work_item(client, case)

    async def _conversation(self, client: AsyncMongoClient[dict[str, Any]], case: PairHistory, writes: bool) -> bool:
        """Reads or writes the conversation. Returns whether the work-item is written next."""
        first = not case.seen
        if not first and not writes:
            found = await self._read(client, Collection.CONVERSATIONS, case.key)
            case.seen.append(found["rev"])
            return True
        written = await self._write_with_retries(client, Collection.CONVERSATIONS, case, case.key, _conversation_change)
        if written is not None:
            case.seen.append(written.after["rev"])
        return False

    async def _work_item(self, client: AsyncMongoClient[dict[str, Any]], case: PairHistory) -> None:
        known_rev = case.random.choice(case.seen[-_KNOWN_REVISIONS:])
        last = await self._read_or_none(client, Collection.WORK_ITEMS, case.item_key)
        if last is None or not last["active"]:
            case.items += 1
            # Reset before the write: the worker may complete the work-item before the answer of this write arrives.
            case.history = replace(case.history, work_item={})

        def change(case: PairHistory, before: Document | None) -> _Write | None:
            return _work_item_change(case, before, known_rev)

        await self._write_with_retries(client, Collection.WORK_ITEMS, case, case.item_key, change)

    async def _write_with_retries(
        self,
        client: AsyncMongoClient[dict[str, Any]],
        collection: Collection,
        case: PairHistory,
        key: str,
        change: Callable[[PairHistory, Document | None], _Write | None],
    ) -> _Write | None:
        """Writes a document, retrying after conflicts and store errors. Returns None where there is nothing to write.

        Only outside writes set `outsideRev`, and this writer alone writes the document from outside. So the stored
        `outsideRev` tells which attempt was committed.
        """
        tried: dict[int, _Write] = {}
        while not self.delivery.abandoned:
            with contextlib.suppress(PyMongoError, _WriteConflict):
                before = await self._read_or_none(client, collection, key, linearizable=bool(tried))
                if before is not None and before["attributes"]["outsideRev"] in tried:
                    return self._record(case, tried[before["attributes"]["outsideRev"]])
                rev = 1 if before is None else before["rev"] + 1
                write = tried.get(rev) or change(case, before)
                if write is None:
                    return None
                tried[rev] = write
                await self._commit(client, write.plan(case.key))
                return self._record(case, write)
            await asyncio.sleep(0.05)
        raise asyncio.CancelledError

    async def _commit(self, client: AsyncMongoClient[dict[str, Any]], plan: Plan) -> None:
        with timeout(_ANSWER_WITHIN_S):
            async with client.start_session() as session, await session.start_transaction(write_concern=MAJORITY):
                if not await write_steps(client[self.database], session, transaction_steps([plan], "outside")):
                    raise _WriteConflict

    def _record(self, case: PairHistory, write: _Write) -> _Write:
        wire = published_event(write.before, write.after, knew=write.known_rev)
        event = read_object(wire)
        assert isinstance(event, Event), event
        case.history = with_outside_write(case.history, event, write.after, write.known_rev)
        case.writes += 1
        self.writes += 1
        self.delivery.deliver(wire)
        return write

    async def _read(self, client: AsyncMongoClient[dict[str, Any]], collection: Collection, key: str) -> Document:
        found = await self._read_or_none(client, collection, key)
        assert found is not None
        return found

    async def _read_or_none(
        self, client: AsyncMongoClient[dict[str, Any]], collection: Collection, key: str, *, linearizable: bool = False
    ) -> Document | None:
        """Reads a document, retrying after store errors. `linearizable`: never a stale read from a deposed primary."""
        concern = ReadConcern("linearizable" if linearizable else "local")
        at = client[self.database].get_collection(collection, read_concern=concern)
        while not self.delivery.abandoned:
            with contextlib.suppress(PyMongoError), timeout(_ANSWER_WITHIN_S):
                return await at.find_one({"_id": key})
            await asyncio.sleep(0.05)
        raise asyncio.CancelledError


def _conversation_change(case: PairHistory, before: Document | None) -> _Write | None:
    if before is None:
        attributes: dict[str, Any] = {"rev": 1, "status": "open", "assignedUsers": [], "ended": False}
        attributes["updatedAt"] = format_instant(_now())
        data = {"id": case.key, "type": "conversation", "attributes": attributes, "relationships": {}}
        return _Write(before=None, after=_stamped(document_from_snapshot(data, org="org", rev=1)))
    choices = [
        after
        for name, fields in case.conversation_writes.items()
        # A deletion ends a pair, so deletions are rare.
        if (name != "delete" or case.random.random() < _DELETE_CHANCE)
        and (after := conversation_written(before, fields, _now())) is not None
    ]
    return _Write(before=before, after=_stamped(case.random.choice(choices))) if choices else None


def _work_item_change(case: PairHistory, before: Document | None, known_rev: int) -> _Write | None:
    if before is None:
        after = work_item_created(case.key, case.items, known_rev, _now(), key=case.item_key)
        return _Write(before=None, after=_stamped(after), known_rev=known_rev)
    updated = (work_item_updated(before, fields, _now(), _SESSIONS) for fields in case.work_item_writes.values())
    choices = [after for after in updated if after is not None]
    return _Write(before=before, after=_stamped(case.random.choice(choices)), known_rev=known_rev) if choices else None


def _stamped(after: Document) -> Document:
    return {**after, "attributes": {**after["attributes"], "outsideRev": after["rev"]}}


def _with_agents(writes: Mapping[str, Any], agents: Mapping[str, str]) -> Mapping[str, Any]:
    text = json.dumps(writes)
    for name, agent in agents.items():
        text = text.replace(f'"{name}"', f'"{agent}"')
    named: Mapping[str, Any] = json.loads(text)
    return named


def _now() -> datetime:
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)
