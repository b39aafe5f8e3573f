"""A completion is the last word on a work-item: rule B6 waits for its agent and its queue, and rule A7 opens a
conversation again that only our own A1 closed (docs/rules.md)."""

from itertools import permutations
from typing import Any

import pytest

from sync.conversation import ConversationStatus
from sync.state.sync_state import DoneBy
from tests.handlers.owners import Owners, begun
from tests.handlers.wire_events import Json, changes, conversation, event, work_item
from tests.handlers.world import World, code_of


def suppressed(end: Any) -> dict[str, str]:
    return {str(each.field): each.code for each in end.audit.suppressed}


class TestB6Waits:
    """An agent takes the conversation, replies and closes it."""

    async def closed(self) -> tuple[Owners, Json, Json]:
        owners = await begun(w={"status": "queued"})
        return owners, owners.c(users=["u-1"]), owners.c(status="done")

    async def test_while_the_agent_waits_and_then_the_work_item_is_completed_with_its_agent(self) -> None:
        owners, taken, done = await self.closed()
        end = await owners.world.one(done)
        assert (code_of(end), suppressed(end)) == (
            "AWAITING_EARLIER_EVENT", {"assignee": "FIELD_WAITS", "status": "FIELD_WAITS"}
        )  # fmt: skip
        assert owners.world.w().active
        end = await owners.world.one(taken)
        assert {reason.meta["rule"] for reason in end.audit.reasons} == {"B1", "B6"}
        assert (owners.world.w().status, owners.world.w().assigned_to) == ("completed", "u-1")

    async def test_while_the_queue_waits(self) -> None:
        owners = await begun(w={"status": "queued"})
        moved, done = owners.c(queue="q-1"), owners.c(status="done")
        assert code_of(await owners.world.one(done)) == "AWAITING_EARLIER_EVENT"
        await owners.world.one(moved)
        assert (owners.world.w().status, owners.world.w().queue) == ("completed", "q-1")

    async def test_until_the_watermark_says_that_the_event_will_not_come(self) -> None:
        owners, _, done = await self.closed()
        await owners.world.one(done)
        [polled] = await owners.poll()
        assert {reason.meta["rule"] for reason in polled.audit.reasons} == {"B1", "B6"}
        assert (owners.world.w().status, owners.world.w().assigned_to) == ("completed", "u-1")

    async def test_not_where_agent_and_queue_agree(self) -> None:
        owners = await begun()
        owners.c(preview="a")
        end = await owners.world.one(owners.c(status="done"))
        assert [reason.meta["rule"] for reason in end.audit.reasons] == ["B6"]

    async def test_b9_does_not_wait(self) -> None:
        owners = await begun(w={"status": "queued"})
        owners.c(users=["u-1"])
        end = await owners.world.one(owners.c(what="delete", deleted=True))
        assert [reason.meta["rule"] for reason in end.audit.reasons] == ["B9"]
        assert not owners.world.w().active


COMPLETED = event(
    work_item(2, status="completed"),
    at=1,
    changes=changes({"status": ("ivr", "completed")}),
    routingReasons=[{"action": "COMPLETE", "code": "COMPLETED", "meta": {"conversationRev": 1}}],
)


def next_item(knew: int | None, **attributes: Any) -> Json:
    return event(work_item(1, key="w-2", number=2, resourceRev=knew, **attributes), at=3)


class TestA7Reopens:
    """An agent completes the work-item while the customer writes; the message makes a new work-item."""

    async def closed(self) -> World:
        world = World()
        await world.take(event(conversation(1)), event(work_item(1, resourceRev=1), at=0.5))
        end = await world.one(COMPLETED)
        assert [reason.meta["rule"] for reason in end.audit.reasons] == ["A1"]
        state = world.store.state("c-1")
        assert (world.c().status, state.done_by) == (ConversationStatus.DONE, DoneBy(number=1, rev=2))
        return world

    async def test_for_a_newer_work_item_whose_maker_did_not_know_of_the_completion(self) -> None:
        world = await self.closed()
        end = await world.one(next_item(1))
        assert [reason.meta["rule"] for reason in end.audit.reasons] == ["A7"]
        assert [reason.code for reason in end.audit.reasons] == ["NEWER_WORK_ITEM_ACTIVE"]
        assert (world.c().status, world.w("w-2").active) == (ConversationStatus.OPEN, True)

    @pytest.mark.parametrize("knew", [2, 3])
    async def test_not_for_one_whose_maker_knew_of_it(self, knew: int) -> None:
        world = await self.closed()
        end = await world.one(next_item(knew))
        assert [reason.meta["rule"] for reason in end.audit.reasons] == ["B6"]
        assert (world.c().status, world.w("w-2").active) == (ConversationStatus.DONE, False)

    async def test_not_where_its_owner_closed_the_conversation_too(self) -> None:
        world = await self.closed()
        closed_again = changes({"status": ("open", "done")})
        await world.one(event(conversation(3, status="done"), at=2, changes=closed_again))
        end = await world.one(next_item(1))
        assert [reason.meta["rule"] for reason in end.audit.reasons] == ["B6"]
        assert not world.w("w-2").active

    async def test_where_the_creation_was_lost_the_stored_work_item_says_what_its_maker_knew(self) -> None:
        world = await self.closed()
        world.put(work_item(2, key="w-2", number=2, resourceRev=1, priority=2))
        end = await world.one(event(conversation(3, status="done"), at=4, changes=changes({"preview": ("a", "b")})))
        assert [reason.meta["rule"] for reason in end.audit.reasons] == ["A7"]

    async def test_it_waits_for_a_conversation_revision_above_the_completion(self) -> None:
        """The unobserved revision may have closed the conversation."""
        world = await self.closed()
        world.put(conversation(3, status="done", preview="a"))
        end = await world.one(next_item(1))
        assert (code_of(end), suppressed(end)) == ("AWAITING_EARLIER_EVENT", {"status": "FIELD_WAITS"})
        told = changes({"preview": ("", "a")})
        end = await world.one(event(conversation(3, status="done", preview="a"), at=2, changes=told))
        assert [reason.meta["rule"] for reason in end.audit.reasons] == ["A7"]

    async def test_the_pair_ends_open_in_every_order(self) -> None:
        ends = set()
        for order in permutations([COMPLETED, next_item(1)]):
            world = World()
            await world.take(event(conversation(1)), event(work_item(1, resourceRev=1), at=0.5))
            for each in (*order, *order):
                await world.one(each)
            ends.add((world.c().status, world.w("w-1").active, world.w("w-2").active))
        assert ends == {(ConversationStatus.OPEN, False, True)}
