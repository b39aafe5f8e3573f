"""Queueing ivr work-items by rules: when, what is written on both sides, and what is told of it."""

from typing import Any, Final

import pytest

from commands.engines.rollout import EngineRollout, UpdateOrigin
from commands.work_item import Status
from handlers.options import PolicyInUse
from handlers.outcome import Done
from tests.handlers.owners import Owners
from tests.handlers.planning.routing.routing_world import (
    come_back,
    created,
    created_documents,
    said,
    world_that_creates,
)
from tests.handlers.wire_events import ORG, Json, changes, conversation, event, read, work_item
from tests.handlers.world import EITHER_POLICY, World, code_of
from worker.store.documents import Collection
from worker.store.memory.queue_rules import MemoryQueueRules

HIT: Final = ("QUEUE_WORK_ITEM", "QUEUE_RULES_HIT")
DEFAULT: Final = ("QUEUE_WORK_ITEM", "QUEUE_DEFAULT")
CREATED: Final = ("CREATE_WORK_ITEM", "CONVERSATION_ROUTABLE")
COMMAND: Final = ("UPDATE_COMMAND", "WORK_ITEM_UPDATE_CMD")
QUEUE_SYNC: Final = ("SYNC_CONVERSATION", "WORK_ITEM_QUEUE_CHANGED")
UNASSIGN_SYNC: Final = ("SYNC_CONVERSATION", "WORK_ITEM_QUEUED_UNASSIGNED")


def vip_rules(*, default: str | None = None) -> MemoryQueueRules:
    """One rule: a conversation of the tier gold goes to q-1."""
    gold = {"attribute": "tier", "operator": "eq", "value": "gold"}
    queues: list[Json] = [{"_id": "q-1", "org": ORG, "itemSize": 3, "priority": 7}]
    return MemoryQueueRules(
        rules=[
            {
                "_id": "r-1",
                "org": ORG,
                "position": 1,
                "enabled": True,
                "queue": "q-1",
                "match": "all",
                "criteria": [gold],
            }
        ],
        queues=[*queues, *([] if default is None else [{"_id": default, "org": ORG, "default": True}])],
    )


def world_with_rules(*, default: str | None = None, **options: Any) -> World:
    return world_that_creates(**{"queue_rules": True, "rules": vip_rules(default=default), **options})


def theirs(world: World, c: Json | None = None, **w: Any) -> World:
    """A pair of the owner's, the work-item ivr."""
    return world.put(c or conversation(2), work_item(1, resourceRev=2, **w))


@EITHER_POLICY
class TestOnCreation:
    async def test_a_rule_that_holds_queues_it_in_the_same_transaction(self, policy: PolicyInUse) -> None:
        world = world_with_rules(policy=policy)
        end = await world.one(event(conversation(3, tier="gold"), "update"))
        assert said(end) == [CREATED, HIT, COMMAND, QUEUE_SYNC]
        item = created(world)
        assert (item.status, item.queue, item.rule, item.rev) == (Status.QUEUED, "q-1", "r-1", 2)
        assert (item.item_size, item.priority, item.queued_count) == (3, 7, 1)
        assert (world.c().queue, world.c().rev) == ("q-1", 4)
        assert end.audit.updated_work_item == {"status": "ivr", "queue": {"id": "q-1", "rule": "r-1"}, "rev": 0}
        assert end.audit.updated_conversation == {"queue": {"id": "q-1"}, "rev": 3}
        assert end.audit.before == {"conversation": {"queue": {"id": None}}, "workItem": None}
        assert end.audit.direction == "reverse"
        await come_back(world)

    async def test_none_holding_it_is_the_default_queue(self, policy: PolicyInUse) -> None:
        world = world_with_rules(policy=policy, default="q-2")
        end = await world.one(event(conversation(3), "update"))
        assert said(end) == [CREATED, DEFAULT, COMMAND, QUEUE_SYNC]
        assert (created(world).queue, created(world).rule, world.c().queue) == ("q-2", None, "q-2")
        await come_back(world)

    async def test_without_one_it_stays_ivr(self, policy: PolicyInUse) -> None:
        world = world_with_rules(policy=policy)
        assert said(await world.one(event(conversation(3), "update"))) == [CREATED]
        assert created(world).status is Status.IVR

    async def test_a_conversation_with_a_queue_of_its_own_is_asked_nothing(self, policy: PolicyInUse) -> None:
        world = world_with_rules(policy=policy)
        assert said(await world.one(event(conversation(3, queue="q-2", tier="gold"), "update"))) == [CREATED]
        assert created(world).queue == "q-2"

    async def test_nor_one_with_a_user(self, policy: PolicyInUse) -> None:
        world = world_with_rules(policy=policy)
        assert said(await world.one(event(conversation(3, users=("u-1",), tier="gold"), "update"))) == [CREATED]
        assert created(world).status is Status.ASSIGNED


