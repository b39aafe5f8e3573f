"""The races that legacy loses, under `causal`, in every order of delivery.

A re-open followed at once by a queue change, and queue rules that write while a workflow changes the queue.
"""

from collections.abc import Iterator, Sequence
from itertools import permutations
from typing import Final

import pytest

from handlers.options import PolicyInUse
from handlers.outcome import Done
from tests.handlers.owners import Owners, begun
from tests.handlers.wire_events import Json
from tests.handlers.world import World

Delivery = list[list[int]]
"""Batches of events, by their number in order of writing."""


def deliveries(count: int) -> Iterator[Delivery]:
    """One by one in every order; all in one batch; and one by one, then all again in reverse order."""
    for order in permutations(range(count)):
        yield [[number] for number in order]
        yield [[number] for number in (*order, *reversed(order))]
    yield [list(range(count))]
    yield [list(range(count)), *([number] for number in range(count))]


async def deliver(owners: Owners, events: Sequence[Json], delivery: Delivery) -> None:
    """Hand the batches in, then poll; the poll must find nothing."""
    world = owners.world
    for batch in delivery:
        for end in await world.take(*(events[number] for number in batch)):
            assert isinstance(end.outcome, Done)
    assert world.store.state("c-1").waiting is None
    ends = world.c(), world.w()
    await owners.poll()
    assert (world.c(), world.w()) == ends
    assert world.places() == world.places_said()


class TestReopenedAndMovedAtOnce:
    """A workflow re-opens and un-assigns the conversation, then another writer changes its queue."""

    SNOOZED: Final = (
        {"users": ["u-1"], "queue": "q-1", "status": "snoozed"},
        {"user": "u-1", "session": "s-1", "queue": "q-1", "status": "assigned", "paused": True},
    )
    ENDED: Final = (
        {"users": ["u-1"], "queue": "q-1", "ended": True},
        {"user": "u-1", "session": "s-1", "queue": "q-1", "status": "wrap-up"},
    )

    @pytest.mark.parametrize("before", [SNOOZED, ENDED], ids=["snoozed", "ended"])
    @pytest.mark.parametrize("delivery", list(deliveries(2)), ids=str)
    async def test_the_un_assignment_survives_and_the_queue_change_too(
        self, before: tuple[Json, Json], delivery: Delivery
    ) -> None:
        owners = await begun(*before)
        events = [owners.c(status="open", ended=False, users=[]), owners.c(queue="q-2")]
        await deliver(owners, events, delivery)
        self.check(owners.world)

    @pytest.mark.parametrize("before", [SNOOZED, ENDED], ids=["snoozed", "ended"])
    async def test_also_where_the_first_was_handled_before_the_second_was_written(
        self, before: tuple[Json, Json]
    ) -> None:
        owners = await begun(*before)
        await owners.world.one(owners.c(status="open", ended=False, users=[]))
        await owners.world.one(owners.c(queue="q-2"))
        self.check(owners.world)

    @pytest.mark.parametrize("delivery", list(deliveries(3)), ids=str)
    async def test_also_beside_a_write_of_the_router_that_knew_neither(self, delivery: Delivery) -> None:
        owners = await begun(*self.SNOOZED)
        events = [
            owners.c(status="open", users=[]),
            owners.c(queue="q-2"),
            owners.w(knew=1, queue="q-3", user="u-2", session="s-2"),
        ]
        await deliver(owners, events, delivery)
        self.check(owners.world)

    def check(self, world: World) -> None:
        c, w = world.c(), world.w()
        assert (c.assigned_users, c.queue, c.status, c.ended) == ((), "q-2", "open", False)
        assert (w.assigned_to, w.queue, w.status, w.paused) == (None, "q-2", "queued", False)


class TestQueueRulesWhileAWorkflowChangesTheQueue:
    """The queue rules read revision 1 while a workflow writes revision 2. The workflow's queue is kept."""

    @pytest.mark.parametrize("delivery", list(deliveries(4)), ids=str)
    async def test_the_workflows_queue_stands(self, delivery: Delivery) -> None:
        owners = Owners(World())
        events = [
            owners.c(),
            owners.w(knew=1),
            owners.w(knew=1, queue="q-rules", status="queued"),
            owners.c(queue="q-workflow"),
        ]
        await deliver(owners, events, delivery)
        self.check(owners.world, queue="q-workflow")

    @pytest.mark.parametrize("delivery", list(deliveries(2)), ids=str)
    async def test_in_either_order_of_writing(self, delivery: Delivery) -> None:
        owners = await begun()
        events = [owners.c(queue="q-workflow"), owners.w(knew=1, queue="q-rules", status="queued")]
        await deliver(owners, events, delivery)
        self.check(owners.world, queue="q-workflow")

    @pytest.mark.parametrize("delivery", list(deliveries(2)), ids=str)
    async def test_rules_that_knew_it_stand(self, delivery: Delivery) -> None:
        owners = await begun()
        events = [owners.c(queue="q-workflow"), owners.w(knew=2, queue="q-rules", status="queued")]
        await deliver(owners, events, delivery)
        self.check(owners.world, queue="q-rules")

    def check(self, world: World, *, queue: str) -> None:
        assert (world.c().queue, world.w().queue, world.w().status) == (queue, queue, "queued")


async def _reopened(policy: PolicyInUse) -> set[tuple[str | None, str | None]]:
    ends = set()
    for delivery in deliveries(2):
        owners = await begun(*TestReopenedAndMovedAtOnce.SNOOZED, policy=policy)
        events = [owners.w(knew=1, queue="q-rules"), owners.c(status="open", users=[], queue="q-2")]
        for batch in delivery:
            await owners.world.take(*(events[number] for number in batch))
        ends.add((owners.world.w().queue, owners.world.c().queue))
    return ends


async def test_legacy_ends_differently_by_the_order_of_delivery_and_causal_does_not() -> None:
    assert await _reopened(PolicyInUse.CAUSAL) == {("q-2", "q-2")}
    assert len(await _reopened(PolicyInUse.LEGACY)) > 1
