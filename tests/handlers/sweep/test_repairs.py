"""The sweep of pairs: what the store holds is compared with what was observed, and repaired through the reconcile."""

from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from commands.engines.rollout import EngineRollout, UpdateOrigin
from commands.instant import format_instant
from commands.session import Session, SessionEntry
from handlers.drift import DriftClass, DriftEnd, LeftAlone
from handlers.events.event import OwnSync
from handlers.events.parser import read_delivered
from sync.audit import AuditOutcome
from sync.state.sync_state import SyncState
from tests.handlers.small_ports import START
from tests.handlers.sweep.swept_world import WATERMARK, SweptWorld, assigned, at_start
from tests.handlers.wire_events import changes, conversation, event, published, text, work_item
from tests.handlers.world import DisturbedStore, RejectingStore


@pytest.fixture
async def world() -> SweptWorld:
    return await SweptWorld().agreed()


async def test_a_pair_in_step_has_no_drift_and_is_not_written(world: SweptWorld) -> None:
    before = world.stored()
    assert await world.sweep() == []
    assert world.stored() == before


async def test_the_case_of_2021_assigned_work_item_unassigned_conversation_no_queue_anywhere() -> None:
    """The cleaner of 2021 asked for a queue, found none, and left the work-item to its agent for ever."""
    world = SweptWorld().put(
        at_start(conversation(3)),
        at_start(work_item(2, status="assigned", user="u-1", session="s-1", queuedCount=1)),
    )
    world.store.put_session(
        Session(id="s-1", user="u-1", capacity=10, work_items=(SessionEntry(id="w-1", item_size=1),))
    )
    drift = await world.drift()
    assert (drift.kind, drift.end, drift.since) == (DriftClass.OUT_OF_STEP, DriftEnd.REPAIRED, START)
    [field] = drift.fields
    assert (field.field, field.conversation, field.work_item) == ("assignee", [], "u-1")
    assert field.winner == "CONVERSATION_IS_NEWER"
    assert drift.work_item_fields == {"assignedTo": None, "queue": None}
    assert (world.w().assigned_to, world.places()) == (None, set())


async def test_a_conversations_lost_last_event_is_repaired(world: SweptWorld) -> None:
    world.edit("c-1", 4, assignedUsers=["u-2"])
    [swept] = await world.sweep()
    drift = swept.drift
    assert (drift.kind, drift.end) == (DriftClass.OUT_OF_STEP, DriftEnd.REPAIRED)
    assert (drift.conversation_id, drift.work_item_id, drift.since) == ("c-1", "w-1", START)
    [field] = drift.fields
    assert (field.winner, field.changed_rev) == ("CONVERSATION_IS_NEWER", 4)
    assert world.w().assigned_to == "u-2"
    assert swept.audit is not None
    assert (swept.audit.trigger, swept.audit.outcome.value, swept.audit.event) == ("sweep", "applied", None)
    assert [reason.meta["rule"] for reason in swept.audit.reasons] == ["B1"]
    assert [each.id for each in swept.announcements] == [world.announced()[-1]["id"]]
    assert await world.sweep() == []


async def test_a_work_items_lost_last_event_is_repaired(world: SweptWorld) -> None:
    world.assign("u-2", world.w().rev + 1)
    drift = await world.drift()
    assert (drift.kind, drift.fields[0].winner) == (DriftClass.OUT_OF_STEP, "WORK_ITEM_IS_NEWER")
    assert world.c().assigned_users == ("u-2",)


async def test_a_lost_event_of_fields_that_are_not_shared_is_observed(world: SweptWorld) -> None:
    world.edit("c-1", 4, name="n")
    drift = await world.drift()
    assert (drift.kind, drift.fields) == (DriftClass.UNOBSERVED, ())
    assert world.store.state("c-1").conversation_observed == ((1, 4),)


