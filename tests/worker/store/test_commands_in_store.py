"""The store holds what the commands produce: by both engines, on MongoDB and in memory.

The tests drive conversations through the batch handler and keep a model beside them: the documents as the commands
alone would leave them. After every batch the test compares documents, sessions, revision records and outbox with it.
"""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

import orjson
import pytest

from commands.context import CommandContext, RoutingQueue
from commands.engines.rollout import DEFAULT_ROLLOUT, Engine, EngineRollout, UpdateOrigin
from commands.execute import Applied, Refused, Unchanged, execute
from commands.session import Session, SessionPlace, SessionSlot, place_of
from commands.update import Update, parse_update
from handlers.batch_handler import BatchHandler
from handlers.documents.document import document_from_snapshot
from handlers.documents.document_mapping import updated_work_item_document, work_item_of
from handlers.options import Options, PolicyInUse
from handlers.outcome import Done, HandledEvent
from handlers.ports import CommitResult, Document, LoadRequest, Pair, Plan, PlanRejected, Store
from sync.audit import AuditOutcome
from tests.handlers.small_ports import CountedIds, FixedChance, HandClock
from tests.handlers.wire_events import ORG, Json, conversation, event, read, work_item
from tests.worker.store.store_bench import Bench
from worker.store.documents import Collection

LEGACY: Final = EngineRollout(engine=Engine.LEGACY)
ROLLED_OUT: Final = EngineRollout(engine=Engine.LEGACY, composed_updates=frozenset({"assignedTo:null", "paused"}))
BOTH_ENGINES: Final = pytest.mark.parametrize("rollout", [DEFAULT_ROLLOUT, LEGACY], ids=["composed", "legacy"])
QUEUES: Final = {
    "q-1": RoutingQueue(id="q-1", key="one", item_size=2, priority=3),
    "q-2": RoutingQueue(id="q-2", key="two", item_size=5, priority=1),
    "q-3": RoutingQueue(id="q-3"),
}
SESSIONS: Final = {
    "s-1": Session(id="s-1", user="u-1", capacity=10),
    "s-2": Session(id="s-2", user="u-2", capacity=3),
    "s-3": Session(id="s-3", user="u-3", capacity=3, active=False),
}


@dataclass(slots=True)
class RecordingStore:
    """A store that forwards every call and records the committed plans."""

    inner: Store
    committed: list[Plan] = field(default_factory=list)

    async def load(self, requests: Sequence[LoadRequest]) -> Mapping[str, Pair]:
        return await self.inner.load(requests)

    async def commit(self, plans: Sequence[Plan]) -> Sequence[CommitResult | PlanRejected]:
        fates = await self.inner.commit(plans)
        self.committed += [plan for plan, fate in zip(plans, fates, strict=True) if fate is CommitResult.COMMITTED]
        return fates

    def take(self) -> list[Plan]:
        """The plans since the last call."""
        plans, self.committed = self.committed, []
        return plans


