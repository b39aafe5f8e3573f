"""Faults of a batch: lost races, rejected plans, a store that is away."""

from collections.abc import Callable
from typing import Any

import pytest

from handlers.documents.document import document_from_snapshot
from handlers.events.event import Event
from handlers.outcome import Retry
from handlers.planning.event_batch import EventBatch
from handlers.ports import CommitResult, CommitTimeout, Store, StoreAway, StoreTimeout
from tests.handlers.wire_events import Json, conversation, event, read, work_item
from tests.handlers.world import (
    AwayStore,
    DisturbedStore,
    HalfAwayStore,
    LosingStore,
    RejectingStore,
    SilentStore,
    World,
    WrappedStore,
    code_of,
)

ASSIGNED = event(conversation(4, users=("u-1",)))
BESIDE = event(conversation(4, key="c-2", users=("u-2",)))


def two_pairs(wrapped: Callable[[Store], Store] | None = None, **options: Any) -> World:
    return World(wrapped, **options).put(
        conversation(3), work_item(7), conversation(3, key="c-2"), work_item(7, key="w-2", of="c-2")
    )


def pairs(count: int, wrapped: Callable[[Store], Store]) -> World:
    """The pairs c-1 and w-1, c-2 and w-2, …"""
    world = World(wrapped)
    for number in range(1, count + 1):
        key = f"c-{number}"
        world.put(conversation(3, key=key), work_item(7, key=f"w-{number}", of=key))
    return world


def assignments(count: int) -> list[Event]:
    """An event of each of the first `count` pairs, by which its work-item is assigned."""
    return [read(event(conversation(4, key=f"c-{number}", users=("u-1",)))) for number in range(1, count + 1)]


def put_item(world: World, data: Json) -> None:
    world.store.put_work_item(document_from_snapshot(data, org="org-1", rev=data["attributes"]["rev"]))


class TestConflict:
    async def test_the_loser_is_decided_again_on_what_the_other_wrote(self) -> None:
        world = two_pairs(
            lambda inner: DisturbedStore(
                inner, {1: lambda: put_item(world, work_item(8, status="queued", queue="q-1"))}
            )
        )
        end = await world.one(ASSIGNED)
        assert code_of(end) == "APPLIED"
        assert end.audit.work_item_rev == 8
        assert end.audit.updated_work_item == {"assignedTo": "u-1", "queue": None, "rev": 8}
        assert (world.w().rev, world.w().assigned_to) == (9, "u-1")
        assert len(world.announced()) == 1

    async def test_from_the_gates_on(self) -> None:
        """Another writer completes the work-item meanwhile: no rule fires."""
        world = two_pairs(
            lambda inner: DisturbedStore(inner, {1: lambda: put_item(world, work_item(8, status="completed"))})
        )
        assert code_of(await world.one(ASSIGNED)) == "NO_ACTIVE_WORK_ITEM"
        assert world.announced() == []
        assert world.w().rev == 8

    async def test_another_writer_did_the_same_meanwhile(self) -> None:
        world = two_pairs(
            lambda inner: DisturbedStore(
                inner, {1: lambda: put_item(world, work_item(8, status="assigned", user="u-1"))}
            )
        )
        assert code_of(await world.one(ASSIGNED)) == "IN_SYNC"
        assert world.announced() == []

    async def test_the_other_conversations_of_the_batch_go_on(self) -> None:
        stores: list[LosingStore] = []

        def losing(inner: Store) -> Store:
            stores.append(LosingStore(inner, "c-1", times=2))
            return stores[0]

        world = two_pairs(losing)
        ends = await world.take(ASSIGNED, BESIDE)
        assert [code_of(end) for end in ends] == ["APPLIED", "APPLIED"]
        assert stores[0].commits == [["c-1", "c-2"], ["c-1"], ["c-1"]]
        assert stores[0].loads == [["c-1", "c-2"], ["c-1"], ["c-1"]]
        assert len(world.announced()) == 2

    async def test_the_delays_grow_up_to_a_limit(self) -> None:
        world = two_pairs(lambda inner: LosingStore(inner, "c-1", times=9))
        assert code_of(await world.one(ASSIGNED)) == "APPLIED"
        assert world.clock.slept == [0.005, 0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.5, 0.5]

    @pytest.mark.parametrize("attempts", [0, 1, 3, 10])
    async def test_bounded_then_the_message_comes_again(self, attempts: int) -> None:
        stores: list[LosingStore] = []

        def losing(inner: Store) -> Store:
            stores.append(LosingStore(inner, "c-1", times=99))
            return stores[0]

        world = two_pairs(losing, conflict_attempts_max=attempts)
        ends = await world.take(ASSIGNED, BESIDE, event(conversation(5)))
        assert [end.outcome for end in ends if end.event.conversation_id == "c-1"] == [Retry(reason="CONFLICT")] * 2
        assert code_of(ends[1]) == "APPLIED"
        assert len(stores[0].commits) == attempts + 1
        audit = ends[0].audit.as_wire()
        assert (audit["outcome"], audit["direction"], audit["updatedWorkItem"]) == ("failed", None, None)
        assert audit["reasons"] == [
            {
                "action": "FAULT",
                "code": "CONFLICT",
                "meta": {"detail": f"lost {attempts + 1} times against other writers"},
            }
        ]
        assert world.w().rev == 7
        assert len(world.announced()) == 1

    async def test_another_worker_took_the_same_event_meanwhile(self) -> None:
        world = two_pairs(lambda inner: DisturbedStore(inner, {1: lambda: None}))
        other = World(lambda _: world.store)
        await other.one(ASSIGNED)
        assert code_of(await world.one(ASSIGNED)) == "IN_SYNC"
        assert len(world.announced()) == 1
        assert world.w().rev == 8


