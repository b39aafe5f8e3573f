"""Creating work-items: which, when, and what is told of it."""

from typing import Any, Final

import pytest

from commands.work_item import Status
from handlers.events.event import Event
from handlers.options import PolicyInUse
from tests.handlers.planning.routing.routing_world import (
    come_back,
    created,
    created_documents,
    said,
    world_that_creates,
)
from tests.handlers.wire_events import Json, changes, conversation, event, read, work_item
from tests.handlers.world import EITHER_POLICY, code_of
from worker.store.documents import Collection

NOW: Final = "2024-05-06T07:09:09.250Z"
CREATED: Final = ("CREATE_WORK_ITEM", "CONVERSATION_ROUTABLE")


def links(document: Json) -> Json:
    return {name: value["data"]["id"] for name, value in document["relationships"].items() if name != "lastRevision"}


@EITHER_POLICY
class TestTheWorkItem:
    async def test_of_a_plain_conversation_is_ivr(self, policy: Any) -> None:
        world = world_that_creates(policy=policy)
        data = conversation(4, channels=["email"], direction="in", createdAt="2024-05-06T07:00:00.000Z")
        await world.one(event(data, "update"))
        [document] = created_documents(world)
        assert document["attributes"] == {
            "resourceType": "conversation",
            "status": "ivr",
            "paused": False,
            "channel": "email",
            "queuedCount": 0,
            "priority": 1,
            "itemSize": 1,
            "createdAt": NOW,
            "modifiedAt": NOW,
            "updatedAt": NOW,
            "resourceRev": 4,
            "resourceCreatedAt": "2024-05-06T07:00:00.000Z",
            "resourceDirection": "in",
            "rev": 1,
            "workItemNumber": 1,
            "ivr": {"enteredAt": NOW},
        }
        assert links(document) == {"org": "org-1", "resource": "c-1"}
        top = ("conversationId", "active", "workItemNumber", "org", "rev")
        assert [document[name] for name in top] == ["c-1", True, 1, "org-1", 1]
        assert document["links"] == {"self": f"/v1/routing/work-item/{document['_id']}"}

    async def test_of_one_with_a_queue_is_queued(self, policy: Any) -> None:
        world = world_that_creates(policy=policy)
        await world.one(event(conversation(queue="q-1", createdAt="2024-05-06T07:09:00.000Z")))
        [document] = created_documents(world)
        attributes = document["attributes"]
        assert (attributes["status"], attributes["queuedCount"]) == ("queued", 1)
        assert (attributes["itemSize"], attributes["priority"]) == (3, 7)
        assert (attributes["firstEnterQueueAt"], attributes["lastRevision"]) == (NOW, {"enteredQueueAt": NOW})
        assert attributes["resourceFirstQueueTime"] == 9_250
        assert "ivr" not in attributes
        [record] = world.store.documents(Collection.WORK_ITEM_REVISIONS)
        assert record["_id"] == f"{document['_id']}:1"
        assert record["revisionId"] == document["relationships"]["lastRevision"]["data"]["id"]

    @pytest.mark.parametrize("queue", [None, "q-2"])
    async def test_of_one_with_a_user_is_assigned_and_takes_their_session(self, policy: Any, queue: str | None) -> None:
        world = world_that_creates(policy=policy)
        await world.one(event(conversation(users=("u-1", "u-2"), queue=queue)))
        item = created(world)
        assert (item.status, item.assigned_to, item.accepted_by) == (Status.ASSIGNED, "u-1", "u-1")
        assert (item.session, item.queue, item.queued_count) == ("s-1", queue, 0)
        assert item.last_revision is not None
        assert item.last_revision.accepted_at == world.clock.now()
        assert world.places() == world.places_said() != set()

    async def test_of_a_user_without_a_session_takes_none(self, policy: Any) -> None:
        world = world_that_creates(policy=policy)
        await world.one(event(conversation(users=("u-3",))))
        assert (created(world).assigned_to, created(world).session) == ("u-3", None)
        assert world.c().assigned_users == ("u-3",)

    async def test_has_the_number_after_the_last(self, policy: Any) -> None:
        world = world_that_creates(policy=policy, state_from_events=False)
        old = work_item(9, number=4, status="completed", updatedAt="2024-01-01T00:00:00.000Z")
        world.put(conversation(7), old, work_item(3, key="w-2", number=3, status="completed"))
        await world.one(event(conversation(7)))
        assert created(world).number == 5

    async def test_has_the_number_after_the_last_where_the_store_learns_of_the_re_opening_by_the_event(
        self, policy: Any
    ) -> None:
        """The sync state of the pair, which named the last one, has expired."""
        world = world_that_creates(policy=policy)
        old = "2024-01-01T00:00:00.000Z"
        closed = conversation(6, status="done", updatedAt=old)
        world.put(closed, work_item(9, number=4, status="completed", updatedAt=old))
        await world.one(event(conversation(7), changes=changes({"status": ("done", "open"), "rev": (6, 7)})))
        assert created(world).number == 5