async def test_a_lost_completion_is_taken_in(world: SweptWorld) -> None:
    item = world.store.work_item("w-1")
    assert item is not None
    world.edit("w-1", world.w().rev + 1, status="completed")
    world.store.put_work_item({**(world.store.work_item("w-1") or {}), "active": False})
    drift = await world.drift()
    assert drift.kind is DriftClass.OUT_OF_STEP
    assert world.c().status == "done"


async def test_a_completed_work_item_of_which_no_event_came_is_taken_in(world: SweptWorld) -> None:
    """The events of the first work-item's completion, of the second's creation and of its completion are lost."""
    world.edit("w-1", world.w().rev + 1, status="completed")
    world.store.put_work_item({**(world.store.work_item("w-1") or {}), "active": False})
    second = at_start(work_item(3, key="w-2", number=2, status="completed", resourceRev=world.c().rev))
    world.put(second)
    drift = await world.drift(items=("w-1", "w-2"))
    assert (drift.work_item_id, drift.fields[0].winner) == ("w-2", "WORK_ITEM_IS_NEWER")
    assert world.c().status == "done"


async def test_one_that_was_made_for_a_re_opening_knew_it_and_closes_the_conversation() -> None:
    """The re-opening's event came; none of its work-item did, from the creation to the completion."""
    world = SweptWorld()
    first = work_item(2, status="completed", queuedCount=1)
    await world.take(event(at_start(conversation(1))), event(at_start(work_item(1, resourceRev=1))))
    completed = {"status": ("ivr", "completed"), "rev": (1, 2)}
    await world.take(event(at_start(first), changes=changes(completed)))
    assert world.c().status == "done"
    rev = world.c().rev + 1
    reopened = {"status": ("done", "open"), "rev": (rev - 1, rev)}
    await world.take(event(at_start(conversation(rev)), changes=changes(reopened)))
    world.put(at_start(work_item(3, key="w-2", number=2, status="completed", resourceRev=rev)))
    drift = await world.drift(items=("w-2",))
    assert (drift.work_item_id, drift.conversation_fields) == ("w-2", {"status": "done"})


async def test_an_active_work_item_of_a_lower_number_is_completed_with_its_conversation(world: SweptWorld) -> None:
    """Somebody activated it again by hand, after a later one: the state names that one."""
    later = at_start(work_item(1, key="w-2", number=2, status="completed", resourceRev=1))
    world.edit("c-1", 4, status="done", assignedUsers=["u-2"])
    await world.take(event(later))
    assert (world.store.state("c-1").work_item, world.w().active) == ("w-2", True)
    drift = await world.drift()
    assert (drift.kind, drift.work_item_id) == (DriftClass.CLOSED_CONVERSATION, "w-1")
    assert not world.w().active


async def test_a_lost_deletion_completes_the_work_item(world: SweptWorld) -> None:
    world.edit("c-1", 4, deleted=True)
    drift = await world.drift()
    assert drift.kind is DriftClass.CLOSED_CONVERSATION
    assert drift.work_item_fields == {"status": "completed"}
    assert not world.w().active


async def test_a_lost_deletion_whose_conversation_is_gone_completes_the_work_item(world: SweptWorld) -> None:
    world.store.remove_conversation("c-1")
    drift = await world.drift()
    assert drift.kind is DriftClass.CLOSED_CONVERSATION
    assert not world.w().active
    # No late event brings the conversation back.
    await world.take(assigned(3, ("u-1",), ("u-2",)))
    assert world.store.conversation("c-1") is None


async def test_an_active_work_item_of_a_conversation_that_never_was_is_told() -> None:
    world = SweptWorld().put(at_start(work_item(1)))
    for _ in range(2):
        [swept] = await world.sweep()
        assert (swept.drift.kind, swept.drift.end, swept.audit) == (DriftClass.NO_CONVERSATION, DriftEnd.TOLD, None)
    assert world.w().active


async def test_a_done_conversation_completes_its_work_item() -> None:
    world = SweptWorld().put(at_start(conversation(3, status="done")), at_start(work_item(2, status="queued")))
    drift = await world.drift()
    assert (drift.kind, drift.fields[0].field) == (DriftClass.CLOSED_CONVERSATION, "status")
    assert not world.w().active


