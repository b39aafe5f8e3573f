"""Outside services that write minutes apart: the stories of pairs over an outage, as agents and customers live them.

A third of the pairs live the smallest story in which age passes for knowledge: the conversation is assigned; seconds
later another agent, who knew it, accepts; minutes later the customer writes. The others are drawn: pauses of seconds or
minutes between assignments, queues, put backs, touches, snoozes, ends and closings. One write of a work-item in eight
does not say what it knew, one in five knew an older revision. A few events are lost; a touch of the conversation at the
end of the load makes the worker look at their pairs.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any, Final

from msgspec import Struct
from pymongo import AsyncMongoClient

from handlers.ports import Document
from tests.causality.outside import conversation_written, work_item_created, work_item_updated
from tests.faults.expected_ends import NotedWrite, noted_write, values_of
from tests.faults.load.document_writer import SESSIONS, USERS, DocumentWriter, OutsideWrite, agent, now, stamped
from tests.faults.load.event_delivery import EventDelivery
from tests.faults.load.outside_services import conversation_created
from tests.faults.load.written_pair import WrittenPair
from worker.store.documents import Collection

_LOST: Final = 1 / 50
_SILENT: Final = 1 / 8
_OUTDATED: Final = 1 / 5
_SECONDS: Final = (0.2, 5.0)
_TAIL_S: Final = 0.5
"""How often a story that pauses looks whether the load ends."""


class StoryTimes(Struct, frozen=True, kw_only=True):
    """Seconds: until the last pair begins, and of a long pause, the shortest and the longest."""

    begin_s: float
    pause_s: tuple[float, float]


@dataclass(slots=True, kw_only=True)
class SlowPair(WrittenPair):
    """A pair with the list of its writes."""

    agents: tuple[str, ...]
    noted: list[NotedWrite] = field(default_factory=list)

    @property
    def any_lost(self) -> bool:
        return any(write.lost for write in self.noted)

    @property
    def closed(self) -> bool:
        return any(write.sets.get("closed") for write in self.noted)


_STEPS: Final[Mapping[str, int]] = {
    "assign": 5,
    "un-assign": 1,
    "queue": 3,
    "touch": 5,
    "snooze": 1,
    "open": 1,
    "end": 1,
    "done": 1,
    "accept": 6,
    "put back": 2,
    "requeue": 3,
    "complete": 1,
}
"""The steps of a drawn story, with their weights; from `accept` on they are the work-item's."""
_ITEM_STEPS: Final = frozenset(("accept", "put back", "requeue", "complete"))