async def test_a_rejected_plan_comes_again_and_the_rest_of_the_batch_goes_on() -> None:
    world = two_pairs(lambda inner: RejectingStore(inner, "c-1"))
    ends = await world.take(ASSIGNED, BESIDE, event(conversation(5)))
    assert [end.outcome for end in ends if end.event.conversation_id == "c-1"] == [Retry(reason="PLAN_REJECTED")] * 2
    assert code_of(ends[1]) == "APPLIED"
    assert ends[0].audit.outcome == "failed"
    assert ends[0].audit.reasons[0].meta == {"detail": "17825792 bytes"}
    assert ends[0].announcements == ()
    assert (world.c().rev, world.w().rev, world.w("w-2").assigned_to) == (3, 7, "u-2")
    assert world.clock.slept == []


class TestStoreAway:
    @pytest.mark.parametrize("at", ["load", "commit"])
    async def test_it_propagates_and_nothing_is_written(self, at: str) -> None:
        world = two_pairs(lambda inner: AwayStore(inner, at))
        stored = world.stored()
        with pytest.raises(StoreAway):
            await world.take(ASSIGNED, BESIDE)
        assert world.stored() == stored
        assert world.places() == set()

    async def test_the_whole_batch_may_be_handed_in_again(self) -> None:
        """The store goes away after the first of two conversations was committed."""
        away = iter([False, True, False, False, False])

        class Flaky(WrappedStore):
            async def load(self, wants: Any) -> Any:
                if next(away, False):
                    raise StoreAway("no server")
                return await super().load(wants)

        world = two_pairs(lambda inner: Flaky(LosingStore(inner, "c-1", times=1)))
        with pytest.raises(StoreAway):
            await world.take(ASSIGNED, BESIDE)
        ends = await world.take(ASSIGNED, BESIDE)
        assert [code_of(end) for end in ends] == ["APPLIED", "IN_SYNC"]
        assert len(world.announced()) == 2

    async def test_own_syncs_end_all_the_same(self) -> None:
        ours = event(work_item(4), isSync=True, routingReasons=[{"action": "SYNC_WORK_ITEM"}])
        world = World(lambda inner: AwayStore(inner, "load"))
        assert code_of(await world.one(ours)) == "IS_SYNC"


class TestParts:
    """A batch of which so many conversations are committed at once."""

    @pytest.mark.parametrize(
        ("conversations_max", "parts"),
        [
            (1, [["c-1"], ["c-2"], ["c-3"]]),
            (2, [["c-1", "c-2"], ["c-3"]]),
            (3, [["c-1", "c-2", "c-3"]]),
            (200, [["c-1", "c-2", "c-3"]]),
            (None, [["c-1", "c-2", "c-3"]]),
        ],
    )
    async def test_each_is_one_load_and_one_commit(self, conversations_max: int | None, parts: list[list[str]]) -> None:
        world = pairs(3, WrappedStore)
        # The second event of the first conversation stands behind the others.
        batch = EventBatch([*assignments(3), read(event(conversation(5, users=("u-1",))))])
        assert await world.handler.handle_batch(batch, conversations_max)
        assert isinstance(world.outer, WrappedStore)
        assert (world.outer.loads, world.outer.commits) == (parts, parts)
        assert [code_of(end) for end in batch.handled] == ["STALE_REV", "APPLIED", "APPLIED", "APPLIED"]

    async def test_a_part_that_was_committed_is_not_decided_again(self) -> None:
        world = pairs(5, lambda inner: SilentStore(inner, "c-4"))
        batch = EventBatch(assignments(5))
        with pytest.raises(CommitTimeout, match="no answer") as raised:
            await world.handler.handle_batch(batch, 2)
        assert raised.value.conversations == 2
        assert [end.event.conversation_id for end in batch.handled] == ["c-1", "c-2"]
        assert isinstance(world.outer, SilentStore)
        world.outer.conversation_id = "none"
        await world.handler.handle_batch(batch, 1)
        assert world.outer.commits == [["c-1", "c-2"], ["c-3", "c-4"], ["c-3"], ["c-4"], ["c-5"]]
        assert [len(end.announcements) for end in batch.handled] == [1] * 5
        assert len(world.announced()) == 5

    async def test_a_conversation_that_loses_in_its_part_stays_open(self) -> None:
        world = pairs(2, lambda inner: LosingStore(inner, "c-1", times=1))
        batch = EventBatch(assignments(2))
        await world.handler.handle_batch(batch, 1)
        assert [event.conversation_id for event in batch.open] == ["c-1"]

    @pytest.mark.parametrize("at", ["load", "commit"])
    async def test_an_outage_says_nothing_about_the_size(self, at: str) -> None:
        """Nor does a load without an answer."""

        class SilentLoads(WrappedStore):
            async def load(self, wants: Any) -> Any:
                raise StoreTimeout("no answer")

        world = pairs(2, SilentLoads if at == "load" else lambda inner: AwayStore(inner, at))
        with pytest.raises(StoreAway) as raised:
            await world.handler.handle_batch(EventBatch(assignments(2)))
        assert not isinstance(raised.value, CommitTimeout)

    async def test_own_syncs_need_no_commit(self) -> None:
        ours = event(work_item(4), isSync=True, routingReasons=[{"action": "SYNC_WORK_ITEM"}])
        assert not await World().handler.handle_batch(EventBatch([read(ours)]), 1)