class Life:
    """A store under the handler, and the model."""

    def __init__(self, bench: Bench, rollout: EngineRollout) -> None:
        self.bench = bench
        self.rollout = rollout
        self.clock = HandClock()
        self.store = RecordingStore(bench.store)
        self.handler = BatchHandler(
            store=self.store,
            clock=self.clock,
            ids=CountedIds(),
            chance=FixedChance(),
            # Policy `legacy` applies table B alone and works with both engines, so the test shows the commands only.
            options=Options(policy=PolicyInUse.LEGACY, rollout=rollout),
        )
        self.documents: dict[str, Document] = {}
        self.revisions: dict[str, Any] = {}
        self.announced: list[Json] = []

    async def begin(self) -> "Life":
        await self.bench.put(queues=QUEUES.values(), sessions=SESSIONS.values())
        return self

    def rev(self, key: str) -> int:
        """A document's next revision."""
        return self.documents[key]["rev"] + 1 if key in self.documents else 1

    def c(self, key: str = "c-1", **changes: Any) -> Json:
        """The next revision of a conversation, in an event of its owner."""
        return event(conversation(self.rev(key), key=key, **changes))

    def w(self, key: str = "w-1", of: str = "c-1", **changes: Any) -> Json:
        """The next revision of a work-item, in a sync of another service: the worker only stores it."""
        return event(work_item(self.rev(key), key=key, of=of, **changes), isSync=True)

    def item(self, key: str = "w-1") -> Document:
        return self.documents[key]

    async def take(self, *things: Json) -> list[HandledEvent]:
        """Handle a batch with one event a conversation, then compare the store with the model."""
        self.clock.at += timedelta(seconds=7)
        events = [read(thing) for thing in things]
        assert len({each.conversation_id for each in events}) == len(events)
        ends = await self.handler.handle(events)
        for end, thing in zip(ends, things, strict=True):
            assert isinstance(end.outcome, Done), end.outcome
            self._predict(end, thing["data"])
        await self._compare()
        return ends

    def _predict(self, end: HandledEvent, data: Json) -> None:
        self.documents[data["id"]] = document_from_snapshot(data, org=ORG, rev=data["attributes"]["rev"])
        updated_fields = end.audit.updated_work_item
        if updated_fields is None:
            assert not end.announcements
            return
        key = end.audit.work_item_id
        assert key is not None
        before = self.documents[key]
        item, update = work_item_of(before), parse_update(updated_fields, from_sync=True)
        assert isinstance(update, Update), update
        context = CommandContext(queues=QUEUES, sessions=SESSIONS)
        knew = data["attributes"]["rev"]
        result = execute(item, update, context=context, now=self.clock.now(), resource_rev=knew, rollout=self.rollout)
        assert result.command == end.audit.command
        if isinstance(result, Refused):
            assert end.audit.outcome is AuditOutcome.REFUSED
            assert not end.announcements
            return
        assert isinstance(result, Applied), "what changes nothing is told as in sync, without an update"
        assert end.audit.outcome is AuditOutcome.APPLIED
        after = updated_work_item_document(before, item, result.after)
        self.documents[key] = after
        if result.after.last_revision != item.last_revision:
            self.revisions[f"{key}:{after['rev']}"] = after["attributes"]["lastRevision"]
        self.announced.append({"after": after, "reason": result.reason.as_wire()})

    async def _compare(self) -> None:
        conversations = await self.bench.documents(Collection.CONVERSATIONS)
        items = await self.bench.documents(Collection.WORK_ITEMS)
        records = await self.bench.documents(Collection.WORK_ITEM_REVISIONS)
        outbox = await self.bench.documents(Collection.OUTBOX)
        stored = {document["_id"]: document for document in (*conversations, *items)}
        assert stored == self.documents
        assert await self._listed() == placed(items)
        assert {record["_id"]: record["lastRevision"] for record in records} == self.revisions
        # Ids are counted up, so their order is the order of the announcements.
        self._compare_announced([orjson.loads(entry["message"])["body"] for entry in outbox])
        for plan in self.store.take():
            for write in (*plan.work_items, *([plan.conversation] if plan.conversation else [])):
                assert stored[write.after["_id"]] == write.after
            assert all(record in records for record in plan.revisions)
            assert {announcement.id for announcement in plan.announcements} <= {entry["_id"] for entry in outbox}

    def _compare_announced(self, bodies: list[Json]) -> None:
        assert len(bodies) == len(self.announced)
        for body, expected in zip(bodies, self.announced, strict=True):
            after = expected["after"]
            assert body["data"]["id"] == after["_id"]
            assert body["data"]["attributes"] == after["attributes"]
            assert body["data"]["relationships"] == after["relationships"]
            assert body["routingReasons"][-1] == expected["reason"]
            assert body["isSync"] is True

    async def _listed(self) -> set[tuple[str, SessionPlace]]:
        """The places of the items as the sessions list them, each once."""
        found: list[tuple[str, SessionPlace]] = []
        for key in SESSIONS:
            session = await self.bench.session(key)
            assert session is not None
            used = sum(held.item_size for held in session.work_items)
            assert (session.used_capacity, session.free_capacity) == (used, max(session.capacity - used, 0))
            for slot, held in (
                (SessionSlot.WORK_ITEMS, session.work_items),
                (SessionSlot.PAUSED_WORK_ITEMS, session.paused_work_items),
            ):
                found += [(each.id, SessionPlace(session=key, slot=slot, item_size=each.item_size)) for each in held]
            if session.pending_item is not None:
                place = SessionPlace(session=key, slot=SessionSlot.PENDING_ITEM, item_size=0)
                found.append((session.pending_item, place))
        assert len({item for item, _ in found}) == len(found), "an item is in one list of one session"
        return set(found)


