"""The outside services of a soak: the crossing writes of the fault suite, on pairs that come and go.

A pair is written some times, then its conversation is done. So the store grows as in production: a few hundred pairs
live, and ever more are finished. Most writes touch no shared field, as when a customer writes. The services write as
fast as the workers handle: they wait while the backlog is full.
"""

import asyncio
import time
from dataclasses import dataclass, field
from itertools import count as count_up
from random import Random
from typing import Any, Final

from pymongo import AsyncMongoClient, ReturnDocument

from commands.instant import format_instant
from handlers.ports import Document
from tests.causality.outside import conversation_written
from tests.faults.load.document_writer import DocumentWriter, OutsideWrite, now, stamped
from tests.faults.load.outside_services import CrossingPair, OutsideServices
from tests.faults.soak.event_count import EventCount
from worker.store.documents import Collection

_WRITERS: Final = 30
_STEPS_OF_A_PAIR: Final = (2, 18)
"""The fewest and the most writes that may change a shared field. Pairs end at different times, the first ones soon."""
_REVISIONS: Final = ("rev", "attributes.rev", "attributes.outsideRev")
_TOUCHES: Final = 3
"""Writes of no shared field, by one command each, after every write that may change one."""
_FULL_S: Final = 0.02


@dataclass(slots=True, kw_only=True)
class SoakServices(OutsideServices):
    """`pairs`: so many live at a time. `backlog`: events without an audit line at which the writers wait.

    `ended`: when each pair was written for the last time, by the monotonic clock.
    """

    count: EventCount
    backlog: int
    ended: dict[str, float] = field(default_factory=dict)
    written: int = 0
    """The writes of pairs that are forgotten."""
    _numbers: Any = field(default_factory=count_up)

    @property
    def writes(self) -> int:
        """The number of writes committed."""
        return self.written + sum(case.writes for case in list(self.pairs_by_key.values()))

    async def run(self) -> None:
        """Writes until `stopping` is set. A write that has begun is committed and published."""
        where: dict[str, Any] = {"serverSelectionTimeoutMS": 5_000, "tz_aware": True}
        async with AsyncMongoClient[dict[str, Any]](self.uri, **where) as client, asyncio.TaskGroup() as tasks:
            store = DocumentWriter(client=client, database=self.database, delivery=self.delivery)
            for _ in range(_WRITERS):
                tasks.create_task(self._write_pairs(store))

    def forget(self, pair: str) -> None:
        """Drops a pair that has been checked."""
        self.written += self.pairs_by_key.pop(pair).writes
        del self.ended[pair]

    async def _write_pairs(self, store: DocumentWriter) -> None:
        chance = Random(self.random.random())
        live: list[CrossingPair] = []
        left: dict[str, int] = {}
        while not self.stopping:
            if self.count.outstanding >= self.backlog:
                await asyncio.sleep(_FULL_S)
                continue
            if len(live) < self.pairs // _WRITERS:
                live.append(self.new_pair(f"c{next(self._numbers)}"))
                left[live[-1].key] = chance.randint(*_STEPS_OF_A_PAIR)
            number = chance.randrange(len(live))
            case = live[number]
            await self.step(store, case, conversation=chance.random() < 0.5)
            for _ in range(_TOUCHES):
                await self._touch(store, case)
            left[case.key] -= 1
            if not left[case.key]:
                await self._end(store, case)
                live[number] = live[-1]
                live.pop()
                del left[case.key]

    async def _touch(self, store: DocumentWriter, case: CrossingPair) -> None:
        """The customer writes: one command, and no other writer can come between."""
        at = format_instant(now())
        after: Document | None = await store.client[store.database][Collection.CONVERSATIONS].find_one_and_update(
            {"_id": case.key, "attributes.deleted": {"$ne": True}},
            [{"$set": {**{name: {"$add": ["$rev", 1]} for name in _REVISIONS}, "attributes.updatedAt": at}}],
            return_document=ReturnDocument.AFTER,
        )
        if after is None:
            return
        rev = after["rev"]
        before = {**after, "rev": rev - 1, "attributes": {**after["attributes"], "rev": rev - 1}}
        self.publish(case, OutsideWrite(before=before, after=after))
        case.seen.append(rev)

    async def _end(self, store: DocumentWriter, case: CrossingPair) -> None:
        written = await store.write(Collection.CONVERSATIONS, case.key, case.key, _done)
        if written is not None:
            self.publish(case, written)
        self.ended[case.key] = time.monotonic()


def _done(before: Document | None) -> OutsideWrite | None:
    assert before is not None
    after = conversation_written(before, {"status": "done"}, now())
    return None if after is None else OutsideWrite(before=before, after=stamped(after))
