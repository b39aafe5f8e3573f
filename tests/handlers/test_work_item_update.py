"""An update by a client of the API: its write, its state, its event when it comes back, its refusals and its faults."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from commands.context import RoutingQueue
from commands.engines.rollout import EngineRollout, UpdateOrigin
from commands.reason import ReasonCode, Refusal, RefusalCode
from commands.update import parse_update
from commands.work_item import Status
from handlers.documents.document import document_from_snapshot
from handlers.options import Options
from handlers.planning.planners.update import (
    FailedUpdate,
    NoWorkItem,
    RefusedUpdate,
    UpdatedWorkItem,
    UpdateRequest,
    UpdateResult,
)
from handlers.ports import CommitResult, Plan, PlanRejected, Store, StoreAway
from handlers.work_item_update import WorkItemUpdate
from sync.audit import AuditOutcome
from tests.handlers.small_ports import FixedChance
from tests.handlers.wire_events import ORG, Json, changes, conversation, event, link, read, work_item
from tests.handlers.world import (
    EITHER_POLICY,
    AwayStore,
    DisturbedStore,
    LosingStore,
    RejectingStore,
    World,
    WrappedStore,
    code_of,
)
from worker.store.documents import Collection
from worker.store.memory.work_items import MemoryWorkItems


def request(raw: Json, *, key: str = "w-1", origin: UpdateOrigin = UpdateOrigin.API) -> UpdateRequest:
    update = parse_update(raw)
    assert not isinstance(update, Refusal), update
    return UpdateRequest(work_item_id=key, update=update, origin=origin, client="crm")


def queue(key: str, name: str) -> RoutingQueue:
    return RoutingQueue(id=key, key=name)


class GoneStore(WrappedStore):
    """A store that goes away in the middle of every commit, whose plans get the result `missing`."""

    def __init__(self, inner: Store, missing: CommitResult) -> None:
        super().__init__(inner)
        self.missing = missing

    async def commit(self, plans: Sequence[Plan]) -> Sequence[CommitResult | PlanRejected]:
        return [self.missing for _ in plans]


async def update(
    world: World,
    raw: Json,
    *,
    org: str | None = None,
    rollout: EngineRollout | None = None,
    waiting_times: bool = False,
    **more: Any,
) -> UpdateResult:
    queues: dict[tuple[str, str | None], str] = {("chat", ORG): "q-1", ("chat", "org-2"): "q-2"}
    use_case = WorkItemUpdate(
        store=world.outer,
        work_items=MemoryWorkItems(world.store, queues),
        clock=world.clock,
        ids=world.ids,
        chance=FixedChance(),
        options=Options(waiting_times=waiting_times, rollout=rollout or EngineRollout()),
    )
    return await use_case.handle(request(raw, **more), org=org)


def a_world(wrapped: Callable[[Store], Store] | None = None, **options: Any) -> World:
    """A queued work-item whose pair agrees and was observed before."""
    world = World(wrapped, **options)
    return world.put(conversation(3, queue="q-1"), work_item(3, queue="q-1", status="queued", queuedCount=1))


async def observed(world: World) -> World:
    """The world after the pair's last events were handled."""
    await world.take(event(conversation(3, queue="q-1")), event(work_item(3, queue="q-1", status="queued")))
    return world