def placed(documents: Iterable[Document]) -> set[tuple[str, SessionPlace]]:
    """The places of the items as the documents name them."""
    items = [work_item_of(document) for document in documents if document["type"] == "work_item"]
    return {(item.id, place) for item in items if (place := place_of(item)) is not None}


@BOTH_ENGINES
async def test_the_life_of_a_conversation(bench: Bench, rollout: EngineRollout) -> None:
    life = await Life(bench, rollout).begin()
    await life.take(life.c(queue="q-1"))
    await life.take(life.w(queue="q-1", status="queued", itemSize=2))
    for changes in (
        {"queue": "q-1", "users": ("u-1",)},
        {"queue": "q-1", "users": ("u-1",), "status": "snoozed"},
        {"queue": "q-2", "users": ("u-1",), "status": "snoozed"},
        {"queue": "q-2", "users": ("u-2",)},
        {"queue": "q-2"},
        {"queue": "q-2"},
        {"users": ("u-3",), "status": "snoozed"},
        {},
        {"queue": "q-1", "users": ("u-2", "u-1"), "ended": True},
        {"queue": "q-1", "users": ("u-2", "u-1"), "status": "done"},
        {"queue": "q-1", "users": ("u-1",)},
    ):
        await life.take(life.c(**changes))
    # The conversation was done and had another queue: the funnel changed the queue and dropped the end.
    assert life.item()["active"] is (rollout is not DEFAULT_ROLLOUT)
    assert len(life.announced) >= 7


@BOTH_ENGINES
async def test_an_offer_ends_in_wrap_up_and_frees_the_pending_place(bench: Bench, rollout: EngineRollout) -> None:
    life = await Life(bench, rollout).begin()
    await life.take(life.c(queue="q-1"))
    offered = life.w(queue="q-1", status="routed", session="s-1")
    offered["data"]["relationships"]["routedTo"] = {"data": {"type": "user", "id": "u-1"}}
    await life.take(offered)
    session = await bench.session("s-1")
    assert session is not None
    assert session.pending_item == "w-1"
    await life.take(life.c(queue="q-1", ended=True))
    session = await bench.session("s-1")
    assert session is not None
    assert (session.pending_item, session.routable) == (None, True)
    assert [held.id for held in session.work_items] == ([] if rollout is DEFAULT_ROLLOUT else ["w-1"])


@BOTH_ENGINES
async def test_a_work_item_is_unchanged_if_the_funnel_refuses_the_update(bench: Bench, rollout: EngineRollout) -> None:
    """The incident of 2021-02-13: a work-item without a queue, whose conversation has one."""
    life = await Life(bench, rollout).begin()
    await life.take(life.c(queue="q-1", users=("u-1",)))
    await life.take(life.w(user="u-1", session="s-1", status="wrap-up"))
    before = life.item()
    [end] = await life.take(life.c(queue="q-1"))
    if rollout is LEGACY:
        assert (end.outcome, life.item()) == (Done(reason="NO_QUEUE"), before)
    else:
        assert (life.item()["rev"], life.item()["attributes"]["status"]) == (before["rev"] + 1, "wrap-up")
        assert "assignedTo" not in life.item()["relationships"]


