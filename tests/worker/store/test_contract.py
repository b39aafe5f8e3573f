"""The contract of the port `Store` (handlers/ports.py), loading and committing: one suite for both stores.

Conditions, sessions and the outbox have suites of their own.
"""

from typing import Any

import pytest
from msgspec.structs import replace

from commands.context import RoutingQueue
from handlers.ports import CommitResult, DocumentWrite, LoadRequest, Pair, Plan
from sync.state.sync_state import DoneBy, RecordedWait, SyncState, ViewedValue, Waiting
from tests.worker.store.plans import (
    T0,
    announcement,
    changed,
    conversation,
    first_plan,
    held,
    in_queue,
    loaded,
    next_plan,
    session,
    state_plan,
    work_item,
)
from tests.worker.store.store_bench import Bench, everything
from worker.store.documents import Collection

COMMITTED, CONFLICT = CommitResult.COMMITTED, CommitResult.CONFLICT


# Load


async def test_no_request_loads_nothing(bench: Bench) -> None:
    assert await bench.store.load([]) == {}


async def test_a_missing_pair_is_loaded_empty(bench: Bench) -> None:
    load_request = LoadRequest(
        conversation_id="c1", work_item_ids=frozenset({"w1"}), users=frozenset({"u1"}), queues=frozenset({"q1"})
    )
    assert await bench.store.load([load_request]) == {"c1": Pair()}


async def test_a_pair_has_the_active_the_requested_and_the_named_work_item(bench: Bench) -> None:
    items = [work_item("w1", "c1", active=False), work_item("w2", "c1", active=False), work_item("w3", "c1")]
    await bench.put(work_items=[*items, work_item("w0", "c1", active=False), work_item("w4", "c2")])
    await bench.store.commit([state_plan(state=SyncState(version=1, work_item="w1"))])
    pairs = await bench.store.load([LoadRequest(conversation_id="c1", work_item_ids=frozenset({"w2"}))])
    assert pairs["c1"].work_items == tuple(items)


async def test_every_pair_has_the_queues_and_active_sessions_of_the_whole_batch(bench: Bench) -> None:
    queues = [
        RoutingQueue(id="q1", key="one", item_size=2, priority=5),
        RoutingQueue(id="q2"),
        RoutingQueue(id="q3"),
        RoutingQueue(id="q4"),
    ]
    sessions = [
        session("s1", "u1", work_items=(held("w1", 2),), paused_work_items=(held("w2"),), pending_item="w3"),
        session("s2", "u2"),
        replace(session("s3", "u1"), active=False),
        session("s4", "u4"),
    ]
    await bench.put(
        conversations=[in_queue(conversation("c1", assignedUsers=["u1"]), "q1"), conversation("c2")],
        work_items=[in_queue(work_item("w1", "c1"), "q2")],
        queues=queues,
        sessions=sessions,
    )
    requests = [
        LoadRequest(conversation_id="c1"),
        LoadRequest(conversation_id="c2", users=frozenset({"u2"}), queues=frozenset({"q3"})),
    ]
    pairs = await bench.store.load(requests)
    assert pairs["c1"].context == pairs["c2"].context
    assert pairs["c1"].context.queues == {queue.id: queue for queue in queues[:3]}
    assert pairs["c1"].context.sessions == {each.id: each for each in sessions[:2]}


@pytest.mark.parametrize(
    ("item_queue", "load_request", "context"),
    [
        pytest.param("q1", {"same_users_and_queues": True}, False, id="agreed"),
        pytest.param("q2", {"same_users_and_queues": True}, True, id="the work-item differs"),
        pytest.param("q1", {"same_users_and_queues": True, "queues": frozenset({"q2"})}, True, id="the events differ"),
        pytest.param(
            "q1", {"same_users_and_queues": True, "users": frozenset({"u1"})}, True, id="the events have an agent"
        ),
        pytest.param("q1", {"same_users_and_queues": False}, True, id="the events are not of one mind"),
    ],
)
async def test_pairs_that_agree_with_their_events_load_no_context(
    bench: Bench, item_queue: str, load_request: dict[str, Any], *, context: bool
) -> None:
    await bench.put(
        conversations=[in_queue(conversation("c1"), "q1")],
        work_items=[in_queue(work_item("w1", "c1"), item_queue)],
        queues=[RoutingQueue(id="q1"), RoutingQueue(id="q2")],
        sessions=[session("s1", "u1")],
    )
    request = LoadRequest(**{"conversation_id": "c1", "queues": frozenset({"q1"}), **load_request})
    assert bool((await bench.store.load([request]))["c1"].context.queues) is context


@pytest.mark.parametrize("status", ["wrap-up", "wrapUp", "assigned"])
async def test_the_sessions_of_an_agent_who_may_resume_are_loaded(bench: Bench, status: str) -> None:
    """Even where events and documents agree, and where the conversation has another agent."""
    item = work_item("w1", "c1", status=status)
    item["relationships"] = {"assignedTo": {"data": {"type": "user", "id": "u1"}}}
    for users in (["u1"], ["u2"]):
        await bench.put(
            conversations=[conversation(f"c-{users[0]}", assignedUsers=users)],
            work_items=[{**item, "_id": f"w-{users[0]}", "conversationId": f"c-{users[0]}"}],
        )
    await bench.put(sessions=[session("s1", "u1"), session("s2", "u2")])
    agreed = LoadRequest(conversation_id="c-u1", users=frozenset({"u1"}), same_users_and_queues=True)
    of_another = LoadRequest(conversation_id="c-u2", users=frozenset({"u2"}), same_users_and_queues=True)
    sessions = [
        (await bench.store.load([request]))[request.conversation_id].context for request in (agreed, of_another)
    ]
    found = [sorted(context.sessions) for context in sessions]
    assert found == ([["s1"], ["s1", "s2"]] if status != "assigned" else [[], ["s2"]])