@dataclass(slots=True, kw_only=True)
class SlowStories:
    """The services of all pairs, each pair on its own. `run` ends after `stopping` is set."""

    uri: str
    database: str
    delivery: EventDelivery
    random: Random
    pairs: int
    times: StoryTimes
    stories: dict[str, SlowPair] = field(default_factory=dict)
    stopping: bool = False

    @property
    def cases(self) -> dict[str, WrittenPair]:
        """The pairs by the conversation's id."""
        return dict(self.stories)

    @property
    def writes(self) -> int:
        """The number of writes committed."""
        return sum(case.writes for case in self.stories.values())

    async def run(self) -> None:
        """Lives every story until `stopping` is set, then touches the pairs that lost an event."""
        where: dict[str, Any] = {"serverSelectionTimeoutMS": 5_000, "tz_aware": True}
        async with AsyncMongoClient[dict[str, Any]](self.uri, **where) as client:
            store = DocumentWriter(client=client, database=self.database, delivery=self.delivery)
            async with asyncio.TaskGroup() as tasks:
                for number in range(self.pairs):
                    tasks.create_task(self._pair(store, number))
            for case in self.stories.values():
                if case.any_lost:
                    await self._conversation(store, case, "touch", may_be_lost=False)

    async def _pair(self, store: DocumentWriter, number: int) -> None:
        chance = Random(self.random.random())
        await self._pause(chance.uniform(0, self.times.begin_s))
        if self.stopping:
            return
        agents = tuple(agent(each) for each in chance.sample(range(USERS), 3))
        case = SlowPair(key=f"c{number}", random=chance, agents=agents)
        self.stories[case.key] = case
        await self._conversation(store, case, "create", may_be_lost=False)
        await self._pause(chance.uniform(0, 2))
        await self._work_item(store, case, "create", known_rev=1, may_be_lost=False)
        if number % 3 == 0:
            await self._smallest_story(store, case)
            return
        while not case.closed and not self.stopping:
            long = chance.random() < 0.5
            await self._pause(chance.uniform(*(self.times.pause_s if long else _SECONDS)))
            if not self.stopping:
                await self._drawn_step(store, case)

    async def _smallest_story(self, store: DocumentWriter, case: SlowPair) -> None:
        await self._pause(case.random.uniform(*_SECONDS))
        await self._conversation(store, case, "assign", may_be_lost=False)
        await self._pause(case.random.uniform(*_SECONDS))
        await self._work_item(store, case, "accept", known_rev=case.seen[-1], may_be_lost=False)
        await self._pause(case.random.uniform(*self.times.pause_s))
        await self._conversation(store, case, "touch", may_be_lost=False)

    async def _drawn_step(self, store: DocumentWriter, case: SlowPair) -> None:
        chance = case.random
        step = chance.choices(list(_STEPS), list(_STEPS.values()))[0]
        if step not in _ITEM_STEPS:
            await self._conversation(store, case, step)
            return
        case.seen.append((await store.read(Collection.CONVERSATIONS, case.key))["rev"])
        drawn = chance.random()
        known_rev: int | None = case.seen[-1]
        if drawn < _SILENT:
            known_rev = None
        elif drawn < _SILENT + _OUTDATED:
            known_rev = chance.choice(case.seen[-4:])
        await self._work_item(store, case, step, known_rev=known_rev)

    async def _conversation(
        self, store: DocumentWriter, case: SlowPair, step: str, *, may_be_lost: bool = True
    ) -> None:
        change = partial(_conversation_change, case, step)
        written = await store.write(Collection.CONVERSATIONS, case.key, case.key, change)
        if written is not None:
            case.seen.append(written.after["rev"])
            self._publish(case, written, may_be_lost=may_be_lost)

    async def _work_item(
        self, store: DocumentWriter, case: SlowPair, step: str, *, known_rev: int | None, may_be_lost: bool = True
    ) -> None:
        case.items = 1
        change = partial(_work_item_change, case, step, known_rev)
        written = await store.write(Collection.WORK_ITEMS, case.item_key, case.key, change)
        if written is not None:
            self._publish(case, written, may_be_lost=may_be_lost)

    def _publish(self, case: SlowPair, write: OutsideWrite, *, may_be_lost: bool) -> None:
        lost = may_be_lost and case.random.random() < _LOST
        case.noted.append(noted_write(write.before, write.after, known_rev=write.known_rev, lost=lost))
        wire = case.record(write, lost=lost)
        if not lost:
            self.delivery.deliver(wire)

    async def _pause(self, seconds: float) -> None:
        while seconds > 0 and not self.stopping:
            await asyncio.sleep(min(seconds, _TAIL_S))
            seconds -= _TAIL_S


def _conversation_change(case: SlowPair, step: str, before: Document | None) -> OutsideWrite | None:
    if before is None:
        return conversation_created(case.key)
    fields: dict[str, Any]
    match step:
        case "assign":
            fields = {"assignedUsers": [_another_agent(case)]}
        case "un-assign":
            fields = {"assignedUsers": []}
        case "queue":
            fields = {"queue": {"id": f"q{case.random.randrange(1, 4)}"}}
        case "touch":
            fields = {"messageCount": before["attributes"].get("messageCount", 0) + 1}
        case "snooze" | "open":
            fields = {"status": "snoozed" if step == "snooze" else "open"}
        case "end":
            fields = {"ended": True}
        case _:
            fields = {"status": "done"}
    after = conversation_written(before, fields, now())
    return None if after is None else OutsideWrite(before=before, after=stamped(after))


def _work_item_change(case: SlowPair, step: str, known_rev: int | None, before: Document | None) -> OutsideWrite | None:
    if before is None:
        after = work_item_created(case.key, 1, known_rev or 1, now(), key=case.item_key)
        return OutsideWrite(before=None, after=stamped(after), known_rev=known_rev)
    fields: dict[str, Any]
    match step:
        case "accept":
            fields = {"assignedTo": _another_agent(case)}
        case "put back":
            # Only from assigned, and to a queue: no other un-assignment is carried over to the conversation.
            if before["attributes"]["status"] != "assigned" or values_of(before)["queue"] is None:
                return None
            fields = {"assignedTo": None}
        case "requeue":
            fields = {"queue": f"q{case.random.randrange(1, 4)}"}
        case _:
            fields = {"status": "completed"}
    changed = work_item_updated(before, fields, now(), SESSIONS)
    if changed is None:
        return None
    return OutsideWrite(before=before, after=stamped(changed), known_rev=known_rev)


def _another_agent(case: SlowPair) -> str:
    """Not the agent who was assigned last, by whichever side."""
    assigned = [write.sets["agent"] for write in case.noted if "agent" in write.sets]
    return case.random.choice([each for each in case.agents if each not in assigned[-1:]])
