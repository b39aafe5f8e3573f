"""The captured incidents under policy `causal`: every order of delivery, before and after the gap poll."""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from itertools import permutations

import pytest

from handlers.events.event import Event
from handlers.outcome import Done
from tests.handlers.owners import PAST_THE_GAP
from tests.handlers.test_batch_incidents import (
    AGENT_2022,
    CONVERSATION_2021,
    CONVERSATION_2022,
    ITEM_2021,
    ITEM_2022,
    QUEUE_2021,
    QUEUE_2022,
    events,
    outside,
)
from tests.handlers.wire_events import LOST_ASSIGNMENT, UNASSIGN_WITHOUT_QUEUE
from tests.handlers.world import World, code_of


def in_time(batch: Sequence[Event]) -> World:
    """A world in which the last of the events was published a second ago."""
    world = World()
    world.clock.at = max(event.published_at for event in batch if event.published_at) + timedelta(seconds=1)
    return world


def stored_by_their_owners(world: World, batch: Sequence[Event]) -> World:
    """Store each document as its last write left it: in production the events come after the write."""
    for event in sorted(batch, key=lambda event: event.rev):
        world.put(dict(event.data))
    return world


async def deliver(world: World, batch: Sequence[Event]) -> None:
    for event in batch:
        [end] = await world.handle([event])
        assert isinstance(end.outcome, Done)


async def poll(world: World, conversation_id: str) -> None:
    """The pair after the poll, once the watermark has passed."""
    world.clock.at += PAST_THE_GAP
    await world.handler.close_gaps([conversation_id], world.clock.now())
    assert world.store.state(conversation_id).waiting is None


def orders(batch: list[Event]) -> Iterator[list[Event]]:
    return (list(order) for order in permutations(batch))


def check_2022(world: World) -> None:
    c, w = world.c(CONVERSATION_2022), world.w(ITEM_2022)
    assert (c.assigned_users, c.queue) == ((AGENT_2022,), QUEUE_2022)
    assert (w.assigned_to, w.queue, w.status) == (AGENT_2022, QUEUE_2022, "assigned")


def check_2021(world: World) -> None:
    c, w = world.c(CONVERSATION_2021), world.w(ITEM_2021)
    assert (c.assigned_users, c.queue, c.rev) == ((), QUEUE_2021, 19)
    assert (w.assigned_to, w.queue, w.status) == (None, QUEUE_2021, "queued")


@pytest.mark.parametrize("stored", [True, False], ids=["stored-by-their-owners", "from-events-alone"])
class Test2022TheLostAssignment:
    async def test_every_order_of_the_outside_writes_keeps_both_sides_assigned_and_the_queue(
        self, stored: bool
    ) -> None:
        batch = outside(LOST_ASSIGNMENT)
        for order in orders(batch):
            world = in_time(batch)
            if stored:
                stored_by_their_owners(world, batch)
            await deliver(world, order)
            assert world.c(CONVERSATION_2022).assigned_users == (AGENT_2022,)
            assert world.w(ITEM_2022).assigned_to == AGENT_2022
            if stored:
                check_2022(world)
                assert len(world.announced()) == 1
            collided = world.c(CONVERSATION_2022).queue != world.w(ITEM_2022).queue
            await poll(world, CONVERSATION_2022)
            if collided:
                # Without stored documents a sync may write the revision of an event still to come, and the snapshot
                # with the queue is not stored. The queue then is the work-item's: its creation knew revision 4, and
                # no conversation event changed the queue since.
                assert (stored, order[-1].side, order[-1].rev) == (False, "work-item", 2)
                assert (world.c(CONVERSATION_2022).queue, world.w(ITEM_2022).queue) == (None, None)
                assert world.c(CONVERSATION_2022).assigned_users == (AGENT_2022,)
                continue
            check_2022(world)
            assert world.c(CONVERSATION_2022).rev == 6

    async def test_in_one_batch(self, stored: bool) -> None:
        batch = outside(LOST_ASSIGNMENT)
        for order in orders(batch):
            world = stored_by_their_owners(in_time(batch), batch) if stored else in_time(batch)
            await world.handle(order)
            check_2022(world)

    async def test_the_work_items_event_alone_un_assigns_no_agent(self, stored: bool) -> None:
        """The event knew revision 4; the revisions from there to the stored revision 6 are not observed."""
        _, queued, assigned = outside(LOST_ASSIGNMENT)
        world = in_time([queued, assigned])
        if stored:
            stored_by_their_owners(world, [queued, assigned])
        else:
            await world.handle([assigned])
        [end] = await world.handle([queued])
        assert code_of(end) == "AWAITING_EARLIER_EVENT"
        assert world.c(CONVERSATION_2022).assigned_users == (AGENT_2022,)


async def test_2022_what_the_predecessors_late_sync_breaks_stays_broken() -> None:
    """The sync is observed, and causes nothing."""
    batch = events(LOST_ASSIGNMENT)
    world = in_time(batch)
    await deliver(world, batch)
    await poll(world, CONVERSATION_2022)
    assert (world.c(CONVERSATION_2022).assigned_users, world.w(ITEM_2022).assigned_to) == ((), AGENT_2022)


class Test2021TheUnAssignment:
    async def test_every_order_of_the_outside_writes_leaves_it_queued_and_unassigned(self) -> None:
        batch = outside(UNASSIGN_WITHOUT_QUEUE)
        for order in orders(batch):
            world = in_time(batch)
            await deliver(world, order)
            check_2021(world)
            await poll(world, CONVERSATION_2021)
            check_2021(world)
            assert world.announced() == []

    async def test_every_order_of_all_events_ends_unassigned_and_converged(self) -> None:
        """The predecessor's syncs removed the work-item's queue and assigned it; then the un-assignment came. They
        cannot be repaired: the work-item's last outside write of the queue does not say what it knew, and no captured
        conversation event changed the queue, so the queue is the work-item's, as the sync left it."""
        batch = events(UNASSIGN_WITHOUT_QUEUE)
        for order in list(orders(batch))[::12]:
            world = stored_by_their_owners(in_time(batch), batch)
            await deliver(world, order)
            assert (world.c(CONVERSATION_2021).assigned_users, world.w(ITEM_2021).assigned_to) == ((), None)
            assert world.c(CONVERSATION_2021).queue == QUEUE_2021
            await poll(world, CONVERSATION_2021)
            c, w = world.c(CONVERSATION_2021), world.w(ITEM_2021)
            assert (c.assigned_users, c.queue) == ((), None)
            assert (w.assigned_to, w.queue, w.status) == (None, None, "ivr")
