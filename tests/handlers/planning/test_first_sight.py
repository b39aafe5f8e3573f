"""Policy `causal` at a pair's first sight, field by field (docs/rules.md, *First sight*)."""

from datetime import datetime, timedelta
from typing import Any, Final

import pytest

from commands.instant import format_instant
from handlers.options import FIRST_SIGHT_GAPS, Options
from tests.handlers.owners import GAP, Owners, begun
from tests.handlers.small_ports import START
from tests.handlers.wire_events import Json, changes, conversation, event, work_item
from tests.handlers.world import World, code_of

KNEW: Final = [{"action": "QUEUE_WORK_ITEM", "code": "QUEUE_RULES_HIT", "meta": {"conversationRev": 1}}]
LONG_BEFORE: Final = START - FIRST_SIGHT_GAPS * GAP
"""No document that was written before this time has an event in flight, for a deployment that started at `START`."""


class TestFirstSight:
    """A pair that was never decided, whose other document has no time of writing: it was written long before."""

    async def test_undeclared_fields_go_the_events_own_way_and_declared_ones_by_what_it_knew(self) -> None:
        """The write of the queue knew revision 1 of the conversation, which is at 3. All its revisions count as
        observed, and none of them changed the queue. The agent is undeclared."""
        world = World().put(conversation(3, queue="q-2", users=("u-1",)))
        queued = work_item(2, queue="q-1", status="queued")
        end = await world.one(
            event(queued, changes=changes(relationships={"queue": (None, "q-1")}), routingReasons=KNEW)
        )
        assert [reason.meta["rule"] for reason in end.audit.reasons] == ["A3", "A5"]
        assert (world.c().queue, world.w().queue, world.c().assigned_users) == ("q-1", "q-1", ())

    async def test_a_field_that_any_event_of_the_batch_declares_is_declared(self) -> None:
        """The conversation's newest event does not change the queue; the one before does, and the router knew it."""
        world = World().put(work_item(1))
        knew = [{"action": "QUEUE_WORK_ITEM", "code": "QUEUE_RULES_HIT", "meta": {"conversationRev": 2}}]
        ends = await world.take(
            event(conversation(2, queue="q-2"), at=1, changes=changes(relationships={"queue": (None, "q-0")})),
            event(
                work_item(2, queue="q-1", status="queued"),
                at=2,
                changes=changes(relationships={"queue": (None, "q-0")}),
                routingReasons=knew,
            ),
            event(
                conversation(3, queue="q-2", users=("u-1",)), at=3, changes=changes({"assignedUsers": ([], ["u-1"])})
            ),
        )
        assert [reason.meta["rule"] for reason in ends[2].audit.reasons] == ["B1", "A5"]
        assert (world.c().queue, world.w().assigned_to) == ("q-1", "u-1")

    async def test_nothing_of_it_is_recorded(self) -> None:
        world = World().put(conversation(3, queue="q-2"))
        await world.one(event(work_item(2, queue="q-1", status="queued")))
        state = world.store.state("c-1")
        assert (world.c().queue, state.changed) == ("q-1", {})
        # The fields on which both sides agree are known after the decision, not by the first sight.
        assert set(state.known.values()) == {4}

    async def test_a_field_that_is_known_before_the_event_is_decided_by_the_evidence(self) -> None:
        """The pair's creation told every field. The next write's document has no time, and yet nothing is assumed."""
        owners = await begun()
        end = await owners.world.one(event(conversation(3, users=("u-1",)), changes=changes({"preview": ("a", "b")})))
        assert (code_of(end), owners.world.w().assigned_to) == ("AWAITING_EARLIER_EVENT", None)


def _stored(world: World, written_at: datetime) -> None:
    world.put(conversation(3, users=("u-1",), queue="q-1", updatedAt=format_instant(written_at)))


def _queued(**more: Any) -> Json:
    """The work-item is queued in another queue. The event says nothing of the agent."""
    data = work_item(2, queue="q-2", status="queued", updatedAt=format_instant(START))
    return event(data, changes=changes({"status": ("ivr", "queued")}, {"queue": (None, "q-2")}), **more)


