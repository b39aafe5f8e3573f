"""The sweep of pairs that were written a short time ago, by clocks that may be wrong: they wait by SQS's clock, and the
gap poll decides them."""

from datetime import timedelta

import pytest
from msgspec.structs import replace

from commands.instant import format_instant
from handlers.drift import DriftClass, DriftEnd, LeftAlone
from handlers.options import PolicyInUse
from tests.handlers.small_ports import START
from tests.handlers.sweep.swept_world import WATERMARK, SweptWorld, assigned, at_start
from tests.handlers.wire_events import Json, changes, conversation, event, work_item


@pytest.fixture
async def world() -> SweptWorld:
    return await SweptWorld().agreed()


@pytest.fixture
async def recent(world: SweptWorld) -> SweptWorld:
    """The conversation was written just before the watermark, says its writer's clock."""
    world.clock.at = WATERMARK + timedelta(minutes=1)
    world.edit("c-1", 4, assignedUsers=["u-2"], updatedAt=format_instant(WATERMARK - timedelta(seconds=1)))
    return world


async def test_a_pair_written_a_short_time_ago_waits_by_sqs_clock_and_the_poll_repairs_it(recent: SweptWorld) -> None:
    [swept] = await recent.sweep(certain_before=START)
    assert (swept.drift.kind, swept.drift.end, swept.audit) == (DriftClass.OUT_OF_STEP, DriftEnd.WAITS, None)
    assert swept.drift.fields[0].winner == "CONVERSATION_IS_NEWER"
    assert recent.w().assigned_to == "u-1"
    waiting = recent.store.state("c-1").waiting
    assert waiting is not None
    assert (waiting.since, waiting.conversation_rev) == (recent.clock.now(), 4)
    assert await recent.sweep(certain_before=START) == []
    await recent.handler.close_gaps(["c-1"], waiting.since + timedelta(milliseconds=1))
    assert recent.w().assigned_to == "u-2"
    assert await recent.sweep(at=WATERMARK + timedelta(days=1)) == []


async def test_a_sweep_that_comes_before_the_poll_tells_a_waiting_pair_no_second_time(recent: SweptWorld) -> None:
    """The watermark has passed the beginning of the wait, and the poll has not come by."""
    await recent.sweep(certain_before=START)
    waiting = recent.store.state("c-1").waiting
    assert waiting is not None
    stored, later = recent.stored(), waiting.since + timedelta(milliseconds=1)
    assert await recent.sweep(at=later, certain_before=START) == []
    assert recent.left_alone == [("c-1", LeftAlone.WAITS)]
    assert recent.stored() == stored
    await recent.handler.close_gaps(["c-1"], later)
    assert recent.w().assigned_to == "u-2"


@pytest.mark.parametrize(("queue", "user"), [("q-1", "u-3"), ("q-2", "u-2"), ("q-2", "u-3")])
async def test_the_poll_repairs_what_is_written_during_such_a_wait(recent: SweptWorld, queue: str, user: str) -> None:
    """The event of the later write is lost as well, and the sweep's bookmark passes its time of writing."""
    await recent.sweep(certain_before=START)
    recent.edit("c-1", 5, assignedUsers=[user], queue=queue, updatedAt=format_instant(recent.clock.now()))
    waits = 0
    while (waiting := recent.store.state("c-1").waiting) is not None:
        waits += 1
        recent.clock.at += timedelta(minutes=2)
        later = waiting.since + timedelta(minutes=1)
        assert await recent.sweep(at=later, certain_before=START) == []
        await recent.handler.close_gaps(["c-1"], later)
    assert waits <= 2
    assert (recent.w().assigned_to, recent.w().queue) == (user, queue)


def accepted(world: SweptWorld, user: str, *, knew: int) -> Json:
    """An agent's write that knew this revision of the conversation, which is stored; its event."""
    item = work_item(world.w().rev + 1, status="assigned", user=user, queue="q-1", queuedCount=1, resourceRev=1)
    said = changes(None, {"assignedTo": (world.w().assigned_to, user)})
    world.put(item)
    return event(item, changes=said, routingReasons=[{"action": "ROUTE", "meta": {"conversationRev": knew}}])


@pytest.mark.parametrize("end", ["poll", "sweep of a quiet queue"])
@pytest.mark.parametrize("first", ["sweep", "poll", "agent"])
async def test_an_agent_who_knew_a_lost_write_stands_whatever_is_lost_after_it(
    recent: SweptWorld, first: str, end: str
) -> None:
    """Revision 5 changes the name alone. Its event is lost too, so the assignee waits a second time."""
    await recent.sweep(certain_before=START)
    recent.edit("c-1", 5, name="another", updatedAt=format_instant(recent.clock.now()))
    later = recent.clock.now() + timedelta(milliseconds=1)
    recent.clock.at += timedelta(minutes=2)
    if first == "sweep":
        await recent.sweep(at=later, certain_before=START)
    if first != "agent":
        await recent.handler.close_gaps(["c-1"], later)
    await recent.take(accepted(recent, "u-3", knew=4))
    for _ in range(2):
        recent.clock.at += timedelta(hours=1)
        if end == "poll":
            await recent.handler.close_gaps(["c-1"], recent.clock.now())
        else:
            await recent.sweep(at=recent.clock.now())
    assert (recent.w().assigned_to, recent.c().assigned_users) == ("u-3", ("u-3",))
    assert recent.store.state("c-1").waiting is None