@pytest.mark.parametrize("wrong", [{"status": "archived"}, {"status": None}, {}], ids=repr)
async def test_an_unreadable_document_fails_its_own_conversation_alone(wrong: Json) -> None:
    """Other services write documents as well. An unreadable one fails its own conversation alone."""
    world = two_pairs()
    world.store.put_conversation({"_id": "c-1", "org": "org-1", "rev": 9, "type": "conversation", "attributes": wrong})
    ends = await world.take(ASSIGNED, BESIDE)
    assert isinstance(ends[0].outcome, Retry)
    assert code_of(ends[1]) == "APPLIED"


@pytest.mark.parametrize("missing", [CommitResult.AWAY, CommitResult.TIMED_OUT])
async def test_a_plan_committed_before_the_store_went_away_ends_once(missing: CommitResult) -> None:
    world = two_pairs(lambda inner: HalfAwayStore(inner, missing))
    events = [read(ASSIGNED), read(BESIDE)]
    batch = EventBatch(events)
    with pytest.raises(StoreAway, match="in the middle of a batch") as raised:
        await world.handler.handle_batch(batch)
    if missing is CommitResult.TIMED_OUT:
        assert isinstance(raised.value, CommitTimeout)
        assert raised.value.conversations == 1
    else:
        assert not isinstance(raised.value, CommitTimeout)
    assert [code_of(end) for end in batch.handled] == ["APPLIED"]
    await world.handler.handle_batch(batch)
    assert [code_of(end) for end in batch.handled] == ["APPLIED", "APPLIED"]
    assert [len(end.announcements) for end in batch.handled] == [1, 1]
    assert len(world.announced()) == 2


@pytest.mark.parametrize("missing", [CommitResult.AWAY, CommitResult.TIMED_OUT])
async def test_a_contended_conversation_without_a_result_has_no_ending(missing: CommitResult) -> None:
    class MissingStore(WrappedStore):
        async def commit(self, plans: Any) -> Any:
            return [missing for _ in plans]

    world = two_pairs(MissingStore)
    with pytest.raises(StoreAway):
        await world.handler.handle_contended([read(ASSIGNED)])


async def test_a_contended_conversation_stays_open_until_it_is_handled_alone() -> None:
    world = two_pairs(lambda inner: LosingStore(inner, "c-1", times=2))
    batch = EventBatch([read(ASSIGNED), read(BESIDE)])
    await world.handler.handle_batch(batch)
    assert [(end.event.conversation_id, code_of(end)) for end in batch.handled] == [("c-2", "APPLIED")]
    ends = await world.handler.handle_contended(batch.open)
    assert [(end.event.conversation_id, code_of(end)) for end in ends] == [("c-1", "APPLIED")]


@pytest.mark.parametrize("spoilt", ["workItemNumber", "rev", "org"])
async def test_a_stored_work_item_without_a_required_field_is_no_unexpected_error(spoilt: str) -> None:
    world = two_pairs()
    document = dict(document_from_snapshot(work_item(7), org="org-1", rev=7))
    del document[spoilt]
    world.store.put_work_item(document)
    newer = event(work_item(8, status="queued"))
    [end] = await world.take(newer)
    assert code_of(end) in {"IN_SYNC", "STORED_DOCUMENT_UNREADABLE"}
