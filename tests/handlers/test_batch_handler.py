"""A batch on the store in memory, under either policy: each gate by its code, and the documents after a sync."""

import pytest
from msgspec import Struct

from commands.instant import format_instant, parse_instant
from handlers.options import PolicyInUse
from handlers.outcome import Done
from sync.audit import AuditOutcome
from tests.handlers.wire_events import Json, changes, conversation, event, work_item
from tests.handlers.world import EITHER_POLICY, World, code_of
from worker.store.documents import Collection


class GateCase(Struct, frozen=True):
    code: str
    stored: tuple[Json, ...]
    event: Json


GATES = {
    "unsupported-name-of-a-conversation": GateCase(
        "UNSUPPORTED_EVENT",
        (conversation(2), work_item(2, user="u-1")),
        {**event(conversation(3, users=("u-2",))), "name": "kustomer.conversation.merged"},
    ),
    "unsupported-name-of-a-work-item": GateCase(
        "UNSUPPORTED_EVENT",
        (conversation(2), work_item(2)),
        {**event(work_item(3, user="u-2")), "name": "kustomer.work-item.delete"},
    ),
    "a-sync-of-a-conversation": GateCase(
        "IS_SYNC", (conversation(3, users=("u-1",)), work_item(2)), event(conversation(3, users=("u-1",)), isSync=True)
    ),
    "a-sync-of-a-work-item": GateCase(
        "IS_SYNC", (conversation(2), work_item(3, user="u-1")), event(work_item(3, user="u-1"), isSync=True)
    ),
    "a-sync-before-no-conversation": GateCase("IS_SYNC", (), event(work_item(3, user="u-1"), isSync=True)),
    "no-conversation": GateCase("NO_CONVERSATION", (), event(work_item(3, user="u-1"))),
    "no-conversation-before-stale": GateCase("NO_CONVERSATION", (work_item(9),), event(work_item(3, user="u-1"))),
    "no-work-item": GateCase("NO_ACTIVE_WORK_ITEM", (), event(conversation(3, users=("u-1",)))),
    "no-work-item-before-stale": GateCase("NO_ACTIVE_WORK_ITEM", (conversation(9),), event(conversation(3))),
    "a-completed-one-on-the-conversations-event": GateCase(
        "NO_ACTIVE_WORK_ITEM", (conversation(3), work_item(3, status="completed")), event(conversation(3))
    ),
    "a-completed-one-whose-conversation-is-done": GateCase(
        "NO_ACTIVE_WORK_ITEM", (conversation(3, status="done"),), event(work_item(3, status="completed"))
    ),
    "a-completed-one-whose-conversation-is-deleted": GateCase(
        "NO_ACTIVE_WORK_ITEM", (conversation(3, deleted=True),), event(work_item(3, status="completed"))
    ),
    "stale-conversation": GateCase(
        "STALE_REV", (conversation(4), work_item(2)), event(conversation(3, users=("u-1",), status="done"))
    ),
    "stale-work-item": GateCase("STALE_REV", (conversation(4), work_item(4)), event(work_item(3, user="u-1"))),
    "stale-completion": GateCase("STALE_REV", (conversation(4), work_item(4)), event(work_item(3, status="completed"))),
    "in-sync-conversation": GateCase(
        "IN_SYNC",
        (conversation(3, users=("u-1",)), work_item(2, user="u-1")),
        event(conversation(3, users=("u-1",))),
    ),
    "in-sync-work-item": GateCase("IN_SYNC", (conversation(3), work_item(2)), event(work_item(2))),
}


@EITHER_POLICY
@pytest.mark.parametrize("gate", GATES.values(), ids=GATES.keys())
async def test_gate(gate: GateCase, policy: PolicyInUse) -> None:
    world = World(policy=policy).put(*gate.stored)
    end = await world.one(gate.event)
    assert end.outcome == Done(reason=gate.code)
    assert end.audit.outcome is AuditOutcome.SKIPPED
    assert [reason.as_wire() for reason in end.audit.reasons] == [
        {"action": "SKIP_SYNC", "code": gate.code, "meta": {}}
    ]
    assert (end.audit.direction, end.audit.updated_conversation, end.audit.updated_work_item) == (None, None, None)
    assert end.announcements == ()
    assert world.announced() == []


@EITHER_POLICY
@pytest.mark.parametrize("gate", GATES.values(), ids=GATES.keys())
async def test_whatever_the_gate_the_revision_is_observed(gate: GateCase, policy: PolicyInUse) -> None:
    world = World(policy=policy).put(*gate.stored)
    end = await world.one(gate.event)
    state = world.store.state("c-1")
    side = end.event.side
    observed = state.conversation_observed if side == "conversation" else state.work_item_observed
    assert any(low <= end.event.rev <= high for low, high in observed)