class TestItIsWritten:
    async def test_the_work_item_its_session_and_its_event_are_written_together(self) -> None:
        world = a_world()
        result = await update(world, {"assignedTo": "u-1"})
        assert isinstance(result, UpdatedWorkItem)
        item = world.w()
        assert (item.status, item.assigned_to, item.rev) == (Status.ASSIGNED, "u-1", 4)
        assert result.document == world.store.work_item("w-1")
        assert world.places() == world.places_said() != set()
        [message] = world.announced()
        body = message["body"]
        assert (body["name"], body["isSync"], body["client"]) == ("kustomer.work-item.update", False, "routing-worker")
        assert body["data"]["attributes"]["rev"] == 4
        [reason] = body["routingReasons"]
        assert (reason["action"], reason["code"]) == ("UPDATE_COMMAND", "WORK_ITEM_UPDATE_CMD")
        assert reason["meta"]["data"] == {"assignedTo": "u-1", "rev": 3}
        assert [entry.id for entry in result.announcements] == [message["id"]]

    async def test_the_wait_that_it_ends_is_recorded_with_it_and_needs_no_event(self) -> None:
        world = World()
        entered = {"enteredQueueAt": "2023-11-14T22:13:10.000Z"}
        item = work_item(3, queue="q-1", status="queued", queuedCount=1, lastRevision=entered)
        world.put(conversation(3, queue="q-1"), item)
        await update(world, {"routed": {"to": "u-1"}}, origin=UpdateOrigin.ROUTER, waiting_times=True)
        [wait] = world.store.documents(Collection.WAITS)
        passed_ms = round((world.clock.now() - wait["enteredQueueAt"]).total_seconds() * 1_000)
        assert (wait["queue"], wait["workItemId"], wait["rev"]) == ("q-1", "w-1", 4)
        assert wait["durationMs"] == passed_ms > 0

    async def test_no_wait_is_recorded_where_waiting_times_are_off(self) -> None:
        world = a_world()
        await update(world, {"routed": {"to": "u-1"}}, origin=UpdateOrigin.ROUTER)
        assert not world.store.documents(Collection.WAITS)

    async def test_the_event_names_the_conversation_revision_that_the_client_sent(self) -> None:
        world = a_world()
        await update(world, {"assignedTo": "u-1", "resource": {"id": "c-1", "rev": 3}})
        [message] = world.announced()
        assert message["body"]["routingReasons"][0]["meta"]["data"]["resource"] == {"rev": 3}
        assert read(message).known_conversation_rev == 3

    async def test_the_audit_says_who_changed_what_and_from_where(self) -> None:
        result = await update(a_world(), {"assignedTo": "u-1", "paused": True}, origin=UpdateOrigin.ROUTER)
        assert isinstance(result, UpdatedWorkItem)
        wire = result.audit.as_wire()
        assert (wire["trigger"], wire["client"], wire["outcome"], wire["event"]) == ("api", "crm", "applied", None)
        assert wire["updatedWorkItem"] == {"assignedTo": "u-1", "paused": True, "rev": 3}
        assert wire["before"]["workItem"] | {"queue": None} == {
            "status": "queued", "assignedTo": None, "queue": None, "paused": False, "routedTo": None,
        }  # fmt: skip
        assert wire["command"]["origin"] == "router"
        assert (wire["conversationId"], wire["conversationRev"], wire["workItemRev"]) == ("c-1", 3, 3)

    async def test_an_update_that_changes_nothing_writes_nothing(self) -> None:
        world = a_world()
        before = world.stored()
        result = await update(world, {"paused": False})
        assert isinstance(result, UpdatedWorkItem)
        assert (result.document, result.announcements) == (world.store.work_item("w-1"), ())
        assert (result.audit.outcome, world.stored()) == (AuditOutcome.SKIPPED, before)

    async def test_a_queue_key_is_that_of_the_work_items_org(self) -> None:
        world = a_world()
        world.store.put_queue(queue("q-1", "chat"))
        world.store.put_queue(queue("q-2", "chat"))
        await update(world, {"queue": None})
        await update(world, {"queue": {"key": "chat"}})
        assert (world.w().queue, world.w().status) == ("q-1", Status.QUEUED)

    async def test_a_revision_above_all_that_were_announced_is_taken_after_a_restore(self) -> None:
        world = await observed(a_world())
        await update(world, {"assignedTo": "u-1"})
        await update(world, {"assignedTo": "u-2"})
        world.put(work_item(3, queue="q-1", status="queued", queuedCount=1))
        await update(world, {"assignedTo": "u-1"})
        assert world.w().rev == 6


