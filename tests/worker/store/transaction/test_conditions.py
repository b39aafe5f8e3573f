"""The conditions of a plan, and that a plan with a conflict writes nothing: one suite for both stores."""

import pytest
from msgspec.structs import replace

from handlers.ports import CommitResult, DocumentWrite, LoadRequest, Pair, Plan, PlanRejected
from sync.state.sync_state import SyncState
from tests.worker.store.plans import (
    changed,
    conversation,
    first_plan,
    held,
    loaded,
    nested,
    next_plan,
    session,
    state_plan,
    work_item,
)
from tests.worker.store.store_bench import Bench, everything, ids
from worker.store.documents import Collection

COMMITTED, CONFLICT = CommitResult.COMMITTED, CommitResult.CONFLICT


async def _loses(bench: Bench, plan: Plan) -> None:
    before = await everything(bench), await bench.session("s1")
    assert await bench.store.commit([plan]) == [CONFLICT]
    assert (await everything(bench), await bench.session("s1")) == before


async def _a_pair(bench: Bench) -> Pair:
    await bench.put(sessions=[session("s1", "u1")])
    await bench.store.commit([first_plan()])
    return await loaded(bench)


async def test_a_conversation_with_a_newer_revision_is_a_conflict(bench: Bench) -> None:
    pair = await _a_pair(bench)
    await bench.put(conversations=[conversation("c1", rev=2)])
    await _loses(bench, next_plan(pair))


async def test_a_work_item_with_a_newer_revision_is_a_conflict(bench: Bench) -> None:
    pair = await _a_pair(bench)
    (item,) = pair.work_items
    await bench.put(work_items=[work_item("w-c1", "c1", rev=2)])
    await _loses(bench, replace(next_plan(pair), work_items=(DocumentWrite(before=item, after=changed(item)),)))


async def test_a_removed_document_is_a_conflict(bench: Bench) -> None:
    pair = await _a_pair(bench)
    gone = work_item("w-gone", "c1")
    await _loses(bench, replace(next_plan(pair), work_items=(DocumentWrite(before=gone, after=changed(gone)),)))


async def test_a_new_document_that_exists_is_a_conflict(bench: Bench) -> None:
    pair = await _a_pair(bench)
    again = DocumentWrite(before=None, after=conversation("c1"))
    await _loses(bench, replace(next_plan(pair), conversation=again))


@pytest.mark.parametrize("version", [1, 3], ids=["written before", "one is missing"])
async def test_a_state_of_another_version_is_a_conflict(bench: Bench, version: int) -> None:
    pair = await _a_pair(bench)
    await _loses(bench, replace(next_plan(pair), state=SyncState(version=version)))


async def test_a_missing_state_is_a_conflict(bench: Bench) -> None:
    await _loses(bench, state_plan(version=2))


async def test_a_second_active_work_item_is_a_conflict(bench: Bench) -> None:
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


async def test_the_deepest_document_is_stored(bench: Bench) -> None:
    deepest = conversation("c1", custom=nested(178))
    plan = state_plan(conversation=DocumentWrite(before=None, after=deepest))
    assert await bench.store.commit([plan]) == [COMMITTED]
    assert (await loaded(bench)).conversation == deepest


async def test_a_conflict_leaves_the_other_plans_committed(bench: Bench) -> None:
    await bench.put(sessions=[session("s1", "u1")])
    await bench.store.commit([first_plan("c1"), first_plan("c2"), first_plan("c3")])
    pairs = await bench.store.load([LoadRequest(conversation_id=key) for key in ("c1", "c2", "c3")])
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
        (nested(179), "nested too deep"),
        ("x" * 17_000_000, "larger than MongoDB takes"),
    ],
    ids=["number", "surrogate", "nul", "object", "depth", "size"],
)
async def test_a_plan_that_can_never_be_stored_is_rejected_alone(bench: Bench, value: object, says: str) -> None:
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