@EITHER_POLICY
class TestWhatIsTold:
    async def test_two_outside_writes_and_a_sync(self, policy: PolicyInUse) -> None:
        world = world_with_rules(policy=policy)
        end = await world.one(event(conversation(3, tier="gold"), "update"))
        messages = world.announced()
        told = [read(message) for message in messages]
        assert [(each.name, each.is_sync, each.rev) for each in told] == [
            ("kustomer.work-item.create", False, 1),
            ("kustomer.work-item.update", False, 2),
            ("kustomer.conversation.update", True, 4),
        ]
        assert [each.known_conversation_rev for each in told[:2]] == [3, 3]
        assert told[1].changed_fields == frozenset({"queue"})
        hit, command = messages[1]["body"]["routingReasons"]
        assert hit == {"action": "QUEUE_WORK_ITEM", "code": "QUEUE_RULES_HIT", "meta": {"conversationRev": 3}}
        assert command["meta"]["data"] == {
            "queue": {"id": "q-1", "rule": "r-1"},
            "rev": 1,
            "resource": {"rev": 3},
        }
        assert [each.id for each in end.announcements] == [message["id"] for message in messages]
        record, *more = world.store.documents(Collection.WORK_ITEM_REVISIONS)
        assert (record["rev"], more) == (2, [])

    async def test_the_command_counts_as_the_routers(self, policy: PolicyInUse) -> None:
        world = world_with_rules(policy=policy)
        end = await world.one(event(conversation(3, tier="gold"), "update"))
        assert end.audit.command is not None
        assert (end.audit.command.origin.value, end.audit.command.fields) == ("router", ("queue",))


@EITHER_POLICY
class TestLater:
    async def test_on_the_owners_creation(self, policy: PolicyInUse) -> None:
        world = theirs(world_with_rules(policy=policy), conversation(2, tier="gold"))
        end = await world.one(event(work_item(1, resourceRev=2)))
        assert said(end) == [HIT, COMMAND, QUEUE_SYNC]
        assert (world.w().queue, world.w().rev, world.c().queue) == ("q-1", 2, "q-1")
        assert end.audit.updated_work_item == {"queue": {"id": "q-1", "rule": "r-1"}, "rev": 1}
        assert end.audit.before == {"conversation": {"queue": {"id": None}}, "workItem": {"queue": None}}
        await come_back(world)

    async def test_on_a_later_event_of_the_conversation(self, policy: PolicyInUse) -> None:
        world = world_with_rules(policy=policy)
        await world.one(event(conversation(1)))
        assert created(world).status is Status.IVR
        end = await world.one(event(conversation(2, tier="gold"), at=1))
        assert said(end) == [HIT, COMMAND, QUEUE_SYNC]
        assert created(world).queue == "q-1"
        await come_back(world)

    @pytest.mark.parametrize(
        "w",
        [
            {"status": "queued", "queue": "q-2", "queuedCount": 1},
            {"status": "ivr", "queuedCount": 1},
            {"status": "assigned", "user": "u-1"},
            {"status": "completed"},
        ],
        ids=["queued", "de-queued", "assigned", "completed"],
    )
    async def test_what_others_have_taken_up_is_left_alone(self, policy: PolicyInUse, w: Json) -> None:
        user, queue = w.get("user"), w.get("queue")
        users = (user,) if user else ()
        status = "done" if w["status"] == "completed" else "open"
        c = conversation(2, tier="gold", users=users, queue=queue, status=status)
        world = theirs(world_with_rules(policy=policy, create_work_items=False), c, **w)
        before = world.w()
        await world.one(event(work_item(1, resourceRev=2, **w)))
        await world.one(event(c, at=1))
        assert world.w() == before

    async def test_a_snoozed_one_is_queued_and_stays_paused(self, policy: PolicyInUse) -> None:
        world = theirs(world_with_rules(policy=policy), conversation(2, tier="gold", status="snoozed"), paused=True)
        await world.one(event(work_item(1, resourceRev=2, paused=True)))
        assert (world.w().status, world.w().paused) == (Status.QUEUED, True)

    async def test_the_rules_of_another_org_are_not_its_rules(self, policy: PolicyInUse) -> None:
        world = world_with_rules(policy=policy)
        await world.one({**event(conversation(3, tier="gold"), "update"), "org": "org-2"})
        assert created(world).status is Status.IVR

    async def test_without_the_setting_no_rule_is_asked(self, policy: PolicyInUse) -> None:
        world = world_with_rules(policy=policy, queue_rules=False)
        assert said(await world.one(event(conversation(3, tier="gold"), "update"))) == [CREATED]

    async def test_without_creation_it_works_alone(self, policy: PolicyInUse) -> None:
        world = world_with_rules(policy=policy, create_work_items=False)
        assert code_of(await world.one(event(conversation(3, tier="gold"), "update"))) == "NO_ACTIVE_WORK_ITEM"
        await world.one(event(work_item(1, resourceRev=3), at=1))
        assert world.w().queue == "q-1"

    async def test_users_who_were_left_to_the_rules_lose_the_conversation(self, policy: PolicyInUse) -> None:
        """The work-item was made without them, and knew of them: rule A3."""
        world = theirs(world_with_rules(policy=policy), conversation(2, tier="gold", users=("u-2",)))
        knew = event(work_item(1, resourceRev=2))
        end = await world.one(knew)
        assert {HIT, COMMAND, UNASSIGN_SYNC, QUEUE_SYNC} == set(said(end))
        assert (world.c().assigned_users, world.w().assigned_to) == ((), None)