class TestItsEventComesBack:
    @EITHER_POLICY
    @pytest.mark.parametrize("seen_before", [True, False])
    @pytest.mark.parametrize("knew", [{}, {"resource": {"rev": 3}}], ids=["says nothing", "knew the conversation"])
    async def test_the_conversation_is_synced_then_and_once(self, policy: Any, seen_before: bool, knew: Json) -> None:
        world = a_world(policy=policy)
        if seen_before:
            await observed(world)
        await update(world, {"assignedTo": "u-1", **knew})
        assert world.c().assigned_users == ()
        [message] = world.announced()
        first = await world.one(message)
        assert (first.audit.outcome, world.c().assigned_users, world.c().rev) == (AuditOutcome.APPLIED, ("u-1",), 4)
        again = await world.one(message)
        assert code_of(again) == "IN_SYNC"
        assert (world.c().rev, world.w().rev) == (4, 4)

    async def test_the_state_has_taken_it_in_already(self) -> None:
        world = await observed(a_world())
        await update(world, {"assignedTo": "u-1"})
        state = world.store.state("c-1")
        assert state.work_item_observed[-1][1] == 4
        assert state.touched == {"assignee": 4}
        [message] = world.announced()
        # A conversation that is only read: nothing is left to sync, and the event adds nothing to the state.
        world.put(conversation(3, queue="q-1", users=("u-1",)))
        await world.one(message)
        after = world.store.state("c-1")
        assert (after.work_item_observed, after.touched) == (state.work_item_observed, state.touched)

    async def test_an_assignment_that_knew_no_later_one_of_the_conversation_gives_way(self) -> None:
        """The conversation is the source of truth if neither side knew of the other's write."""
        world = await observed(a_world())
        assigned = event(
            conversation(4, queue="q-1", users=("u-2",)), changes=changes({"assignedUsers": ([], ["u-2"])})
        )
        world.put(conversation(4, queue="q-1", users=("u-2",)))
        await update(world, {"assignedTo": "u-1"})
        [message] = world.announced()
        for thing in (message, assigned):
            await world.one(thing)
        assert (world.c().assigned_users, world.w().assigned_to) == (("u-2",), "u-2")


class TestItIsRefused:
    async def test_another_revision_than_the_client_named(self) -> None:
        world = a_world()
        result = await update(world, {"assignedTo": "u-1", "rev": 2})
        assert isinstance(result, RefusedUpdate)
        assert (result.refusal.code, result.audit.outcome) == (RefusalCode.REVISION_CONFLICT, AuditOutcome.REFUSED)
        assert world.w().rev == 3

    async def test_a_completed_work_item(self) -> None:
        world = World().put(conversation(), work_item(2, status="completed"))
        result = await update(world, {"paused": True})
        assert isinstance(result, RefusedUpdate)
        assert result.refusal.code is RefusalCode.WORK_ITEM_COMPLETED

    async def test_more_fields_than_the_origin_may_send(self) -> None:
        rollout = EngineRollout(fields_max={UpdateOrigin.API: 1})
        both = {"assignedTo": "u-1", "paused": True}
        refused = await update(a_world(), both, rollout=rollout)
        assert isinstance(refused, RefusedUpdate)
        assert refused.refusal.code is RefusalCode.TOO_MANY_FIELDS
        assert isinstance(await update(a_world(), both, rollout=rollout, origin=UpdateOrigin.ROUTER), UpdatedWorkItem)

    async def test_an_unknown_key_of_a_queue(self) -> None:
        result = await update(a_world(), {"queue": {"key": "unheard-of"}})
        assert isinstance(result, RefusedUpdate)
        assert result.refusal.code is RefusalCode.UNKNOWN_QUEUE

    async def test_a_work_item_that_is_not_stored_or_of_another_org(self) -> None:
        assert isinstance(await update(a_world(), {"paused": True}, key="w-9"), NoWorkItem)
        assert isinstance(await update(a_world(), {"paused": True}, org="org-2"), NoWorkItem)
        assert isinstance(await update(a_world(), {"paused": True}, org=ORG), UpdatedWorkItem)


