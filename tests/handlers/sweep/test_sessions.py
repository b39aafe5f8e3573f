"""The sweep of pairs puts right where sessions hold their work-items."""

import pytest

from commands.session import Session, SessionEntry
from handlers.drift import DriftClass
from tests.handlers.sweep.swept_world import SweptWorld, at_start
from tests.handlers.wire_events import conversation, work_item


@pytest.fixture
async def world() -> SweptWorld:
    return await SweptWorld().agreed()


async def test_a_session_that_lacks_the_work_item_gets_it(world: SweptWorld) -> None:
    assert world.places() == world.places_said() != set()
    world.store.put_session(Session(id="s-1", user="u-1", capacity=10))
    drift = await world.drift()
    assert (drift.kind, len(drift.moves)) == (DriftClass.SESSION_PLACE, 1)
    assert world.places() == world.places_said() != set()


async def test_a_session_that_holds_the_work_item_in_another_slot_is_put_right(world: SweptWorld) -> None:
    entry = SessionEntry(id="w-1", item_size=1)
    world.store.put_session(Session(id="s-1", user="u-1", capacity=10, paused_work_items=(entry,), pending_item="w-1"))
    assert (await world.drift()).kind is DriftClass.SESSION_PLACE
    assert world.places() == world.places_said() != set()


async def test_a_second_entry_of_another_size_costs_the_work_item_no_place(world: SweptWorld) -> None:
    """An entry leaves its list by the work-item's id, so both do."""
    entries = tuple(SessionEntry(id="w-1", item_size=size) for size in (1, 2))
    world.store.put_session(Session(id="s-1", user="u-1", capacity=10, work_items=entries))
    assert (await world.drift()).kind is DriftClass.SESSION_PLACE
    assert world.places() == world.places_said() != set()


async def test_a_pending_place_that_a_completed_one_of_the_pair_holds_is_freed_and_taken() -> None:
    offer = at_start(work_item(1, key="w-2", number=2, status="routed", session="s-1", queuedCount=1))
    offer["relationships"]["routedTo"] = {"data": {"type": "user", "id": "u-1"}}
    world = SweptWorld().put(at_start(conversation(2)), at_start(work_item(3, status="completed")), offer)
    world.store.put_session(Session(id="s-1", user="u-1", capacity=10, pending_item="w-1"))
    assert (await world.drift(items=("w-1",))).kind is DriftClass.SESSION_PLACE
    assert world.places() == world.places_said() != set()


async def test_a_completed_work_item_leaves_the_session_that_still_holds_it(world: SweptWorld) -> None:
    world.edit("c-1", 4, status="done")
    await world.drift()
    assert world.places() == set()
    world.store.put_session(
        Session(id="s-1", user="u-1", capacity=10, work_items=(SessionEntry(id="w-1", item_size=1),))
    )
    assert (await world.drift()).kind is DriftClass.SESSION_PLACE
    assert world.places() == set()


async def test_another_items_pending_place_is_left_alone() -> None:
    world = SweptWorld().put(
        at_start(conversation(2, users=("u-1",))),
        at_start(work_item(1, status="routed", session="s-1", user="u-1")),
    )
    world.store.put_session(Session(id="s-1", user="u-1", capacity=10, pending_item="w-7"))
    await world.sweep()
    session = world.store.session("s-1")
    assert session is not None
    assert session.pending_item == "w-7"
