"""A restored database: the store holds lower revisions than were announced, and no revision is announced twice
(docs/rules.md, *A restored database*). One suite for both stores."""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
from bson import json_util

from commands.instant import format_instant
from commands.session import Session
from handlers.batch_handler import BatchHandler
from handlers.documents.document import document_from_snapshot
from handlers.options import GAP_SECONDS, Options, PolicyInUse
from handlers.outcome import HandledEvent
from handlers.ports import Document, LoadRequest
from sync.state.sync_state import SyncState
from tests.handlers.small_ports import START, CountedIds, FixedChance, HandClock
from tests.handlers.wire_events import ORG, Json, changes, conversation, event, read, work_item
from tests.worker.store.store_bench import Bench, MongoBench
from worker.store.documents import Collection


def stored(data: Json) -> Document:
    """The document of a snapshot, written when the tests' clock starts: at first sight nothing is assumed of it."""
    data["attributes"]["updatedAt"] = format_instant(START)
    return document_from_snapshot(data, org=ORG, rev=data["attributes"]["rev"])


def assigned(rev: int, before: Sequence[str], user: str) -> Json:
    said = changes({"assignedUsers": (list(before), [user])})
    return event(conversation(rev, users=(user,)), "update", changes=said)


class RestoredWorld:
    """A pair whose conversation was announced up to revision 5 and its work-item up to 3. Then both are restored."""

    def __init__(self, bench: Bench, options: Options | None = None) -> None:
        self.bench = bench
        self.clock = HandClock()
        self.handler = BatchHandler(
            store=bench.store, clock=self.clock, ids=CountedIds(), chance=FixedChance(), options=options or Options()
        )

    async def restored(self) -> "RestoredWorld":
        await self.bench.put(sessions=[Session(id=f"s-{n}", user=f"u-{n}", capacity=9) for n in (1, 2, 3)])
        await self.take(event(conversation(1)), event(work_item(1, resourceRev=1)))
        await self.take(assigned(2, (), "u-1"))
        await self.take(assigned(5, ("u-1",), "u-2"))
        await self.poll()
        assert await self.revs() == {"c-1": 5, "w-1": 3}
        await self.bench.put(conversations=[stored(conversation(2))], work_items=[stored(work_item(1))])
        return self

    async def take(self, *things: Json) -> list[HandledEvent]:
        return await self.handler.handle([read(thing) for thing in things])

    async def poll(self) -> None:
        self.clock.at += timedelta(seconds=GAP_SECONDS + 1)
        await self.handler.close_gaps(["c-1"], self.clock.now() - timedelta(seconds=GAP_SECONDS))

    async def state(self) -> SyncState:
        return (await self.bench.store.load([LoadRequest(conversation_id="c-1")]))["c-1"].state

    async def revs(self) -> dict[str, int]:
        documents = (Collection.CONVERSATIONS, Collection.WORK_ITEMS)
        return {each["_id"]: each["rev"] for collection in documents for each in await self.bench.documents(collection)}

    async def announced(self) -> list[tuple[str, int]]:
        messages: list[Any] = [orjson.loads(each["message"]) for each in await self.bench.documents(Collection.OUTBOX)]
        return [(each["body"]["data"]["id"], each["body"]["data"]["attributes"]["rev"]) for each in messages]


async def test_the_state_begins_anew_but_for_the_highest_revisions(bench: Bench) -> None:
    world = await RestoredWorld(bench).restored()
    version = (await world.state()).version
    await world.take(assigned(3, (), "u-3"))
    state = await world.state()
    assert (state.version, state.conversation_observed, state.changed) == (version + 1, ((3, 3),), {"assignee": 3})
    assert (state.conversation_floor, state.work_item_floor) == (5, 3)
    # The work-item's history is gone as well, so the pair waits.
    assert state.waiting is not None


async def test_a_work_items_next_write_is_above_the_highest_revision_announced(bench: Bench) -> None:
    world = await RestoredWorld(bench).restored()
    await world.take(assigned(3, (), "u-3"))
    await world.poll()
    assert await world.revs() == {"c-1": 3, "w-1": 4}
    [item] = await bench.documents(Collection.WORK_ITEMS)
    assert (item["attributes"]["rev"], item["relationships"]["assignedTo"]["data"]["id"]) == (4, "u-3")
    state = await world.state()
    assert (state.work_item_floor, state.work_item_observed) == (0, ((1, 4),))
    announced = await world.announced()
    assert announced[-1] == ("w-1", 4)
    assert len(set(announced)) == len(announced)