class TestTheCutOff:
    """A document written ten gaps before the first worker of the deployment started has no event in flight."""

    def world(self, written_at: datetime, *, deployed_at: datetime | None = START) -> World:
        world = World(deployed_at=deployed_at)
        _stored(world, written_at)
        return world

    async def test_one_written_before_it_is_decided(self) -> None:
        world = self.world(LONG_BEFORE - timedelta(milliseconds=1))
        end = await world.one(_queued(routingReasons=KNEW))
        assert [reason.meta["rule"] for reason in end.audit.reasons] == ["A3", "A5"]
        assert (world.c().assigned_users, world.c().queue) == ((), "q-2")

    @pytest.mark.parametrize("later", [timedelta(), timedelta(minutes=5), timedelta(days=1)], ids=str)
    async def test_one_written_later_waits(self, later: timedelta) -> None:
        """Pairs that were made during an outage: their events may all be in the queue."""
        world = self.world(LONG_BEFORE + later)
        end = await world.one(_queued(routingReasons=KNEW))
        assert code_of(end) == "AWAITING_EARLIER_EVENT"
        assert {each.field for each in end.audit.suppressed} == {"assignee", "queue"}
        assert world.announced() == []

    async def test_without_a_time_of_deployment_every_one_with_a_time_waits(self) -> None:
        world = self.world(datetime.min.replace(tzinfo=START.tzinfo), deployed_at=None)
        assert code_of(await world.one(_queued(routingReasons=KNEW))) == "AWAITING_EARLIER_EVENT"

    async def test_the_time_of_the_events_own_document_does_not_matter(self) -> None:
        world = World(deployed_at=START).put(work_item(2, updatedAt=format_instant(LONG_BEFORE - GAP)))
        end = await world.one(event(conversation(3, users=("u-1",), updatedAt=format_instant(START))))
        assert (code_of(end), world.w().assigned_to) == ("APPLIED", "u-1")

    def test_the_gap_moves_the_cut_off(self) -> None:
        options = Options(deployed_at=START, gap_seconds=120)
        assert not options.is_long_before_deployment(LONG_BEFORE - timedelta(seconds=1))
        assert options.is_long_before_deployment(START - timedelta(seconds=1_201))


class TestAWorkItemsWriteThatDoesNotSay:
    """It is not known whether it knew the conversation's latest value."""

    async def test_is_the_work_items_where_the_conversation_was_written_long_before(self) -> None:
        world = World(deployed_at=START)
        _stored(world, LONG_BEFORE - GAP)
        end = await world.one(_queued())
        assert [reason.meta["rule"] for reason in end.audit.reasons] == ["A3", "A5"]

    async def test_waits_where_the_customer_wrote_seconds_before(self) -> None:
        """A fresh deployment: an agent takes the work-item of a conversation that was written 20 s before."""
        world = World(deployed_at=START)
        world.put(conversation(3, updatedAt=format_instant(START - timedelta(seconds=20))))
        accepted = work_item(2, user="u-1", status="assigned", session="s-1", updatedAt=format_instant(START))
        told = changes({"status": ("routed", "assigned")}, {"assignedTo": (None, "u-1")})
        assert code_of(await world.one(event(accepted, changes=told))) == "AWAITING_EARLIER_EVENT"
        assert world.store.state("c-1").touched == {"assignee": 2}
        [polled] = (await world.handler.close_gaps(["c-1"], world.clock.now() + GAP)).pairs
        assert [reason.meta["rule"] for reason in polled.audit.reasons] == ["A2"]
        assert (world.c().assigned_users, world.w().assigned_to) == (("u-1",), "u-1")


class TestWhenTheWaitIsOver:
    async def test_a_field_of_which_no_event_told_anything_is_the_conversations(self) -> None:
        world = World(deployed_at=START)
        _stored(world, START)
        await world.one(event(work_item(2, queue="q-2", status="queued"), changes=changes({"priority": (1, 2)})))
        [polled] = (await world.handler.close_gaps(["c-1"], world.clock.now() + GAP)).pairs
        assert [reason.meta["rule"] for reason in polled.audit.reasons] == ["B1", "B8"]
        assert (world.w().assigned_to, world.w().queue) == ("u-1", "q-1")

    async def test_a_field_that_a_conversation_event_changed_is_the_conversations_although_it_was_touched(self) -> None:
        world = World(deployed_at=START)
        assigned = conversation(3, users=("u-1",), updatedAt=format_instant(START))
        taken = work_item(2, user="u-2", status="assigned", session="s-2", updatedAt=format_instant(START))
        await world.take(
            event(assigned, changes=changes({"assignedUsers": ([], ["u-1"])})),
            event(taken, changes=changes(relationships={"assignedTo": (None, "u-2")}), at=1),
        )
        await world.handler.close_gaps(["c-1"], world.clock.now() + GAP)
        assert (world.c().assigned_users, world.w().assigned_to) == (("u-1",), "u-1")


async def test_a_pair_made_during_an_outage_keeps_its_agent() -> None:
    """The work-item's touch arrives before the conversation's assignment: the incident of 2022 once more."""
    owners = Owners(World(deployed_at=START))
    created, made = owners.c(), owners.w(knew=1, status="queued", queue="q-1")
    assigned, touched = owners.c(users=["u-1"], queue="q-1"), owners.w(priority=2)
    assert code_of(await owners.world.one(touched)) == "AWAITING_EARLIER_EVENT"
    await owners.world.take(assigned)
    await owners.world.take(made)
    await owners.world.take(created)
    assert (owners.world.c().assigned_users, owners.world.w().assigned_to) == (("u-1",), "u-1")