class TestOthersWriteMeanwhile:
    def _assign_first(self, world: World) -> Callable[[], object]:
        after = work_item(4, queue="q-1", status="queued", queuedCount=1, priority=7)
        return lambda: world.store.put_work_item(document_from_snapshot(after, org=ORG, rev=4))

    async def test_it_is_executed_anew_on_what_they_wrote(self) -> None:
        world = a_world()
        world.outer = DisturbedStore(world.store, {1: self._assign_first(world)})
        result = await update(world, {"assignedTo": "u-1"})
        assert isinstance(result, UpdatedWorkItem)
        assert (world.w().rev, world.w().assigned_to, world.w().priority) == (5, "u-1", 7)
        assert len(world.announced()) == 1

    async def test_it_is_refused_if_it_named_the_revision(self) -> None:
        world = a_world()
        world.outer = DisturbedStore(world.store, {1: self._assign_first(world)})
        result = await update(world, {"assignedTo": "u-1", "rev": 3})
        assert isinstance(result, RefusedUpdate)
        assert result.refusal.code is RefusalCode.REVISION_CONFLICT
        assert (world.w().rev, world.w().assigned_to, world.announced()) == (4, None, [])

    async def test_it_is_written_if_it_named_the_revision_and_only_the_state_has_moved(self) -> None:
        world = a_world()
        before = world.store.state("c-1")
        world.outer = LosingStore(world.store, "c-1", times=2)
        result = await update(world, {"assignedTo": "u-1", "rev": 3})
        assert isinstance(result, UpdatedWorkItem)
        assert world.store.state("c-1").version == before.version + 1

    async def test_it_fails_after_so_many_tries(self) -> None:
        world = a_world()
        world.outer = LosingStore(world.store, "c-1", times=99)
        result = await update(world, {"assignedTo": "u-1"})
        assert isinstance(result, FailedUpdate)
        assert (result.code, result.audit.outcome) == (ReasonCode.CONFLICT, AuditOutcome.FAILED)
        assert len(world.clock.slept) == Options().conflict_attempts_max
        assert sorted(world.clock.slept) == world.clock.slept


class TestTheStore:
    @pytest.mark.parametrize("at", ["load", "commit"])
    async def test_it_is_away(self, at: str) -> None:
        world = a_world()
        world.outer = AwayStore(world.store, at)
        with pytest.raises(StoreAway):
            await update(world, {"assignedTo": "u-1"})

    @pytest.mark.parametrize("missing", [CommitResult.AWAY, CommitResult.TIMED_OUT])
    async def test_it_goes_away_in_the_middle(self, missing: CommitResult) -> None:
        world = a_world()
        world.outer = GoneStore(world.store, missing)
        with pytest.raises(StoreAway):
            await update(world, {"assignedTo": "u-1"})

    async def test_it_rejects_what_it_cannot_hold(self) -> None:
        world = a_world()
        world.outer = RejectingStore(world.store, "c-1")
        result = await update(world, {"assignedTo": "u-1"})
        assert isinstance(result, FailedUpdate)
        assert (result.code, result.detail) == (ReasonCode.PLAN_REJECTED, "17825792 bytes")

    @pytest.mark.parametrize("field", ["conversationId", "attributes"])
    async def test_it_holds_a_document_that_cannot_be_read(self, field: str) -> None:
        world = a_world()
        stored = world.store.work_item("w-1")
        assert stored is not None
        world.store.put_work_item({**stored, "active": False, field: 7})
        result = await update(world, {"assignedTo": "u-1"})
        assert isinstance(result, FailedUpdate)
        assert result.code is ReasonCode.STORED_DOCUMENT_UNREADABLE
        assert result.detail.startswith(f"w-1 in the store cannot be read: {field} is the number 7")

    async def test_a_write_that_the_worker_could_not_read_back_is_none(self) -> None:
        world = a_world()
        stored = world.store.work_item("w-1")
        assert stored is not None
        world.store.put_work_item({**stored, "active": False})
        world.store.put_work_item({**stored, "a.b": 1})
        result = await update(world, {"assignedTo": "u-1"})
        assert isinstance(result, FailedUpdate)
        assert "cannot be announced" in result.detail
        assert world.store.documents(Collection.OUTBOX) == ()


async def test_a_work_item_of_something_else_than_a_conversation_is_updated_and_not_observed() -> None:
    world = World()
    data = work_item(2, status="queued", queue="q-1", resourceType="email")
    data["relationships"]["resource"] = link("email", "e-1")
    world.put(data)
    assert isinstance(await update(world, {"assignedTo": "u-1"}), UpdatedWorkItem)
    assert world.store.state("e-1").work_item_observed == ()