@BOTH_ENGINES
async def test_an_update_without_a_change_writes_nothing(bench: Bench, rollout: EngineRollout) -> None:
    """A repeated snooze is one write: the second event asks the rules and commands for no change."""
    life = await Life(bench, rollout).begin()
    await life.take(life.c(users=("u-1",)))
    await life.take(life.w(user="u-1", session="s-1", status="assigned"))
    await life.take(life.c(users=("u-1",), status="snoozed"))
    before, changes = life.item(), len(life.announced)
    [end] = await life.take(life.c(users=("u-1",), status="snoozed"))
    assert end.outcome == Done(reason="IN_SYNC")
    assert (life.item(), len(life.announced)) == (before, changes)
    again = execute(
        work_item_of(before), Update(paused=True), context=CommandContext(), now=life.clock.now(), rollout=rollout
    )
    assert isinstance(again, Unchanged)


async def test_too_many_fields_from_the_sync_are_refused_and_nothing_is_written(bench: Bench) -> None:
    life = await Life(bench, EngineRollout(fields_max={UpdateOrigin.SYNC: 2})).begin()
    await life.take(life.c(users=("u-1",)))
    await life.take(life.w(user="u-1", session="s-1", status="assigned"))
    before = life.item()
    [end] = await life.take(life.c(users=("u-2",), queue="q-1", status="snoozed"))
    assert (end.outcome, life.item()) == (Done(reason="TOO_MANY_FIELDS"), before)


class Day:
    """Three conversations share two agents; a seed draws the same events at every run."""

    def __init__(self, life: Life, seed: int) -> None:
        self.life = life
        self.draw = random.Random(seed)
        self.numbers = {1: 1, 2: 1, 3: 1}

    def batch(self) -> list[Json]:
        pairs = self.draw.sample((1, 2, 3), k=self.draw.randint(1, 3))
        return [self.happening(pair) for pair in pairs]

    def happening(self, pair: int) -> Json:
        key = f"w-{pair}-{self.numbers[pair]}"
        stored = self.life.documents.get(key)
        if f"c-{pair}" not in self.life.documents:
            return self.conversation(pair)
        if stored is None or (not stored["active"] and self.draw.random() < 0.7):
            self.numbers[pair] += stored is not None
            return self.work_item(pair, ("ivr", "queued"))
        if stored["active"] and self.draw.random() < 0.2:
            return self.work_item(pair, ("ivr", "queued", "routed", "assigned", "wrap-up"))
        return self.conversation(pair)

    def conversation(self, pair: int) -> Json:
        return self.life.c(
            f"c-{pair}",
            users=self.draw.choice([(), (), ("u-1",), ("u-2",), ("u-2", "u-1"), ("u-3",)]),
            queue=self.draw.choice([None, "q-1", "q-2", "q-3", "q-unknown"]),
            status=self.draw.choices(["open", "snoozed", "done"], weights=[6, 4, 1])[0],
            ended=self.draw.random() < 0.1,
        )

    def work_item(self, pair: int, statuses: tuple[str, ...]) -> Json:
        status = self.draw.choice(statuses)
        # A session has one pending item at most, and the router keeps to that.
        held = status in ("assigned", "wrap-up") or (status == "routed" and pair == 1)
        return self.life.w(
            f"w-{pair}-{self.numbers[pair]}",
            f"c-{pair}",
            number=self.numbers[pair],
            status=status,
            user="u-1" if status in ("assigned", "wrap-up") else None,
            session="s-1" if held else None,
            queue=None if status == "ivr" else self.draw.choice(["q-1", "q-2", None]),
            paused=self.draw.random() < 0.3,
            itemSize=self.draw.choice([None, 1, 4]),
        )


@pytest.mark.thorough
@pytest.mark.parametrize("rollout", [DEFAULT_ROLLOUT, LEGACY, ROLLED_OUT], ids=["composed", "legacy", "rolled out"])
async def test_random_days(bench: Bench, rollout: EngineRollout) -> None:
    life = await Life(bench, rollout).begin()
    day = Day(life, seed=3)
    for _ in range(15):
        await life.take(*day.batch())
    assert len(life.announced) > 8
    assert len(life.revisions) > 3
