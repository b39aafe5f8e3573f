"""Creating work-items under `causal`: first the pair is reconciled, and nothing is made while something waits."""

from datetime import timedelta
from typing import Any, Final

import pytest

from commands.instant import format_instant
from commands.work_item import Status
from handlers.options import PolicyInUse
from sync.conversation import ConversationStatus
from tests.handlers.owners import Owners, begun
from tests.handlers.planning.routing.routing_world import (
    come_back,
    created,
    created_documents,
    said,
    world_that_creates,
)
from tests.handlers.wire_events import Json, conversation, event, work_item
from tests.handlers.world import code_of

CREATED: Final = ("CREATE_WORK_ITEM", "CONVERSATION_ROUTABLE")


async def closed() -> Owners:
    """A conversation that A1 closed: Anna completed its work-item."""
    owners = await begun({"users": ["u-1"]}, {"user": "u-1", "session": "s-1", "status": "assigned"}, **ON)
    await owners.world.one(owners.w(knew=1, status="completed"))
    assert owners.world.c().status is ConversationStatus.DONE
    return owners


ON: Final[Json] = {"create_work_items": True}


class TestReopened:
    async def test_its_next_work_item_has_the_next_number(self) -> None:
        owners = await closed()
        end = await owners.world.one(owners.c(status="open"))
        assert (created(owners.world).number, said(end)) == (2, [CREATED])
        assert created(owners.world).assigned_to == "u-1"
        assert owners.world.c().status is ConversationStatus.OPEN
        await come_back(owners.world)

    async def test_a_later_event_that_comes_first_waits_for_the_re_opening(self) -> None:
        """It could be that nobody re-opened the conversation: then A1 would close it."""
        owners = await closed()
        reopened, message = owners.c(status="open"), owners.c(preview="hello")
        assert code_of(await owners.world.one(message)) == "AWAITING_EARLIER_EVENT"
        assert created_documents(owners.world) == []
        end = await owners.world.one(reopened)
        assert (code_of(end), said(end)) == ("APPLIED", [CREATED])
        assert created(owners.world).resource_rev == 4
        assert owners.world.store.state("c-1").waiting is None

    async def test_if_the_re_opening_is_lost_the_poll_makes_it(self) -> None:
        owners = await closed()
        owners.c(status="open")
        await owners.world.one(owners.c(preview="hello"))
        [polled] = await owners.poll()
        assert polled.audit.trigger == "gap"
        assert polled.audit.reasons[0].action == "CREATE_WORK_ITEM"
        assert [announcement.side for announcement in polled.announcements] == ["work-item"]
        assert created(owners.world).number == 2
        assert await owners.poll() == []
        await come_back(owners.world)

    async def test_a_sync_may_end_the_wait(self) -> None:
        """The revision that decides is a sync of the predecessor, which causes nothing by itself."""
        owners = await closed()
        owners.world.put(conversation(3, users=("u-1",)))
        sync = event(conversation(3, users=("u-1",)), at=9, isSync=True, **_reopened())
        await owners.world.one(event(conversation(4, users=("u-1",)), at=10))
        assert created_documents(owners.world) == []
        assert owners.world.store.state("c-1").waiting is not None
        await owners.world.one(sync)
        # The completion is newer than a change that no outside write made.
        assert owners.world.c().status is ConversationStatus.DONE
        assert created_documents(owners.world) == []


class TestACompletionOnItsWay:
    async def test_is_waited_for(self) -> None:
        """The conversation's event comes first. Its writer may not have known of the completion, or it may."""
        owners = await begun(**ON)
        message = owners.c(preview="hello")
        completed = owners.w(knew=2, status="completed")
        assert code_of(await owners.world.one(message)) == "AWAITING_EARLIER_EVENT"
        assert created_documents(owners.world) == []
        await owners.world.one(completed)
        assert owners.world.c().status is ConversationStatus.DONE
        assert created_documents(owners.world) == []

    async def test_that_did_not_know_of_the_re_opening_makes_the_next_one(self) -> None:
        """The work-item's event ends the wait: the conversation is newer, and has no active work-item."""
        owners = await begun(**ON)
        await owners.world.one(owners.c(status="done", sync=True))
        reopened = owners.c(status="open")
        completed = owners.w(knew=1, status="completed")
        await owners.world.one(reopened)
        end = await owners.world.one(completed)
        assert said(end) == [CREATED]
        assert owners.world.c().status is ConversationStatus.OPEN
        assert created(owners.world).number == 2

    async def test_of_a_work_item_that_no_event_has_told_of(self) -> None:
        world = world_that_creates(state_from_events=False)
        written = format_instant(world.clock.now() - timedelta(seconds=3))
        world.put(conversation(5), work_item(2, status="completed", updatedAt=written))
        assert code_of(await world.one(event(conversation(5)))) == "AWAITING_EARLIER_EVENT"
        assert created_documents(world) == []
        await world.one(event(work_item(1, resourceRev=4)))
        completion = {"status": {"op": "replace", "before": "ivr", "after": "completed"}}
        knew = [{"action": "X", "code": "Y", "meta": {"conversationRev": 5}}]
        changed = {"attributes": completion, "relationships": {}}
        await world.one(event(work_item(2, status="completed"), changes=changed, routingReasons=knew))
        assert world.c().status is ConversationStatus.DONE
        assert created_documents(world) == []

    @pytest.mark.parametrize("updated", ["2024-04-20T00:00:00.000Z", None], ids=["16 days ago", "never"])
    async def test_cannot_be_on_its_way_for_weeks(self, updated: str | None) -> None:
        world = world_that_creates(state_from_events=False)
        world.put(conversation(5), work_item(2, status="completed", updatedAt=updated))
        await world.one(event(conversation(5)))
        assert created(world).number == 2


async def test_legacy_waits_for_nothing() -> None:
    owners = await begun(policy=PolicyInUse.LEGACY, **ON)
    message = owners.c(preview="hello")
    owners.w(knew=2, status="completed")
    assert code_of(await owners.world.one(message)) == "APPLIED"
    assert created(owners.world).status is Status.IVR


def _reopened() -> Json:
    changed: dict[str, Any] = {"status": {"op": "replace", "before": "done", "after": "open"}}
    return {"changes": {"attributes": changed, "relationships": {}}}