@pytest.mark.parametrize("users", [["u-2"], []], ids=["another user", "nobody"])
async def test_a_conversation_changed_by_hand_keeps_the_change(world: SweptWorld, users: list[str]) -> None:
    """Neither revision nor time of writing moves."""
    world.edit("c-1", assignedUsers=users)
    drift = await world.drift()
    assert (drift.kind, drift.fields[0].winner) == (DriftClass.CHANGED_BY_HAND, "CONVERSATION_IS_NEWER")
    assert world.w().assigned_to == (users[0] if users else None)
    assert list(world.c().assigned_users) == users


async def test_a_work_item_changed_by_hand_keeps_the_change(world: SweptWorld) -> None:
    world.assign("u-2")
    drift = await world.drift()
    assert (drift.kind, drift.fields[0].winner) == (DriftClass.OUT_OF_STEP, "WORK_ITEM_IS_NEWER")
    assert world.c().assigned_users == ("u-2",)


async def test_a_restored_conversation_is_in_step_after_one_sweep(world: SweptWorld) -> None:
    await world.take(assigned(3, ("u-1",), ("u-2",)))
    world.age()
    assert world.w().assigned_to == "u-2"
    rev = world.w().rev
    world.put(at_start(conversation(2, users=("u-1",), queue="q-1")))
    drift = await world.drift()
    assert drift.kind is DriftClass.RESTORED
    assert (world.w().assigned_to, world.w().rev) == ("u-1", rev + 1)


async def test_a_restored_work_item_is_in_step_after_one_sweep(world: SweptWorld) -> None:
    rev = world.w().rev
    world.put(at_start(work_item(1, status="queued", queue="q-1", queuedCount=1, resourceRev=1)))
    drift = await world.drift()
    assert drift.kind is DriftClass.RESTORED
    # No revision is announced twice.
    assert (world.w().assigned_to, world.w().rev) == ("u-1", rev + 1)


@pytest.mark.parametrize("key", ["c-1", "w-1"])
async def test_a_pair_that_was_written_after_the_watermark_is_left_alone(world: SweptWorld, key: str) -> None:
    world.edit("c-1", 4, assignedUsers=["u-2"])
    world.edit(key, updatedAt=format_instant(WATERMARK))
    before = world.store.state("c-1"), world.c(), world.w()
    assert await world.sweep() == []
    assert world.left_alone == [("c-1", LeftAlone.WRITTEN)]
    assert (world.store.state("c-1"), world.c(), world.w()) == before
    assert len(await world.sweep(at=WATERMARK + timedelta(milliseconds=1))) == 1
    assert world.left_alone == []


async def test_a_pair_that_agrees_is_not_told_to_be_left_alone_while_its_event_is_in_flight(world: SweptWorld) -> None:
    world.edit("c-1", 4, name="n", updatedAt=format_instant(WATERMARK))
    assert await world.sweep() == []
    assert world.left_alone == []


async def test_a_restored_conversation_written_since_the_watermark_is_told_to_be_left_alone(world: SweptWorld) -> None:
    world.edit("c-1", 1, updatedAt=format_instant(WATERMARK))
    assert await world.sweep() == []
    assert world.left_alone == [("c-1", LeftAlone.WRITTEN)]


async def test_a_pair_that_waits_since_the_watermark_is_left_to_the_poll(world: SweptWorld) -> None:
    await world.take(event(at_start(work_item(9, status="queued", queue="q-1")), changes=changes({"priority": (1, 2)})))
    await world.take(assigned(3, ("u-1",), ("u-2",)))
    world.age()
    waiting = world.store.state("c-1").waiting
    assert waiting is not None
    assert await world.sweep(at=waiting.since) == []
    assert world.left_alone == [("c-1", LeftAlone.WAITS)]
    assert len(await world.sweep(at=waiting.since + timedelta(milliseconds=1))) == 1


