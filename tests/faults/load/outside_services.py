"""The outside services: they write conversations and work-items in the worker's database, and publish every write.

They read, think and write late, so that writes cross. The history of each pair is recorded (`sync.contract`), so that
the audit can tell whether a write was lost.
"""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from msgspec.structs import replace
from pymongo import AsyncMongoClient

from commands.instant import format_instant
from handlers.documents.document import document_from_snapshot
from handlers.ports import Document
from tests.causality.outside import (
    CONVERSATION_WRITES,
    WORK_ITEM_WRITES,
    conversation_written,
    work_item_created,
    work_item_updated,
)
from tests.faults.load.document_writer import SESSIONS, USERS, DocumentWriter, OutsideWrite, agent, now, stamped
from tests.faults.load.event_delivery import LoadDelivery
from tests.faults.load.written_pair import WrittenPair
from worker.store.documents import Collection

_WRITERS: Final = 6
_DELETE_CHANCE: Final = 0.02
_KNOWN_REVISIONS: Final = 3
"""The writer of a work-item has read one of this many latest revisions of the conversation."""


@dataclass(slots=True, kw_only=True)
class CrossingPair(WrittenPair):
    """A pair with the writes that are made to it."""

    conversation_writes: Mapping[str, Any]
    work_item_writes: Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class OutsideServices:
    """The writers of all pairs. `run` writes until `stopping` is set."""

    uri: str
    database: str
    delivery: LoadDelivery
    random: Random
    per_second: float
    pairs: int
    pairs_by_key: dict[str, CrossingPair] = field(default_factory=dict)
    stopping: bool = False

    @property
    def cases(self) -> dict[str, WrittenPair]:
        """The pairs by the conversation's id."""
        return dict(self.pairs_by_key)

    @property
    def writes(self) -> int:
        """The number of writes committed."""
        return sum(case.writes for case in self.pairs_by_key.values())

    async def run(self) -> None:
        """Writes until `stopping` is set. A write that has begun is committed and published."""
        where: dict[str, Any] = {"serverSelectionTimeoutMS": 5_000, "tz_aware": True}
        async with AsyncMongoClient[dict[str, Any]](self.uri, **where) as client, asyncio.TaskGroup() as tasks:
            store = DocumentWriter(client=client, database=self.database, delivery=self.delivery)
            for writer in range(_WRITERS):
                keys = [f"c{number}" for number in range(writer, self.pairs, _WRITERS)]
                tasks.create_task(self._writer(store, [self.new_pair(key) for key in keys]))

    def new_pair(self, key: str) -> CrossingPair:
        """A pair that has not been written yet."""
        chance = Random(self.random.random())
        # Some conversations share an agent, so that their transactions write the same session.
        agents = {"u1": agent(chance.randrange(USERS)), "u2": agent(chance.randrange(USERS))}
        case = CrossingPair(
            key=key,
            random=chance,
            conversation_writes=_with_agents(CONVERSATION_WRITES, agents),
            work_item_writes=_with_agents(WORK_ITEM_WRITES, agents),
        )
        self.pairs_by_key[key] = case
        return case

    async def _writer(self, store: DocumentWriter, cases: list[CrossingPair]) -> None:
        chance = Random(self.random.random())
        while not self.stopping:
            number = chance.randrange(len(cases))
            case = cases[number]
            await asyncio.sleep(chance.expovariate(self.per_second / _WRITERS))
            await self.step(store, case, conversation=chance.random() < 0.5)

    async def step(self, store: DocumentWriter, case: CrossingPair, *, conversation: bool) -> None:
        """Writes the conversation, or reads it and then writes the work-item; a new pair is created."""
        if await self._conversation(store, case, conversation):
            await self._work_item(store, case)

    async def _conversation(self, store: DocumentWriter, case: CrossingPair, writes: bool) -> bool:
        """Reads or writes the conversation. Returns whether the work-item is written next."""
        first = not case.seen
        if not first and not writes:
            found = await store.read(Collection.CONVERSATIONS, case.key)
            case.seen.append(found["rev"])
            return True

        def change(before: Document | None) -> OutsideWrite | None:
            return _conversation_change(case, before)

        written = await store.write(Collection.CONVERSATIONS, case.key, case.key, change)
        if written is not None:
            self.publish(case, written)
            case.seen.append(written.after["rev"])
        return False

    async def _work_item(self, store: DocumentWriter, case: CrossingPair) -> None:
        known_rev = case.random.choice(case.seen[-_KNOWN_REVISIONS:])
        last = await store.read_or_none(Collection.WORK_ITEMS, case.item_key)
        if last is None or not last["active"]:
            case.items += 1
            # Reset before the write: the worker may complete the work-item before the answer of this write arrives.
            case.written = replace(case.written, work_item={})

        def change(before: Document | None) -> OutsideWrite | None:
            return _work_item_change(case, before, known_rev)

        written = await store.write(Collection.WORK_ITEMS, case.item_key, case.key, change)
        if written is not None:
            self.publish(case, written)

    def publish(self, case: CrossingPair, write: OutsideWrite) -> None:
        self.delivery.deliver(case.record(write))


def conversation_created(key: str) -> OutsideWrite:
    """An open conversation of nobody, in no queue."""
    attributes: dict[str, Any] = {"rev": 1, "status": "open", "assignedUsers": [], "ended": False}
    attributes["updatedAt"] = format_instant(now())
    data = {"id": key, "type": "conversation", "attributes": attributes, "relationships": {}}
    return OutsideWrite(before=None, after=stamped(document_from_snapshot(data, org="org", rev=1)))


def _conversation_change(case: CrossingPair, before: Document | None) -> OutsideWrite | None:
    if before is None:
        return conversation_created(case.key)
    choices = [
        after
        for name, fields in case.conversation_writes.items()
        # A deletion ends a pair, so deletions are rare.
        if (name != "delete" or case.random.random() < _DELETE_CHANCE)
        and (after := conversation_written(before, fields, now())) is not None
    ]
    return OutsideWrite(before=before, after=stamped(case.random.choice(choices))) if choices else None


def _work_item_change(case: CrossingPair, before: Document | None, known_rev: int) -> OutsideWrite | None:
    if before is None:
        after = work_item_created(case.key, case.items, known_rev, now(), key=case.item_key)
        return OutsideWrite(before=None, after=stamped(after), known_rev=known_rev)
    updated = (work_item_updated(before, fields, now(), SESSIONS) for fields in case.work_item_writes.values())
    choices = [after for after in updated if after is not None]
    if not choices:
        return None
    return OutsideWrite(before=before, after=stamped(case.random.choice(choices)), known_rev=known_rev)


def _with_agents(writes: Mapping[str, Any], agents: Mapping[str, str]) -> Mapping[str, Any]:
    text = json.dumps(writes)
    for name, who in agents.items():
        text = text.replace(f'"{name}"', f'"{who}"')
    named: Mapping[str, Any] = json.loads(text)
    return named