class TestWaits:
    """The conversation's event that tells of its agent is on its way: then the work-item goes to the agent."""

    C: Final = conversation(4, tier="gold", users=("u-1",), updatedAt="2024-05-06T07:08:09.000Z")
    CREATION: Final = event(work_item(1, resourceRev=2, updatedAt="2024-05-06T07:08:09.000Z"))

    async def test_while_a_field_waits_no_rule_is_asked(self) -> None:
        world = theirs(world_with_rules(), self.C)
        assert code_of(await world.one(self.CREATION)) == "AWAITING_EARLIER_EVENT"
        assert world.w().status is Status.IVR
        await world.one(event(conversation(3), at=1))
        assigned = changes({"assignedUsers": ([], ["u-1"]), "rev": (3, 4)})
        await world.one(event(self.C, at=2, changes=assigned))
        assert (world.w().status, world.w().assigned_to) == (Status.ASSIGNED, "u-1")

    async def test_the_poll_asks_them(self) -> None:
        """The events are lost. The work-item, whose maker chose no queue, takes nothing away by itself."""
        world = theirs(
            world_with_rules(), conversation(4, tier="gold", queue="q-2", updatedAt="2024-05-06T07:08:09.000Z")
        )
        assert code_of(await world.one(self.CREATION)) == "AWAITING_EARLIER_EVENT"
        [polled] = await Owners(world).poll()
        assert polled.audit.reasons[0].action == "QUEUE_WORK_ITEM"
        assert world.store.state("c-1").waiting is None
        assert (world.w().status, world.w().queue, world.c().queue) == (Status.QUEUED, "q-1", "q-1")


async def test_a_command_that_is_refused_leaves_it_in_ivr() -> None:
    world = world_with_rules(rollout=EngineRollout(fields_max={UpdateOrigin.ROUTER: 0}))
    end = await world.one(event(conversation(3, tier="gold"), "update"))
    assert (end.outcome, said(end)) == (Done(reason="APPLIED"), [CREATED])
    assert created_documents(world)[0]["attributes"]["status"] == "ivr"


@pytest.mark.parametrize("org", [["o-1"], {"id": ["o-1"]}, 7])
async def test_an_org_of_another_type_makes_one_document_unreadable_and_stops_no_other(org: Any) -> None:
    world = theirs(world_with_rules(), conversation(2, tier="gold"))
    odd = conversation(2, key="c-2")
    world.put(odd)
    document = world.store.conversation("c-2")
    assert document is not None
    world.store.put_conversation({**document, "org": org})
    ends = await world.take(event(conversation(2, tier="gold")), event(odd))
    assert [code_of(end) for end in ends] == ["APPLIED", "STORED_DOCUMENT_UNREADABLE"]
    assert world.w().queue == "q-1"