@EITHER_POLICY
class TestWhen:
    @pytest.mark.parametrize(
        "data",
        [
            conversation(3, status="done"),
            conversation(3, status="snoozed"),
            conversation(3, ended=True),
            conversation(3, deleted=True),
        ],
        ids=["done", "snoozed", "ended", "deleted"],
    )
    async def test_no_work_item_for_a_conversation_that_needs_none(self, policy: Any, data: Json) -> None:
        world = world_that_creates(policy=policy)
        world.put(data)
        await world.one(event(data, "update"))
        assert created_documents(world) == []

    async def test_none_beside_an_active_one(self, policy: Any) -> None:
        world = world_that_creates(policy=policy)
        world.put(conversation(), work_item())
        await world.one(event(conversation(2), at=1))
        assert created_documents(world) == []

    async def test_none_while_it_is_off(self, policy: Any) -> None:
        world = world_that_creates(policy=policy, create_work_items=False)
        end = await world.one(event(conversation()))
        assert code_of(end) == "NO_ACTIVE_WORK_ITEM"
        assert created_documents(world) == []

    async def test_none_for_a_sync(self, policy: Any) -> None:
        world = world_that_creates(policy=policy)
        assert code_of(await world.one(event(conversation(2), isSync=True))) == "IS_SYNC"
        assert created_documents(world) == []

    async def test_none_for_an_unsupported_event(self, policy: Any) -> None:
        world = world_that_creates(policy=policy).put(conversation(2))
        assert code_of(await world.one(event(conversation(2), "merge"))) == "UNSUPPORTED_EVENT"
        assert created_documents(world) == []

    async def test_none_for_a_stale_event(self, policy: Any) -> None:
        """The event of the stored revision is on its way."""
        world = world_that_creates(policy=policy).put(conversation(5))
        await world.one(event(conversation(4)))
        assert created_documents(world) == []
        await world.one(event(conversation(5), at=1))
        assert created(world).resource_rev == 5

    async def test_none_where_the_conversation_is_gone(self, policy: Any) -> None:
        world = world_that_creates(policy=policy, state_from_events=False)
        assert code_of(await world.one(event(conversation(2)))) == "NO_CONVERSATION"
        assert created_documents(world) == []

    async def test_several_events_of_a_batch_make_one(self, policy: Any) -> None:
        world = world_that_creates(policy=policy)
        ends = await world.take(*(event(conversation(rev), at=rev) for rev in (1, 2, 3)))
        assert [code_of(end) for end in ends].count("APPLIED") == 1
        assert created(world).number == 1

    async def test_a_snoozed_conversation_gets_it_when_it_is_opened(self, policy: Any) -> None:
        world = world_that_creates(policy=policy)
        await world.one(event(conversation(1, status="snoozed")))
        assert created_documents(world) == []
        await world.one(event(conversation(2), at=1))
        assert created(world).resource_rev == 2


@EITHER_POLICY
class TestWhatIsTold:
    async def test_the_announcement_is_a_create_and_no_sync(self, policy: Any) -> None:
        world = world_that_creates(policy=policy)
        await world.one(event(conversation(3, queue="q-1"), "update", client="app"))
        [message] = world.announced()
        body, [document] = message["body"], created_documents(world)
        assert message["name"] == body["name"] == "kustomer.work-item.create"
        assert (body["isSync"], body["changes"], body["client"]) == (False, None, "routing-worker")
        assert (body["org"], body["partition"]) == ("org-1", "partition-1")
        assert body["data"]["id"] == document["_id"]
        assert body["data"]["attributes"] == document["attributes"]
        assert body["routingReasons"] == [
            {"action": "CREATE_WORK_ITEM", "code": "CONVERSATION_ROUTABLE", "meta": {"conversationRev": 3}}
        ]
        back = read(message)
        assert isinstance(back, Event)
        assert (back.known_conversation_rev, back.is_sync, back.creation) == (3, False, True)

    async def test_the_audit_line_has_the_new_work_item(self, policy: Any) -> None:
        world = world_that_creates(policy=policy)
        end = await world.one(event(conversation(3, users=("u-1",), queue="q-2"), "update"))
        assert (code_of(end), end.audit.outcome.value, end.audit.direction) == ("APPLIED", "applied", None)
        assert said(end) == [CREATED]
        assert end.audit.work_item_id == created(world).id
        assert end.audit.updated_work_item == {
            "status": "assigned",
            "assignedTo": "u-1",
            "queue": {"id": "q-2"},
            "rev": 0,
        }
        assert end.audit.before == {"conversation": None, "workItem": None}
        assert (end.audit.updated_conversation, end.audit.command) == (None, None)
        assert [each.id for each in end.announcements] == [message["id"] for message in world.announced()]

    async def test_what_comes_back_is_a_duplicate(self, policy: Any) -> None:
        world = world_that_creates(policy=policy)
        await world.one(event(conversation(3, users=("u-1",), queue="q-2"), "update"))
        ends = await come_back(world)
        assert {code_of(end) for end in ends} == {"IN_SYNC"}

    async def test_so_it_is_after_the_pair_went_on(self, policy: Any) -> None:
        world = world_that_creates(policy=policy)
        await world.one(event(conversation(3)))
        [message] = world.announced()
        await world.one(event(conversation(4, users=("u-1",)), at=1, **_assigned()))
        assert created(world).assigned_to == "u-1"
        await world.one(message)
        assert (created(world).assigned_to, world.c().assigned_users) == ("u-1", ("u-1",))


def _assigned() -> Json:
    changed = {"assignedUsers": {"op": "replace", "before": [], "after": ["u-1"]}}
    return {"changes": {"attributes": changed, "relationships": {}}}


async def test_under_shadow_it_creates_as_under_legacy() -> None:
    world = world_that_creates(policy=PolicyInUse.SHADOW)
    assert code_of(await world.one(event(conversation()))) == "APPLIED"
    assert created(world).status is Status.IVR


@EITHER_POLICY
async def test_after_a_work_item_that_cannot_be_read_none_is_made(policy: Any) -> None:
    world = world_that_creates(policy=policy, state_from_events=False)
    world.put(conversation(7), work_item(9, status="completed", workItemNumber="four"))
    [end] = await world.take(event(conversation(7)))
    assert code_of(end) == "STORED_DOCUMENT_UNREADABLE"
    assert created_documents(world) == []
