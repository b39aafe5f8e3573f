"""What both stores promise, in one suite for the two of them (handlers/ports.py, worker/outbox.py)."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from commands.queue import Queue
from commands.session import Spot
from handlers.ports import Committed, DocumentWrite, Pair, Plan, PlanRejected, Want
from sync.state import SyncState, Viewed
from tests.worker.plans import (
    T0,
    announcement,
    changed,
    conversation,
    first_plan,
    held,
    in_queue,
    loaded,
    move,
    next_plan,
    place,
    session,
    state_plan,
    work_item,
)
from tests.worker.store_bench import Bench, everything, ids
from worker.collection import Collection
from worker.outbox import Backlog

COMMITTED, CONFLICT = Committed.COMMITTED, Committed.CONFLICT


# Load


async def test_to_want_nothing_is_to_load_nothing(bench: Bench) -> None:
    assert await bench.store.load([]) == {}


async def test_what_is_missing_makes_an_empty_pair(bench: Bench) -> None:
    want = Want(
        conversation_id="c1", work_item_ids=frozenset({"w1"}), users=frozenset({"u1"}), queues=frozenset({"q1"})
    )
    assert await bench.store.load([want]) == {"c1": Pair()}


async def test_a_pair_has_the_active_work_item_the_wanted_and_the_one_its_state_names(bench: Bench) -> None:
    items = [work_item("w1", "c1", active=False), work_item("w2", "c1", active=False), work_item("w3", "c1")]
    await bench.put(work_items=[*items, work_item("w0", "c1", active=False), work_item("w4", "c2")])
    await bench.store.commit([state_plan(state=SyncState(version=1, work_item="w1"))])
    pairs = await bench.store.load([Want(conversation_id="c1", work_item_ids=frozenset({"w2"}))])
    assert pairs["c1"].work_items == tuple(items)


async def test_the_queues_and_active_sessions_of_the_whole_batch_surround_every_pair(bench: Bench) -> None:
    queues = [Queue(id="q1", key="one", item_size=2, priority=5), Queue(id="q2"), Queue(id="q3"), Queue(id="q4")]
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
    wants = [
        Want(conversation_id="c1"),
        Want(conversation_id="c2", users=frozenset({"u2"}), queues=frozenset({"q3"})),
    ]
    pairs = await bench.store.load(wants)
    assert pairs["c1"].around == pairs["c2"].around
    assert pairs["c1"].around.queues == {queue.id: queue for queue in queues[:3]}
    assert pairs["c1"].around.sessions == {each.id: each for each in sessions[:2]}


@pytest.mark.parametrize(
    ("item_queue", "want", "around"),
    [
        pytest.param("q1", {"unanimous": True}, False, id="agreed"),
        pytest.param("q2", {"unanimous": True}, True, id="the work-item differs"),
        pytest.param("q1", {"unanimous": True, "queues": frozenset({"q2"})}, True, id="the events differ"),
        pytest.param("q1", {"unanimous": True, "users": frozenset({"u1"})}, True, id="the events have an agent"),
        pytest.param("q1", {"unanimous": False}, True, id="the events are not of one mind"),
    ],
)
async def test_pairs_that_agree_with_their_events_need_no_surroundings(
    bench: Bench, item_queue: str, want: dict[str, Any], *, around: bool
) -> None:
    await bench.put(
        conversations=[in_queue(conversation("c1"), "q1")],
        work_items=[in_queue(work_item("w1", "c1"), item_queue)],
        queues=[Queue(id="q1"), Queue(id="q2")],
        sessions=[session("s1", "u1")],
    )
    wanted = Want(**{"conversation_id": "c1", "queues": frozenset({"q1"}), **want})
    assert bool((await bench.store.load([wanted]))["c1"].around.queues) is around


async def test_a_state_comes_back_as_it_was_written(bench: Bench) -> None:
    state = SyncState(
        version=1,
        conversation_observed=((1, 6), (8, 8)),
        work_item="w1",
        work_item_number=2,
        work_item_observed=((1, 2),),
        view={"assignee": Viewed(value=["u1"], rev=3), "queue": Viewed(value=None, rev=4)},
        changed={"status": 5},
        known={"ended": 6},
        known_at={"ended": 2},
        waiting_since=T0,
        deleted_rev=8,
    )
    assert await bench.store.commit([state_plan(state=state)]) == [COMMITTED]
    assert (await loaded(bench)).state == state
    later = replace(state, version=2, changed={}, waiting_since=None)
    assert await bench.store.commit([state_plan(state=later)]) == [COMMITTED]
    assert (await loaded(bench)).state == later


# Commit


async def test_nothing_to_commit(bench: Bench) -> None:
    before = await everything(bench)
    assert await bench.store.commit([]) == []
    assert await bench.store.commit([Plan(conversation_id="c1")]) == [COMMITTED]
    assert await everything(bench) == before


async def test_a_new_pair_is_written_with_all_that_belongs_to_it(bench: Bench) -> None:
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


async def test_a_plan_that_writes_and_leaves_the_state_alone_is_a_fault_of_ours(bench: Bench) -> None:
    plan = Plan(conversation_id="c1", announcements=(announcement("a1"),))
    with pytest.raises(ValueError, match="c1 writes and leaves the sync state"):
        await bench.store.commit([plan])


async def test_a_change_writes_what_changed_and_leaves_what_others_wrote(bench: Bench) -> None:
    await bench.store.commit([first_plan()])
    pair = await loaded(bench)
    assert pair.conversation is not None
    # Someone else's write that does not raise the revision.
    await bench.put(conversations=[{**pair.conversation, "note": "kept", "attributes": {"status": "open", "tag": 1}}])
    assert await bench.store.commit([next_plan(pair)]) == [COMMITTED]
    assert (await loaded(bench)).conversation == {
        **conversation("c1", rev=2, status="snoozed", tag=1),
        "note": "kept",
    }


async def test_what_is_gone_is_unset(bench: Bench) -> None:
    before = {**in_queue(conversation("c1", name="n", ended=True), "q1"), "old": 1}
    after = {**changed(before, name=None), "relationships": {}}
    del after["old"]
    await bench.put(conversations=[before])
    write = DocumentWrite(before=before, after=after)
    assert await bench.store.commit([state_plan(conversation=write)]) == [COMMITTED]
    assert await bench.documents(Collection.CONVERSATIONS) == [after]


@pytest.mark.parametrize("names", [("a.b", "$c"), ("", "d"), ("$set", "a.b.c"), ("$id", "e")], ids=str)
async def test_names_that_a_path_cannot_spell(bench: Bench, names: tuple[str, str]) -> None:
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


# Conditions, and that a plan which loses leaves nothing


async def _loses(bench: Bench, plan: Plan) -> None:
    before = await everything(bench), await bench.session("s1")
    assert await bench.store.commit([plan]) == [CONFLICT]
    assert (await everything(bench), await bench.session("s1")) == before


async def _a_pair(bench: Bench) -> Pair:
    await bench.put(sessions=[session("s1", "u1")])
    await bench.store.commit([first_plan()])
    return await loaded(bench)


async def test_a_conversation_that_moved_on(bench: Bench) -> None:
    pair = await _a_pair(bench)
    await bench.put(conversations=[conversation("c1", rev=2)])
    await _loses(bench, next_plan(pair))


async def test_a_work_item_that_moved_on(bench: Bench) -> None:
    pair = await _a_pair(bench)
    (item,) = pair.work_items
    await bench.put(work_items=[work_item("w-c1", "c1", rev=2)])
    await _loses(bench, replace(next_plan(pair), work_items=(DocumentWrite(before=item, after=changed(item)),)))


async def test_a_document_that_is_gone(bench: Bench) -> None:
    pair = await _a_pair(bench)
    gone = work_item("w-gone", "c1")
    await _loses(bench, replace(next_plan(pair), work_items=(DocumentWrite(before=gone, after=changed(gone)),)))


async def test_a_new_document_that_is_there(bench: Bench) -> None:
    pair = await _a_pair(bench)
    again = DocumentWrite(before=None, after=conversation("c1"))
    await _loses(bench, replace(next_plan(pair), conversation=again))


@pytest.mark.parametrize("version", [1, 3], ids=["written before", "one is missing"])
async def test_a_state_of_another_version(bench: Bench, version: int) -> None:
    pair = await _a_pair(bench)
    await _loses(bench, replace(next_plan(pair), state=SyncState(version=version)))


async def test_a_state_that_is_missing(bench: Bench) -> None:
    await _loses(bench, state_plan(version=2))


async def test_a_second_active_work_item(bench: Bench) -> None:
    pair = await _a_pair(bench)
    second = DocumentWrite(before=None, after=work_item("w2", "c1"))
    await _loses(bench, replace(next_plan(pair), work_items=(second,)))


async def test_a_work_item_follows_the_one_that_completes(bench: Bench) -> None:
    pair = await _a_pair(bench)
    (item,) = pair.work_items
    writes = (
        DocumentWrite(before=None, after=work_item("w2", "c1")),
        DocumentWrite(before=item, after={**changed(item, status="completed"), "active": False}),
    )
    assert await bench.store.commit([replace(next_plan(pair), work_items=writes)]) == [COMMITTED]
    assert [item["_id"] for item in (await loaded(bench)).work_items] == ["w-c1", "w2"]


async def test_a_work_item_takes_over_from_another(bench: Bench) -> None:
    pair = await _a_pair(bench)
    (item,), other = pair.work_items, work_item("w0", "c1", active=False)
    await bench.put(work_items=[other])
    writes = (
        DocumentWrite(before=other, after={**changed(other), "active": True}),
        DocumentWrite(before=item, after={**changed(item), "active": False}),
    )
    assert await bench.store.commit([replace(next_plan(pair), work_items=writes)]) == [COMMITTED]


async def test_a_conflict_takes_no_other_plan_with_it(bench: Bench) -> None:
    await bench.put(sessions=[session("s1", "u1")])
    await bench.store.commit([first_plan("c1"), first_plan("c2"), first_plan("c3")])
    pairs = await bench.store.load([Want(conversation_id=key) for key in ("c1", "c2", "c3")])
    await bench.put(conversations=[conversation("c2", rev=5)])
    plans = [next_plan(pairs["c1"]), next_plan(pairs["c2"]), Plan(conversation_id="c4"), next_plan(pairs["c3"])]
    assert await bench.store.commit(plans) == [COMMITTED, CONFLICT, COMMITTED, COMMITTED]
    assert await ids(bench, Collection.OUTBOX) == ["a-c1-1", "a-c1-2", "a-c2-1", "a-c3-1", "a-c3-2"]
    assert await bench.session("s1") == session(
        "s1", "u1", work_items=(held("w-c2"),), paused_work_items=(held("w-c1"), held("w-c3"))
    )


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (2**64, "beyond 64 bits"),
        ("\ud800", "not Unicode"),
        ({"a\0b": 1}, "BSON cannot"),
        ({"nobody": object()}, "BSON cannot"),
        ("x" * 17_000_000, "larger than MongoDB takes"),
    ],
    ids=["number", "surrogate", "nul", "object", "size"],
)
async def test_what_can_never_be_stored_is_rejected_alone(bench: Bench, value: object, says: str) -> None:
    await bench.put(sessions=[session("s1", "u1")])
    await bench.store.commit([first_plan("c1")])
    before = await everything(bench)
    poisoned = next_plan(await loaded(bench), secret=value)
    rejected, committed = await bench.store.commit([poisoned, first_plan("c2")])
    assert committed is COMMITTED
    assert isinstance(rejected, PlanRejected)
    assert rejected.conversation_id == "c1"
    assert says in rejected.reason
    assert "secret" not in rejected.reason
    after = await everything(bench)
    assert {name: documents[: len(before[name])] for name, documents in after.items()} == before
    assert await bench.session("s1") == session("s1", "u1", work_items=(held("w-c1"), held("w-c2")))


# Sessions


async def _moved(bench: Bench, *moves: Any, version: int = 1) -> None:
    assert await bench.store.commit([state_plan(version=version, moves=moves)]) == [COMMITTED]


async def test_an_item_goes_from_one_session_to_another(bench: Bench) -> None:
    await bench.put(sessions=[session("s1", "u1", work_items=(held("w1"), held("w2"))), session("s2", "u2")])
    await _moved(bench, move("w1", place("s1"), place("s2", size=2)))
    assert await bench.session("s1") == session("s1", "u1", work_items=(held("w2"),))
    assert await bench.session("s2") == session("s2", "u2", work_items=(held("w1", 2),))


async def test_an_item_is_paused_and_taken_up_again(bench: Bench) -> None:
    paused = place("s1", Spot.PAUSED_WORK_ITEMS)
    await bench.put(sessions=[session("s1", "u1", work_items=(held("w1"),))])
    await _moved(bench, move("w1", place("s1"), paused))
    assert await bench.session("s1") == session("s1", "u1", paused_work_items=(held("w1"),))
    await _moved(bench, move("w1", paused, place("s1")), version=2)
    assert await bench.session("s1") == session("s1", "u1", work_items=(held("w1"),))


async def test_a_pending_item_leaves_only_as_itself(bench: Bench) -> None:
    pending = place("s1", Spot.PENDING_ITEM, 0)
    await bench.put(sessions=[session("s1", "u1")])
    await _moved(bench, move("w1", None, pending))
    assert await bench.session("s1") == session("s1", "u1", pending_item="w1")
    await _moved(bench, move("w2", pending, place("s1")), version=2)
    assert await bench.session("s1") == session("s1", "u1", work_items=(held("w2"),), pending_item="w1")
    await _moved(bench, move("w1", pending, place("s1")), version=3)
    assert await bench.session("s1") == session("s1", "u1", work_items=(held("w2"), held("w1")))


@pytest.mark.parametrize("leave", [place("s1"), None], ids=["known", "unknown"])
async def test_an_item_changes_its_size_where_it_is(bench: Bench, leave: Any) -> None:
    await bench.put(sessions=[session("s1", "u1", work_items=(held("w1"), held("w2")))])
    await _moved(bench, move("w1", leave, place("s1", size=3)))
    assert await bench.session("s1") == session("s1", "u1", work_items=(held("w2"), held("w1", 3)))


async def test_a_repeated_move_and_one_on_a_missing_session_change_nothing(bench: Bench) -> None:
    await bench.put(sessions=[session("s1", "u1", work_items=(held("w1"),))])
    await _moved(bench, move("w1", place("s0"), place("s1")), move("w2", place("s1"), place("s9")))
    assert await bench.session("s1") == session("s1", "u1", work_items=(held("w1"),))
    assert await bench.session("s9") is None


# Outbox


async def test_the_outbox_gives_the_oldest_first_and_forgets_what_was_sent(bench: Bench) -> None:
    entries = [announcement(f"a{n}", at=T0 + timedelta(seconds=n)) for n in (3, 1, 2, 4)]
    await bench.store.commit([state_plan(announcements=tuple(entries))])
    later = T0 + timedelta(seconds=4)
    assert await bench.outbox.waiting(later, 10) == sorted(entries, key=lambda entry: entry.created_at)[:3]
    assert [entry.id for entry in await bench.outbox.waiting(later, 2)] == ["a1", "a2"]
    await bench.outbox.sent([])
    await bench.outbox.sent(["a1", "never there"])
    assert [entry.id for entry in await bench.outbox.waiting(later, 10)] == ["a2", "a3"]


async def test_the_outbox_gives_what_is_from_the_future_where_it_is_asked_for(bench: Bench) -> None:
    entries = [announcement(f"a{n}", at=T0 + timedelta(seconds=n)) for n in (1, 2, 3, 4)]
    await bench.store.commit([state_plan(announcements=tuple(entries))])
    before, after = T0 + timedelta(seconds=2), T0 + timedelta(seconds=3)
    assert [entry.id for entry in await bench.outbox.waiting(before, 10, or_after=after)] == ["a1", "a4"]
    assert [entry.id for entry in await bench.outbox.waiting(before, 10, skip=1, or_after=after)] == ["a4"]
    assert [entry.id for entry in await bench.outbox.waiting(before, 1, or_after=after)] == ["a1"]


async def test_what_is_set_aside_is_kept_with_its_reason_and_blocks_nothing(bench: Bench) -> None:
    assert await bench.outbox.backlog() == Backlog(count=0, oldest=None, set_aside=0)
    entries = tuple(announcement(f"a{n}", at=T0 + timedelta(seconds=n)) for n in (1, 2, 3))
    await bench.store.commit([state_plan(announcements=entries)])
    assert await bench.outbox.backlog() == Backlog(count=3, oldest=entries[0].created_at, set_aside=0)
    await bench.outbox.set_aside("a1", "too large")
    await bench.outbox.set_aside("never there", "too large")
    assert await bench.outbox.backlog() == Backlog(count=2, oldest=entries[1].created_at, set_aside=1)
    assert [entry.id for entry in await bench.outbox.waiting(T0 + timedelta(hours=1), 1)] == ["a2"]
    kept = (await bench.documents(Collection.OUTBOX))[0]
    assert (kept["_id"], kept["status"], kept["reason"]) == ("a1", "set-aside", "too large")


async def test_an_announcement_whose_id_is_taken_is_a_conflict(bench: Bench) -> None:
    await bench.store.commit([state_plan("c1", announcements=(announcement("a1"),))])
    plan = state_plan("c2", announcements=(announcement("a1"),))
    assert await bench.store.commit([plan, state_plan("c3")]) == [CONFLICT, COMMITTED]
    assert await ids(bench, Collection.SYNC_STATES) == ["c1", "c3"]