@pytest.mark.parametrize("policy", [PolicyInUse.LEGACY, PolicyInUse.SHADOW])
async def test_without_a_poll_a_pair_that_waits_is_told_each_time(recent: SweptWorld, policy: PolicyInUse) -> None:
    """Its wait is left over from `causal`."""
    await recent.sweep(certain_before=START)
    world = SweptWorld(lambda _: recent.store, policy=policy)
    later = recent.clock.now() + timedelta(milliseconds=1)
    for _ in range(2):
        [swept] = await world.sweep(at=later, certain_before=START, repair=False)
        assert (swept.drift.kind, swept.drift.end) == (DriftClass.OUT_OF_STEP, DriftEnd.PLANNED)


async def test_a_restored_pair_that_waited_is_told_once(recent: SweptWorld) -> None:
    await recent.sweep(certain_before=START)
    state = recent.store.state("c-1")
    recent.store.put_state("c-1", replace(state, conversation_observed=((1, 1), (3, 3))))
    recent.edit("c-1", 2, assignedUsers=["u-4"], updatedAt=format_instant(WATERMARK - timedelta(seconds=1)))
    later = recent.clock.now() + timedelta(milliseconds=1)
    [swept] = await recent.sweep(at=later, certain_before=START)
    assert (swept.drift.kind, swept.drift.end) == (DriftClass.RESTORED, DriftEnd.WAITS)
    assert await recent.sweep(at=later + timedelta(minutes=1), certain_before=START) == []
    assert recent.left_alone == [("c-1", LeftAlone.WAITS)]


async def test_the_event_of_a_pair_that_the_sweep_lets_wait_decides_it(recent: SweptWorld) -> None:
    """The writer's clock was wrong: its event was in flight all the while."""
    await recent.sweep(certain_before=START)
    await recent.take(assigned(3, ("u-1",), ("u-1",)), assigned(4, ("u-1",), ("u-2",)))
    assert recent.w().assigned_to == "u-2"
    assert recent.store.state("c-1").waiting is None


async def test_a_pair_without_a_state_that_was_written_a_short_time_ago_waits() -> None:
    world = SweptWorld().put(at_start(conversation(2, users=("u-1",))), at_start(work_item(1, queuedCount=1)))
    [swept] = await world.sweep(certain_before=START)
    assert swept.drift.end is DriftEnd.WAITS
    waiting = world.store.state("c-1").waiting
    assert waiting is not None
    await world.handler.close_gaps(["c-1"], waiting.since + timedelta(milliseconds=1))
    assert world.w().assigned_to == "u-1"


@pytest.mark.parametrize("updated_at", [None, "2099-01-01T00:00:00.000Z"])
async def test_a_pair_whose_time_of_writing_is_unknown_waits_too(world: SweptWorld, updated_at: str | None) -> None:
    """Nobody knows whether its event is in flight. A time far ahead is none: the pair would never be swept."""
    world.clock.at = WATERMARK + timedelta(minutes=1)
    world.edit("c-1", 4, assignedUsers=["u-2"], updatedAt=updated_at)
    [swept] = await world.sweep(certain_before=START)
    assert (swept.drift.kind, swept.drift.end) == (DriftClass.OUT_OF_STEP, DriftEnd.WAITS)
    assert await world.sweep(certain_before=START) == []
    waiting = world.store.state("c-1").waiting
    assert waiting is not None
    await world.handler.close_gaps(["c-1"], waiting.since + timedelta(milliseconds=1))
    assert world.w().assigned_to == "u-2"
    assert await world.sweep(certain_before=START) == []


@pytest.mark.parametrize("updated_at", [None, "2099-01-01T00:00:00.000Z"])
async def test_if_nothing_is_in_flight_it_is_repaired_at_once(world: SweptWorld, updated_at: str | None) -> None:
    world.edit("c-1", 4, assignedUsers=["u-2"], updatedAt=updated_at)
    assert (await world.drift(certain_before=WATERMARK)).end is DriftEnd.REPAIRED
    assert world.w().assigned_to == "u-2"


async def test_what_was_observed_and_changed_by_hand_is_repaired_at_once(world: SweptWorld) -> None:
    world.edit("c-1", assignedUsers=["u-2"])
    [swept] = await world.sweep(certain_before=START)
    assert swept.drift.end is DriftEnd.REPAIRED
    assert world.w().assigned_to == "u-2"