async def test_a_state_is_loaded_as_it_was_written(bench: Bench) -> None:
    state = SyncState(
        version=1,
        conversation_observed=((1, 6), (8, 8)),
        work_item="w1",
        work_item_number=2,
        work_item_observed=((1, 2),),
        view={"assignee": ViewedValue(value=["u1"], rev=3), "queue": ViewedValue(value=None, rev=4)},
        changed={"status": 5},
        known={"ended": 6},
        known_at={"ended": 2},
        touched={"paused": 2},
        done_by=DoneBy(number=1, rev=5),
        waiting=Waiting(since=T0, conversation_rev=8, work_item_rev=2),
        recorded_wait=RecordedWait(id="w1:0:25", rev=2),
        conversation_floor=9,
        work_item_floor=3,
        deleted_rev=8,
    )
    assert await bench.store.commit([state_plan(state=state)]) == [COMMITTED]
    assert (await loaded(bench)).state == state
    later = replace(state, version=2, changed={}, waiting=None, recorded_wait=None)
    assert await bench.store.commit([state_plan(state=later)]) == [COMMITTED]
    assert (await loaded(bench)).state == later


# Commit


async def test_an_empty_plan_is_committed(bench: Bench) -> None:
    before = await everything(bench)
    assert await bench.store.commit([]) == []
    assert await bench.store.commit([Plan(conversation_id="c1")]) == [COMMITTED]
    assert await everything(bench) == before


async def test_a_new_pair_is_written_with_all_its_records(bench: Bench) -> None:
    await bench.put(sessions=[session("s1", "u1")])
    assert await bench.store.commit([first_plan()]) == [COMMITTED]
    pair = await loaded(bench)
    assert pair.conversation == conversation("c1")
    assert pair.work_items == (work_item("w-c1", "c1"),)
    assert pair.state.version == 1
    assert await bench.session("s1") == session("s1", "u1", work_items=(held("w-c1"),))
    assert await bench.documents(Collection.WORK_ITEM_REVISIONS) == [{"_id": "w-c1:1", "workItemId": "w-c1"}]
    assert await bench.documents(Collection.OUTBOX) == [
        {
            "_id": "a-c1-1",
            "conversationId": "c1",
            "side": "work-item",
            "message": "{}",
            "createdAt": T0,
            "status": "waiting",
        }
    ]


async def test_a_plan_that_writes_without_a_state_is_a_defect(bench: Bench) -> None:
    plan = Plan(conversation_id="c1", announcements=(announcement("a1"),))
    with pytest.raises(ValueError, match="c1 writes and leaves the sync state"):
        await bench.store.commit([plan])


async def test_a_change_sets_the_changed_paths_and_keeps_other_writers_fields(bench: Bench) -> None:
    await bench.store.commit([first_plan()])
    pair = await loaded(bench)
    assert pair.conversation is not None
    # A write of another service that does not raise the revision.
    await bench.put(conversations=[{**pair.conversation, "note": "kept", "attributes": {"status": "open", "tag": 1}}])
    assert await bench.store.commit([next_plan(pair)]) == [COMMITTED]
    assert (await loaded(bench)).conversation == {
        **conversation("c1", rev=2, status="snoozed", tag=1),
        "note": "kept",
    }


async def test_a_removed_attribute_is_unset(bench: Bench) -> None:
    before = {**in_queue(conversation("c1", name="n", ended=True), "q1"), "old": 1}
    after = {**changed(before, name=None), "relationships": {}}
    del after["old"]
    await bench.put(conversations=[before])
    write = DocumentWrite(before=before, after=after)
    assert await bench.store.commit([state_plan(conversation=write)]) == [COMMITTED]
    assert await bench.documents(Collection.CONVERSATIONS) == [after]


@pytest.mark.parametrize("names", [("a.b", "$c"), ("", "d"), ("$set", "a.b.c"), ("$id", "e")], ids=str)
async def test_a_name_that_a_path_cannot_spell_is_written(bench: Bench, names: tuple[str, str]) -> None:
    custom: dict[str, Any] = {names[0]: {names[1]: [{names[0]: 1}]}}
    before = conversation("c1", **custom)
    assert await bench.store.commit([state_plan(conversation=DocumentWrite(before=None, after=before))]) == [COMMITTED]
    after = changed(before, **{names[0]: 2, names[1]: {names[0]: 3}})
    write = DocumentWrite(before=before, after=after)
    assert await bench.store.commit([state_plan(version=2, conversation=write)]) == [COMMITTED]
    gone = changed(after, **dict.fromkeys(names))
    write = DocumentWrite(before=after, after=gone)
    assert await bench.store.commit([state_plan(version=3, conversation=write)]) == [COMMITTED]
    assert await bench.documents(Collection.CONVERSATIONS) == [conversation("c1", rev=3)]
