"""Re-opening with the agent away: the conversation is un-assigned in the transaction that creates its work-item."""

from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from msgspec.structs import replace

from commands.session import Session
from commands.work_item import Status
from handlers.documents.document_mapping import work_item_of
from handlers.options import PolicyInUse
from tests.handlers.owners import Owners, begun
from tests.handlers.planning.routing.routing_world import (
    come_back,
    created,
    created_documents,
    said,
    world_that_creates,
)
from tests.handlers.wire_events import Json, changes, conversation, event, read, work_item
from tests.handlers.world import EITHER_POLICY, World, code_of
from worker.store.documents import Collection

ON: Final[Json] = {"create_work_items": True, "unassign_on_unavailable": True}
UNASSIGNED: Final = ("UNASSIGN_CONVERSATION", "USER_UNAVAILABLE")
CREATED: Final = ("CREATE_WORK_ITEM", "CONVERSATION_ROUTABLE")
AWAY: Final = "u-9"
"""A user without a session; u-1 and u-2 have one."""


async def closed(*users: str, queue: str | None = None, **options: Any) -> Owners:
    """A conversation of these users that A1 closed."""
    of_item = {"user": users[0], "queue": queue, "status": "assigned"}
    owners = await begun({"users": users, "queue": queue}, of_item, **{**ON, **options})
    await owners.world.one(owners.w(knew=1, status="completed"))
    assert owners.world.c().status == "done"
    return owners


@EITHER_POLICY
class TestReopened:
    @pytest.mark.parametrize(("queue", "status"), [(None, Status.IVR), ("q-1", Status.QUEUED)])
    async def test_both_are_of_nobody(self, policy: PolicyInUse, queue: str | None, status: Status) -> None:
        owners = await closed(AWAY, queue=queue, policy=policy)
        world = owners.world
        end = await world.one(owners.c(status="open"))
        assert said(end) == [UNASSIGNED, CREATED]
        assert (world.c().assigned_users, world.c().queue, world.c().rev) == ((), queue, 4)
        item = created(world)
        assert (item.status, item.assigned_to, item.queue, item.number) == (status, None, queue, 2)
        assert item.resource_rev == 4
        await come_back(world)

    async def test_it_is_told_as_an_outside_write_of_the_conversation(self, policy: PolicyInUse) -> None:
        owners = await closed(AWAY, policy=policy)
        end = await owners.world.one(owners.c(status="open"))
        of_conversation, of_item = [read(message) for message in owners.world.announced()[-2:]]
        assert (of_conversation.name, of_conversation.is_sync) == ("kustomer.conversation.update", False)
        assert (of_conversation.rev, of_conversation.changed_fields) == (4, frozenset({"assignee"}))
        assert (of_item.name, of_item.is_sync, of_item.known_conversation_rev) == (
            "kustomer.work-item.create",
            False,
            4,
        )
        body = owners.world.announced()[-2]["body"]
        assert body["changes"]["attributes"]["assignedUsers"] == {"op": "replace", "before": [AWAY], "after": []}
        [reason] = body["routingReasons"]
        assert reason["meta"] == {"conversationRev": 3, "users": [AWAY]}
        assert end.audit.updated_conversation == {"assignedUsers": [], "rev": 3}
        assert end.audit.before == {"conversation": {"assignedUsers": [AWAY]}, "workItem": None}

    async def test_an_agent_who_is_there_keeps_it(self, policy: PolicyInUse) -> None:
        owners = await closed("u-1", policy=policy)
        end = await owners.world.one(owners.c(status="open"))
        assert said(end) == [CREATED]
        assert created(owners.world).assigned_to == "u-1"
        assert owners.world.c().assigned_users == ("u-1",)

    async def test_also_where_one_batch_closes_and_re_opens_it(self, policy: PolicyInUse) -> None:
        """All events and documents name the same user and queue, but a new work-item needs the session."""
        world = world_that_creates(policy=policy, **ON)
        of_both: Json = {"users": ("u-1",), "queue": "q-1"}
        world.put(conversation(1, **of_both), work_item(1, user="u-1", queue="q-1", session="s-1", status="assigned"))
        done, again = conversation(2, status="done", **of_both), conversation(3, **of_both)
        await world.take(
            event(done, at=1, changes=changes({"status": ("open", "done"), "rev": (1, 2)})),
            event(again, at=2, changes=changes({"status": ("done", "open"), "rev": (2, 3)})),
        )
        assert world.c().assigned_users == ("u-1",)
        active = [each for each in world.store.documents(Collection.WORK_ITEMS) if each["active"]]
        assert [(item.assigned_to, item.session) for item in map(work_item_of, active)] == [("u-1", "s-1")]

    async def test_of_several_the_first_who_is_there_gets_it(self, policy: PolicyInUse) -> None:
        owners = await closed(AWAY, "u-2", "u-1", policy=policy)
        end = await owners.world.one(owners.c(status="open"))
        assert said(end) == [CREATED]
        assert (created(owners.world).assigned_to, created(owners.world).session) == ("u-2", "s-2")
        assert owners.world.c().assigned_users == (AWAY, "u-2", "u-1")

    async def test_by_way_of_snoozed_it_is_re_opened_too(self, policy: PolicyInUse) -> None:
        owners = await closed(AWAY, policy=policy)
        await owners.world.one(owners.c(status="snoozed"))
        assert created_documents(owners.world) == []
        await owners.world.one(owners.c(status="open"))
        assert (created(owners.world).assigned_to, owners.world.c().assigned_users) == (None, ())

    async def test_without_the_setting_it_stays_with_the_agent(self, policy: PolicyInUse) -> None:
        owners = await closed(AWAY, policy=policy, unassign_on_unavailable=False)
        end = await owners.world.one(owners.c(status="open"))
        assert said(end) == [CREATED]
        assert (created(owners.world).assigned_to, owners.world.c().assigned_users) == (AWAY, (AWAY,))

    async def test_a_conversation_that_was_never_done_stays_with_them(self, policy: PolicyInUse) -> None:
        world = world_that_creates(policy=policy, **ON)
        await world.one(event(conversation(1, users=(AWAY,))))
        assert (created(world).assigned_to, world.c().assigned_users) == (AWAY, (AWAY,))

    async def test_one_that_was_done_before_its_last_work_item_stays_too(self, policy: PolicyInUse) -> None:
        """Re-opened with Anna there, its work-item removed by hand, she goes: only a re-opening takes it from her."""
        owners = await closed("u-1", policy=policy)
        await owners.world.one(owners.c(status="open"))
        before = created(owners.world)
        owners.world.store.remove_work_item(before.id)
        owners.world.store.put_session(_ended(owners.world, "s-1"))
        end = await owners.world.one(owners.c(preview="hello"))
        assert said(end) == [CREATED]
        assert created(owners.world).assigned_to == "u-1"