async def test_an_unsupported_event_leaves_the_documents_alone() -> None:
    for name in ("unsupported-name-of-a-conversation", "unsupported-name-of-a-work-item"):
        world = World().put(*GATES[name].stored)
        before = world.stored()
        await world.one(GATES[name].event)
        assert {**world.stored(), Collection.SYNC_STATES: ()} == before


@EITHER_POLICY
async def test_a_sync_is_read_again_as_our_own_with_the_revision_it_knew(policy: PolicyInUse) -> None:
    world = World(policy=policy).put(conversation(4, users=("u-1",)), work_item(7))
    await world.one(event(conversation(4, users=("u-1",))))
    other = World(policy=policy, own_syncs_stored=False).put(conversation(4, users=("u-1",)), work_item(7))
    end = await other.one(world.announced()[0])
    assert end.event.is_own_sync
    assert end.event.known_conversation_rev == 4
    assert code_of(end) == "IS_SYNC"
    assert other.w() == world.w()


@EITHER_POLICY
async def test_all_fields_go_into_one_write_and_one_announcement(policy: PolicyInUse) -> None:
    snapshot = conversation(4, users=("u-1",), queue="q-2", status="snoozed")
    world = World(policy=policy).put(snapshot, work_item(7, status="queued", queue="q-1"))
    end = await world.one(event(snapshot))
    assert {reason.meta["rule"] for reason in end.audit.reasons} == {"B1", "B4", "B8"}
    assert end.audit.updated_work_item == {"assignedTo": "u-1", "queue": {"id": "q-2"}, "paused": True, "rev": 7}
    item = world.w()
    assert (item.rev, item.status, item.queue, item.assigned_to, item.paused) == (8, "assigned", "q-2", "u-1", True)
    assert len(world.announced()) == 1


@EITHER_POLICY
async def test_the_state_after_a_sync(policy: PolicyInUse) -> None:
    snapshot = conversation(4, users=("u-1",))
    world = World(policy=policy).put(snapshot, work_item(7, queue="q-1"))
    await world.one(event(snapshot, changes=changes({"assignedUsers": ([], ["u-1"])})))
    state = world.store.state("c-1")
    assert state.version == 1
    assert state.conversation_observed == ((4, 4),)
    assert (state.work_item, state.work_item_number, state.work_item_observed) == ("w-1", 1, ((8, 8),))
    assert state.changed == {"assignee": 4}
    # Legacy has no rule for the queue of an item in ivr: the sides agree on every other field, and the queue stays.
    agreed = ("assignee", "status", "ended", "paused", *(("queue",) if policy is PolicyInUse.CAUSAL else ()))
    assert state.known == dict.fromkeys(agreed, 4)
    assert state.known_at == dict.fromkeys(agreed, 8)
    assert {name: (seen.value, seen.rev) for name, seen in state.view.items()} == {
        "assignee": (["u-1"], 4),
        "queue": (None, 4),
        "status": (False, 4),
        "ended": (False, 4),
        "paused": (False, 4),
    }


@EITHER_POLICY
async def test_the_revision_record_of_a_pass_that_changed(policy: PolicyInUse) -> None:
    data = work_item(7, status="queued", queue="q-1", lastRevision={"enteredQueueAt": "2024-05-06T07:00:00.000Z"})
    data["relationships"]["lastRevision"] = {"data": {"type": "work_item_revision", "id": "r-1"}}
    snapshot = conversation(4, users=("u-1",), queue="q-1")
    world = World(policy=policy).put(snapshot, data)
    await world.one(event(snapshot))
    [record] = world.store.documents(Collection.WORK_ITEM_REVISIONS)
    now = format_instant(world.clock.now())
    assert record == {
        "_id": "w-1:8",
        "workItemId": "w-1",
        "conversationId": "c-1",
        "org": "org-1",
        "rev": 8,
        "revisionId": "r-1",
        "lastRevision": {
            "enteredQueueAt": "2024-05-06T07:00:00.000Z",
            "queueTime": 549_250,
            "queueBusinessTime": 549_250,
            "acceptedAt": now,
        },
        "updatedAt": now,
        # A date of BSON's precision, by which MongoDB expires the record.
        "createdAt": parse_instant(now),
    }


async def test_an_empty_batch() -> None:
    assert await World().take() == []