async def test_a_conversations_next_write_is_above_the_highest_revision_announced(bench: Bench) -> None:
    world = await RestoredWorld(bench).restored()
    taken = work_item(2, user="u-3", status="assigned", session="s-3")
    knew = [{"action": "ACCEPT", "code": "ACCEPTED", "meta": {"conversationRev": 2}}]
    said = changes({"status": ("ivr", "assigned")}, {"assignedTo": (None, "u-3")})
    await world.take(event(taken, changes=said, routingReasons=knew))
    await world.poll()
    assert await world.revs() == {"c-1": 6, "w-1": 2}
    [document] = await bench.documents(Collection.CONVERSATIONS)
    assert (document["attributes"]["rev"], document["attributes"]["assignedUsers"]) == (6, ["u-3"])
    assert (await world.announced())[-1] == ("c-1", 6)
    # Its owner's next write goes on from there.
    end = (await world.take(assigned(7, ("u-3",), "u-1")))[0]
    assert end.outcome.reason == "APPLIED"
    assert (await world.revs())["w-1"] == 4
    assert (await world.state()).conversation_floor == 0


async def test_a_poll_of_a_restored_pair_lets_it_wait_anew(bench: Bench) -> None:
    """The pair waited when the database was restored. Its wait is over, but none of its new revisions is observed."""
    world = RestoredWorld(bench)
    await world.take(event(conversation(1)), event(work_item(1, resourceRev=1)))
    await world.take(assigned(5, (), "u-1"), event(work_item(3), changes=changes({"priority": (1, 2)})))
    assert (await world.state()).waiting is not None
    await bench.put(conversations=[stored(conversation(2, users=("u-2",)))], work_items=[stored(work_item(1))])
    await world.poll()
    waiting = (await world.state()).waiting
    assert waiting is not None
    assert (waiting.since, waiting.conversation_rev) == (world.clock.now(), 2)
    await world.poll()
    assert ((await world.state()).waiting, await world.revs()) == (None, {"c-1": 2, "w-1": 4})


def unsaid(thing: Json, *, changes_said: bool) -> Json:
    """The event as it is, or as its producer sends it without `changes`."""
    return thing if changes_said else {**thing, "changes": None}


@pytest.mark.parametrize("policy", [PolicyInUse.CAUSAL, PolicyInUse.LEGACY], ids=lambda policy: policy.value)
@pytest.mark.parametrize("changes_said", [True, False], ids=["changes", "no changes"])
class TestRow21:
    """The whole database was restored, its sync states too: only the events that are still on their way tell of the
    revisions announced since. A write is above each of them."""

    async def test_a_conversations_write_is_above_every_revision_observed(
        self, bench: Bench, policy: PolicyInUse, *, changes_said: bool
    ) -> None:
        world = RestoredWorld(bench, Options(policy=policy, state_from_events=False))
        await bench.put(conversations=[stored(conversation(2))], work_items=[stored(work_item(2))])
        await world.take(
            unsaid(event(conversation(9), changes=changes({"name": ("a", "b")})), changes_said=changes_said)
        )
        taken = work_item(3, user="u-3", status="assigned")
        knew = [{"action": "ACCEPT", "code": "ACCEPTED", "meta": {"conversationRev": 9}}]
        said = changes({"status": ("ivr", "assigned")}, {"assignedTo": (None, "u-3")})
        await bench.put(work_items=[stored(taken)])
        await world.take(event(taken, changes=said, routingReasons=knew))
        await world.poll()
        assert await world.announced() == [("c-1", 10)]

    async def test_a_work_items_write_is_above_every_revision_observed(
        self, bench: Bench, policy: PolicyInUse, *, changes_said: bool
    ) -> None:
        world = RestoredWorld(bench, Options(policy=policy, state_from_events=False))
        await bench.put(conversations=[stored(conversation(2))], work_items=[stored(work_item(2))])
        await world.take(unsaid(event(work_item(9), changes=changes({"priority": (1, 2)})), changes_said=changes_said))
        await bench.put(conversations=[stored(conversation(3, users=("u-3",)))])
        await world.take(assigned(3, (), "u-3"))
        await world.poll()
        assert await world.announced() == [("w-1", 10)]


async def test_row_21_raised_floors_keep_an_operators_restore_above_what_was_announced(mongo: MongoBench) -> None:
    """docs/operations.md, *A restored database*: the step that the page shows."""
    page = (Path(__file__).parents[3] / "docs" / "operations.md").read_text()
    step = page.split("db.sync_states.updateMany({}, ", 1)[1].split(")\n", 1)[0]
    world = RestoredWorld(mongo)
    await mongo.put(sessions=[Session(id="s-1", user="u-1", capacity=9), Session(id="s-2", user="u-2", capacity=9)])
    await world.take(event(conversation(1)), event(work_item(1, resourceRev=1)))
    await mongo.database[Collection.SYNC_STATES].update_many({}, json_util.loads(step))
    await world.take(assigned(2, (), "u-1"))
    await world.poll()
    assert (await world.announced())[-1] == ("w-1", 1_000_002)