def _ended(world: World, key: str) -> Session:
    session = world.store.session(key)
    assert session is not None
    return replace(session, active=False)


class TestNobodyKnowsYet:
    """The first event of a conversation does not say whether an earlier one re-opened it."""

    REOPENED: Final = event(
        conversation(10, users=(AWAY,)), at=10, changes=changes({"status": ("done", "open"), "rev": (9, 10)})
    )
    MESSAGE: Final = event(conversation(11, users=(AWAY,)), at=11)

    @pytest.mark.parametrize("order", [(0, 1), (1, 0)])
    async def test_either_order_ends_alike(self, order: tuple[int, int]) -> None:
        world = world_that_creates(**ON)
        world.put(conversation(11, users=(AWAY,)))
        for number in order:
            await world.one((self.REOPENED, self.MESSAGE)[number])
        await world.handler.close_gaps(["c-1"], _later(world))
        assert (world.c().assigned_users, created(world).assigned_to) == ((), None)
        assert world.store.state("c-1").waiting is None
        await come_back(world)

    async def test_it_waits_and_goes_on_waiting(self) -> None:
        world = world_that_creates(**ON)
        world.put(conversation(12, users=(AWAY,)))
        await world.one(event(conversation(12, users=(AWAY,)), at=12))
        waiting = world.store.state("c-1").waiting
        assert waiting is not None
        world.clock.at = _later(world)
        await world.one(event(conversation(11, users=(AWAY,)), at=11))
        assert world.store.state("c-1").waiting == waiting
        assert created_documents(world) == []

    async def test_if_it_is_lost_the_poll_leaves_the_agent(self) -> None:
        """No event has told that the conversation was done."""
        world = world_that_creates(**ON)
        world.put(conversation(11, users=(AWAY,)))
        await world.one(self.MESSAGE)
        [polled] = (await world.handler.close_gaps(["c-1"], _later(world))).pairs
        assert polled.audit.outcome.value == "applied"
        assert created(world).assigned_to == AWAY
        assert world.store.state("c-1").waiting is None

    async def test_an_agent_who_is_there_is_not_waited_for(self) -> None:
        world = world_that_creates(**ON)
        world.put(conversation(11, users=("u-1",)))
        assert code_of(await world.one(event(conversation(11, users=("u-1",))))) == "APPLIED"
        assert created(world).assigned_to == "u-1"

    async def test_legacy_does_not_wait(self) -> None:
        world = world_that_creates(policy=PolicyInUse.LEGACY, **ON)
        world.put(conversation(11, users=(AWAY,)))
        await world.one(self.MESSAGE)
        assert created(world).assigned_to == AWAY


def _later(world: World) -> datetime:
    return world.clock.now() + timedelta(days=1)