async def test_a_sweep_without_repair_tells_the_plan_and_writes_nothing(world: SweptWorld) -> None:
    world.edit("c-1", 4, assignedUsers=["u-2"])
    before = world.stored()
    for _ in range(2):
        [swept] = await world.sweep(repair=False)
        assert swept.drift.end is DriftEnd.PLANNED
        assert (swept.drift.work_item_fields, swept.audit) == ({"assignedTo": "u-2"}, None)
    assert world.stored() == before


async def test_an_update_that_the_commands_refuse_is_told_each_time() -> None:
    world = await SweptWorld(rollout=EngineRollout(fields_max={UpdateOrigin.SYNC: 1})).agreed()
    world.edit("c-1", 4, assignedUsers=["u-2"], status="snoozed")
    for _ in range(2):
        [swept] = await world.sweep()
        assert (swept.drift.end, swept.drift.detail) == (DriftEnd.REFUSED, "TOO_MANY_FIELDS")
        assert swept.audit is not None
        assert swept.audit.outcome is AuditOutcome.REFUSED
    assert world.w().assigned_to == "u-1"


async def test_a_document_that_cannot_be_read_is_told_and_stops_no_other(world: SweptWorld) -> None:
    world.edit("c-1", 4, assignedUsers=["u-2"])
    world.store.put_conversation({"_id": "c-2", "rev": "seven"})
    swept = await world.sweep("c-2", "c-1")
    assert [(each.drift.conversation_id, each.drift.kind) for each in swept] == [
        ("c-2", DriftClass.UNREADABLE),
        ("c-1", DriftClass.OUT_OF_STEP),
    ]
    assert "c-2 in the store cannot be read" in (swept[0].drift.detail or "")


async def test_a_plan_that_the_store_rejects_is_told() -> None:
    world = await SweptWorld(lambda store: RejectingStore(store, "c-2")).agreed()
    world.put(at_start(conversation(2, key="c-2", status="done")), at_start(work_item(1, key="w-2", of="c-2")))
    [swept] = await world.sweep("c-2")
    assert (swept.drift.kind, swept.drift.end) == (DriftClass.UNREADABLE, DriftEnd.TOLD)


async def test_a_pair_that_meets_another_writer_is_looked_at_again() -> None:
    world: SweptWorld

    def another_writes() -> None:
        state = world.store.state("c-1")
        world.store.put_state("c-1", replace(state, version=state.version + 1))

    disturbances: dict[int, Any] = {}
    world = SweptWorld(lambda store: DisturbedStore(store, disturbances))
    await world.agreed()
    world.edit("c-1", 4, assignedUsers=["u-2"])
    disturbances[len(world.outer.commits) + 1] = another_writes  # type: ignore[attr-defined]
    drift = await world.drift()
    assert drift.end is DriftEnd.REPAIRED
    assert world.w().assigned_to == "u-2"
    world.edit("c-1", world.c().rev + 1, assignedUsers=["u-3"])
    disturbances.update(dict.fromkeys(range(1, 100), another_writes))
    assert await world.sweep() == []
    assert world.left_alone == [("c-1", LeftAlone.CONFLICTS)]


async def test_an_outside_write_in_the_dress_of_an_own_sync_is_found() -> None:
    """Its event is deleted unseen, for it says to be an own sync; so its revision was never observed."""
    world = await SweptWorld().agreed()
    dressed = {**assigned(3, ("u-1",), ("u-2",)), "isSync": True, "routingReasons": [{"action": "SYNC_X"}]}
    read = read_delivered(text(published(dressed)))
    assert isinstance(read, OwnSync)
    world.edit("c-1", rev=3, assignedUsers=["u-2"])
    drift = await world.drift()
    assert drift.end is DriftEnd.REPAIRED
    assert (world.c().assigned_users, world.w().assigned_to) == (("u-2",), "u-2")


async def test_a_pair_without_a_state_that_agrees_gets_none() -> None:
    world = SweptWorld().put(at_start(conversation(2)), at_start(work_item(1, queuedCount=1)))
    assert await world.sweep() == []
    assert world.store.state("c-1") == SyncState()
