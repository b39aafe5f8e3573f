"""The contract of the port `StoredPairs` (worker/ports/sweeps.py): one suite for both stores."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from commands.instant import format_instant
from commands.session import SessionEntry
from handlers.ports import LoadRequest
from sync.state.sync_state import SyncState
from tests.worker.store.plans import T0, conversation, session, state_plan, work_item
from tests.worker.store.store_bench import DEADLINE_S, Bench, MongoBench
from worker.mongo.adapters.stored_pairs import MongoStoredPairs
from worker.ports.sweeps import LostItem, StoredPairs, SweepPosition, SweepStage
from worker.store.documents import Collection
from worker.store.memory.store import MemoryStore
from worker.store.memory.stored_pairs import MemoryStoredPairs


@pytest.fixture
def pairs(bench: Bench) -> StoredPairs:
    if isinstance(bench, MongoBench):
        return MongoStoredPairs(bench.client, bench.database.name, deadline_s=DEADLINE_S)
    assert isinstance(bench.store, MemoryStore)
    return MemoryStoredPairs(bench.store)


def _at(minutes: float) -> datetime:
    return T0 + timedelta(minutes=minutes)


def _text(minutes: float) -> str:
    return format_instant(_at(minutes))


def _wants(*ids: str, users: Sequence[str] = ()) -> LoadRequest:
    return LoadRequest(conversation_id=ids[0], work_item_ids=frozenset(ids[1:]), users=frozenset(users))


async def _written(pairs: StoredPairs, since: float, until: float, **more: Any) -> list[LoadRequest]:
    found = [each async for page in pairs.written_between(_at(since), _at(until), **more) for each in page]
    return sorted(found, key=lambda each: (each.conversation_id, sorted(each.work_item_ids)))


async def _all(pairs: StoredPairs, stage: SweepStage, limit: int) -> list[list[LoadRequest]]:
    pages: list[list[LoadRequest]] = []
    position = SweepPosition(stage=stage)
    while True:
        page = await pairs.page_after(position, limit)
        pages.append(sorted(page.requests, key=lambda each: each.conversation_id))
        if page.last is None:
            return pages
        position = SweepPosition(stage=stage, after=page.last)


async def test_the_pairs_of_documents_written_in_the_time_are_found(bench: Bench, pairs: StoredPairs) -> None:
    await bench.put(
        conversations=[
            conversation("c1", updatedAt=_text(1)),
            conversation("c2", updatedAt=_text(2)),
            conversation("c3", updatedAt=_text(3)),
            conversation("c4"),
        ],
        work_items=[work_item("w1", "c1", updatedAt=_text(2)), work_item("w9", "c9", updatedAt=_text(2.5))],
    )
    assert await _written(pairs, 2, 3) == [_wants("c1", "w1"), _wants("c2"), _wants("c9", "w9")]
    assert await _written(pairs, 4, 9) == []


async def test_only_active_work_items_in_ivr_are_found_where_these_are_asked_for(
    bench: Bench, pairs: StoredPairs
) -> None:
    await bench.put(
        conversations=[conversation("c1", updatedAt=_text(1))],
        work_items=[
            work_item("w1", "c1", status="ivr", updatedAt=_text(1)),
            work_item("w2", "c2", status="queued", updatedAt=_text(1)),
            work_item("w3", "c3", status="ivr", active=False, updatedAt=_text(1)),
            work_item("w4", "c4", status="ivr", updatedAt=_text(9)),
        ],
    )
    assert await _written(pairs, 0, 2, in_ivr=True) == [_wants("c1", "w1")]


async def test_a_full_sweep_pages_through_the_conversations(bench: Bench, pairs: StoredPairs) -> None:
    await bench.put(conversations=[conversation(f"c{number}") for number in (3, 1, 2)])
    pages = await _all(pairs, SweepStage.CONVERSATIONS, 2)
    assert pages == [[_wants("c1"), _wants("c2")], [_wants("c3")]]


async def test_a_full_sweep_finds_the_work_items_that_no_conversation_leads_to(
    bench: Bench, pairs: StoredPairs
) -> None:
    """Active ones without a conversation, and completed ones that are later than the one that the state names."""
    await bench.put(
        conversations=[conversation("c1"), conversation("c2"), conversation("c3")],
        work_items=[
            work_item("w1", "c1"),
            {**work_item("w2", "c2", active=False), "workItemNumber": 2},
            {**work_item("w3", "c2", active=False), "workItemNumber": 3},
            {**work_item("w4", "c3", active=False), "workItemNumber": 9},
            work_item("w5", "c8", active=False),
            work_item("w6", "c9"),
        ],
    )
    state = SyncState(version=1, work_item="w2", work_item_number=2)
    await bench.store.commit([state_plan("c2", state=state)])
    assert await _all(pairs, SweepStage.WORK_ITEMS, 4) == [[_wants("c2", "w3")], [_wants("c9", "w6")]]


async def test_a_page_that_ends_the_stage_exactly_is_followed_by_an_empty_one(bench: Bench, pairs: StoredPairs) -> None:
    await bench.put(conversations=[conversation("c1"), conversation("c2")])
    assert await _all(pairs, SweepStage.CONVERSATIONS, 2) == [[_wants("c1"), _wants("c2")], []]


async def test_sessions_lead_to_the_pairs_of_their_work_items(bench: Bench, pairs: StoredPairs) -> None:
    entries = {key: SessionEntry(id=key, item_size=1) for key in ("w1", "w2", "w9")}
    await bench.put(
        work_items=[work_item("w1", "c1"), work_item("w2", "c2"), work_item("w3", "c3"), work_item("w4", "c4")],
        sessions=[
            session("s1", "u1", work_items=(entries["w1"], entries["w9"])),
            session("s2", "u1", paused_work_items=(entries["w2"],)),
            session("s3", "u2", pending_item="w3", work_items=(entries["w1"],)),
            session("s4", "u3"),
            session("s5", "u4", pending_item="w4", active=False),
        ],
    )
    found = await _all(pairs, SweepStage.SESSIONS, 9)
    assert found == [
        [_wants("c1", "w1", users=("u1", "u2")), _wants("c2", "w2", users=["u1"]), _wants("c3", "w3", users=["u2"])]
    ]
    by_page = {each.conversation_id for page in await _all(pairs, SweepStage.SESSIONS, 2) for each in page}
    assert by_page == {"c1", "c2", "c3"}
    page = await pairs.page_after(SweepPosition(stage=SweepStage.SESSIONS), 9)
    assert page.lost == (LostItem(work_item_id="w9", session_id="s1", user="u1"),)


async def test_dates_are_found_as_texts_are(mongo: MongoBench) -> None:
    pairs = MongoStoredPairs(mongo.client, mongo.database.name, deadline_s=DEADLINE_S)
    dates = {"c1": _at(1), "c2": _at(2), "c3": "2024-05-06T07:10:09Z", "c4": 7, "c5": None}
    await mongo.put(
        conversations=[conversation(key, updatedAt=at) for key, at in dates.items()],
        work_items=[work_item("w1", "c7", updatedAt=_at(2))],
    )
    # c3 was written 877 ms before: the range of texts begins a second earlier, and the pair's own times decide.
    assert await _written(pairs, 2, 3) == [_wants("c2"), _wants("c3"), _wants("c7", "w1")]


async def test_ids_that_are_no_texts_are_passed_over(mongo: MongoBench) -> None:
    pairs = MongoStoredPairs(mongo.client, mongo.database.name, deadline_s=DEADLINE_S)
    await mongo.put(
        conversations=[conversation("c1"), {"_id": 7}],
        work_items=[{**work_item("w1", "c1"), "conversationId": 7}, work_item("w2", "c2")],
    )
    lists = {"workItems": [{"id": 7}, 7, [{"id": "w1"}], {"id": "w2"}], "pausedWorkItems": {"id": "w1"}}
    await mongo.database[Collection.WORK_SESSIONS].insert_many(
        [
            {"_id": "s1", "user": "u1", "active": True, **lists, "pendingItem": [1]},
            {"_id": "s2", "user": ["u2"], "active": True, "workItems": [{"id": "w2"}]},
        ]
    )
    assert await _all(pairs, SweepStage.CONVERSATIONS, 9) == [[_wants("c1")]]
    assert await _all(pairs, SweepStage.WORK_ITEMS, 9) == [[_wants("c2", "w2")]]
    assert await _all(pairs, SweepStage.SESSIONS, 9) == [[_wants("c2", "w2", users=["u1"])]]


@pytest.mark.thorough
async def test_large_conversations_make_small_pages(mongo: MongoBench) -> None:
    """The sweep has a page in memory: 200 documents of 16 MiB would end the worker."""
    pairs = MongoStoredPairs(mongo.client, mongo.database.name, deadline_s=DEADLINE_S)
    sizes = {"c1": 1, "c2": 6_000_000, "c3": 6_000_000, "c4": 6_000_000, "c5": 16_000_000, "c6": 1}
    for key, size in sizes.items():
        await mongo.put(conversations=[conversation(key, updatedAt=_text(1), preview="x" * size)])
    expected = [["c1", "c2", "c3"], ["c4"], ["c5", "c6"]]
    pages = await _all(pairs, SweepStage.CONVERSATIONS, 9)
    assert [[each.conversation_id for each in page] for page in pages] == expected
    written = [page async for page in pairs.written_between(_at(0), _at(2))]
    assert [[each.conversation_id for each in page] for page in written] == expected


@pytest.mark.parametrize("named", [[{"number": 1}], "w1", {"number": "one"}])
async def test_a_state_that_names_no_number_hides_no_work_item_of_a_conversation_that_is_gone(
    mongo: MongoBench, named: Any
) -> None:
    pairs = MongoStoredPairs(mongo.client, mongo.database.name, deadline_s=DEADLINE_S)
    await mongo.put(
        conversations=[conversation("c1")],
        work_items=[work_item("w1", "c1", active=False), work_item("w2", "c2")],
        states=[{"_id": key, "workItem": named} for key in ("c1", "c2")],
    )
    assert await _all(pairs, SweepStage.WORK_ITEMS, 9) == [[_wants("c2", "w2")]]


@pytest.mark.parametrize("in_ivr", [False, True])
async def test_the_span_of_time_is_read_by_its_index(new_mongo: MongoBench, in_ivr: bool) -> None:
    """Also where a hundred times as many documents lie outside of it."""
    await new_mongo.store.ensure_indexes(revision_days=0, by_time_of_writing=True)
    database = new_mongo.database
    items = [work_item(f"w{n}", f"c{n}", status="ivr", updatedAt=_at(n)) for n in range(300)]
    await database[Collection.WORK_ITEMS].insert_many(items)
    conversations = [conversation(f"c{n}", updatedAt=_text(n)) for n in range(300)]
    await database[Collection.CONVERSATIONS].insert_many(conversations)
    await database.command("profile", 2)
    try:
        pairs = MongoStoredPairs(new_mongo.client, database.name, deadline_s=DEADLINE_S)
        assert len(await _written(pairs, 10, 13, in_ivr=in_ivr)) == (3 if in_ivr else 6)
        profile = await database["system.profile"].find({"op": "query", "command.find": {"$exists": True}}).to_list()
    finally:
        await database.command("profile", 0)
    assert len(profile) == (1 if in_ivr else 2)
    for each in profile:
        assert "IXSCAN { attributes.updatedAt: 1 }" in each["planSummary"]
        assert each["docsExamined"] <= 6


async def test_a_page_of_work_items_costs_three_commands(mongo: MongoBench) -> None:
    await mongo.put(
        conversations=[conversation(f"c{n}") for n in range(30)],
        work_items=[work_item(f"w{n}", f"c{n}", active=n % 2 == 0) for n in range(30)],
    )
    states = [{"_id": f"c{n}", "version": 1, "workItem": {"id": f"w{n}", "number": 1}} for n in range(30)]
    await mongo.database[Collection.SYNC_STATES].insert_many(states)
    pairs = MongoStoredPairs(mongo.client, mongo.database.name, deadline_s=DEADLINE_S)
    mongo.commands.take()
    await pairs.page_after(SweepPosition(stage=SweepStage.WORK_ITEMS), 20)
    assert mongo.commands.take() == ["find", "find", "find"]
