"""The sweep of pairs finds what routing has left out: a work-item that was never made, or never queued."""

from datetime import timedelta

import pytest

from commands.context import RoutingQueue
from handlers.drift import DriftClass, DriftEnd
from tests.handlers.small_ports import START
from tests.handlers.sweep.swept_world import SweptWorld, at_start
from tests.handlers.wire_events import ORG, Json, conversation, work_item
from worker.store.documents import Collection
from worker.store.memory.queue_rules import MemoryQueueRules


async def test_an_ivr_work_item_that_was_never_queued_is_told_after_a_while() -> None:
    world = SweptWorld().put(at_start(conversation(2)), at_start(work_item(1)))
    assert await world.sweep(at=START + timedelta(seconds=300)) == []
    [swept] = await world.sweep(at=START + timedelta(seconds=301))
    assert (swept.drift.kind, swept.drift.end, swept.drift.since) == (DriftClass.NEVER_QUEUED, DriftEnd.TOLD, START)


async def test_a_routable_conversation_without_a_work_item_gets_one() -> None:
    world = SweptWorld(create_work_items=True).put(at_start(conversation(3, users=("u-1",), queue="q-1")))
    [swept] = await world.sweep()
    assert (swept.drift.kind, swept.drift.end) == (DriftClass.NO_WORK_ITEM, DriftEnd.REPAIRED)
    [document] = world.store.documents(Collection.WORK_ITEMS)
    assert (document["conversationId"], document["active"]) == ("c-1", True)
    assert swept.drift.work_item_id == document["_id"]
    assert swept.audit is not None
    assert (swept.audit.trigger, swept.audit.outcome.value) == ("sweep", "applied")
    assert [reason.code for reason in swept.audit.reasons] == ["CONVERSATION_ROUTABLE"]
    assert len(swept.announcements) == 1
    assert await world.sweep() == []
    # Its announcement comes back as a duplicate.
    await world.take(*world.announced())
    assert len(world.store.documents(Collection.WORK_ITEMS)) == 1


async def test_what_would_be_created_can_be_counted_beforehand() -> None:
    world = SweptWorld(create_work_items=True).put(at_start(conversation(2)))
    stored = world.stored()
    [swept] = await world.sweep(repair=False)
    assert (swept.drift.kind, swept.drift.end) == (DriftClass.NO_WORK_ITEM, DriftEnd.PLANNED)
    assert world.stored() == stored


async def test_a_work_item_that_would_be_created_has_no_id_yet() -> None:
    world = SweptWorld(create_work_items=True).put(at_start(conversation(3, users=("u-1",))))
    [swept] = await world.sweep(repair=False)
    assert (swept.drift.end, swept.drift.work_item_id, swept.drift.creates) == (DriftEnd.PLANNED, None, True)
    assert swept.drift.work_item_fields == {"status": "assigned", "assignedTo": "u-1"}
    assert not world.store.documents(Collection.WORK_ITEMS)


async def test_where_work_items_are_not_created_such_a_conversation_is_no_drift() -> None:
    world = SweptWorld().put(at_start(conversation(3)))
    assert await world.sweep() == []


@pytest.mark.parametrize("attributes", [{"status": "done"}, {"ended": True}, {"deleted": True}], ids=str)
async def test_a_conversation_that_is_not_routable_gets_none(attributes: Json) -> None:
    world = SweptWorld(create_work_items=True).put(at_start(conversation(3, **attributes)))
    assert await world.sweep() == []


async def test_an_ivr_work_item_that_was_never_queued_is_queued_by_the_rules() -> None:
    rules = MemoryQueueRules(queues=[{"_id": "q-1", "org": ORG, "default": True}])
    world = SweptWorld(queue_rules=True, rules=rules).put(at_start(conversation(2)), at_start(work_item(1)))
    world.store.put_queue(RoutingQueue(id="q-1"))
    drift = await world.drift()
    assert (drift.kind, drift.end) == (DriftClass.NEVER_QUEUED, DriftEnd.REPAIRED)
    assert (world.w().status.value, world.w().queue, world.c().queue) == ("queued", "q-1", "q-1")


async def test_a_repaired_pair_is_routed_at_once_as_by_an_event() -> None:
    """The repair writes the work-item, which is young then: the next sweep would meet it again."""
    rules = MemoryQueueRules(queues=[{"_id": "q-1", "org": ORG, "default": True}])
    world = SweptWorld(queue_rules=True, rules=rules).put(
        at_start(conversation(2)), at_start(work_item(1, paused=True))
    )
    world.store.put_queue(RoutingQueue(id="q-1"))
    drift = await world.drift(at=START + timedelta(seconds=90))
    assert (drift.kind, drift.end) == (DriftClass.OUT_OF_STEP, DriftEnd.REPAIRED)
    assert (world.w().status.value, world.w().paused, world.c().queue) == ("queued", False, "q-1")
    assert await world.sweep() == []


async def test_without_a_rule_that_holds_it_is_told() -> None:
    rules = MemoryQueueRules()
    world = SweptWorld(queue_rules=True, rules=rules).put(at_start(conversation(2)), at_start(work_item(1)))
    before = world.stored()
    [swept] = await world.sweep()
    assert (swept.drift.kind, swept.drift.end, swept.audit) == (DriftClass.NEVER_QUEUED, DriftEnd.TOLD, None)
    assert world.stored() == before
