"""The kept audit on MongoDB: its indexes follow AUDIT_DAYS, a record expires, and a read uses the index."""

import asyncio
from datetime import timedelta
from typing import Any, Final

import pytest

from handlers.ports import CommitResult
from tests.worker.store.plans import state_plan
from tests.worker.store.ports.test_pair_history import at, kept
from tests.worker.store.store_bench import DEADLINE_S, MongoBench
from worker.errors import StoreUnfit
from worker.mongo.checks.inspection import StoreInspection
from worker.ports.history import PageMark, TimeWindow
from worker.store.documents import Collection

DAY_S: Final = 86_400


async def _indexes(bench: MongoBench) -> dict[str, Any]:
    """The indexes of the collection beside `_id`, each with its seconds."""
    found = await bench.database[Collection.SYNC_AUDIT].index_information()
    return {name: index.get("expireAfterSeconds") for name, index in found.items() if name != "_id_"}


async def test_the_indexes_follow_the_setting_and_off_leaves_what_is_there_to_expire(new_mongo: MongoBench) -> None:
    await new_mongo.client.drop_database(new_mongo.database.name)
    await new_mongo.store.ensure_indexes(revision_days=0, audit_days=0)
    assert Collection.SYNC_AUDIT.value not in await new_mongo.database.list_collection_names()
    for days in (30, 7):
        await asyncio.gather(*(new_mongo.store.ensure_indexes(revision_days=0, audit_days=days) for _ in range(3)))
        assert await _indexes(new_mongo) == {"by_conversation_and_time": None, "expired_audit": days * DAY_S}
    await new_mongo.store.ensure_indexes(revision_days=0, audit_days=0)
    assert await _indexes(new_mongo) == {"by_conversation_and_time": None, "expired_audit": 7 * DAY_S}


@pytest.mark.thorough
async def test_a_record_expires(new_mongo: MongoBench) -> None:
    """The test's server looks every second."""
    await new_mongo.store.ensure_indexes(revision_days=0, audit_days=1)
    records = new_mongo.database[Collection.SYNC_AUDIT]
    now = (await new_mongo.client.admin.command("hello"))["localTime"]
    async with await records.watch([{"$match": {"operationType": "delete"}}]) as deletions, asyncio.timeout(30):
        old, new = kept("old", 0, at=now - timedelta(days=2)), kept("new", 0, at=now)
        assert await new_mongo.store.commit([state_plan(audits=(old, new))]) == [CommitResult.COMMITTED]
        assert (await deletions.next())["documentKey"] == {"_id": "old"}
    assert [each.id for each in (await new_mongo.history.decisions("c1")).records] == ["new"]


async def test_an_index_of_another_owner_in_the_way_stops_the_start(new_mongo: MongoBench) -> None:
    records = new_mongo.database[Collection.SYNC_AUDIT]
    await records.drop_indexes()
    await records.create_index([("at", 1)], name="theirs")
    with pytest.raises(StoreUnfit, match="another index"):
        await new_mongo.store.ensure_indexes(revision_days=0, audit_days=30)


@pytest.mark.parametrize("after", [None, PageMark(at=at(30), id="k30")], ids=["first page", "next page"])
async def test_a_page_reads_its_records_by_the_index_and_no_others(mongo: MongoBench, after: PageMark | None) -> None:
    audits = tuple(kept(f"k{n}", n, of="c1" if n % 2 else "c2") for n in range(60))
    assert await mongo.store.commit([state_plan(audits=audits)]) == [CommitResult.COMMITTED]
    await mongo.client.admin.command("profile", 0)
    await mongo.database.command("profile", 2)
    try:
        page = await mongo.history.decisions("c1", window=TimeWindow(begin=at(0)), limit=5, after=after)
    finally:
        await mongo.database.command("profile", 0)
    assert len(page.records) == 5
    query = {"op": "query", "ns": f"{mongo.database.name}.{Collection.SYNC_AUDIT.value}"}
    [told] = await mongo.database["system.profile"].find(query).to_list()
    await mongo.database.drop_collection("system.profile")
    assert "IXSCAN" in told["planSummary"]
    assert told["docsExamined"] <= 7
    assert not told.get("hasSortStage")


async def test_without_the_index_nothing_is_read(new_mongo: MongoBench) -> None:
    """AUDIT_DAYS was never set: a query would go through a collection of others, or of before."""
    await new_mongo.store.commit([state_plan(audits=(kept("a", 1),))])
    await new_mongo.database[Collection.SYNC_AUDIT].drop_indexes()
    new_mongo.commands.take()
    assert (await new_mongo.history.decisions("c1")).records == ()
    assert new_mongo.commands.take() == ["listIndexes"]


async def test_doctor_looks_at_the_indexes_of_the_kept_audit(new_mongo: MongoBench) -> None:
    inspection = StoreInspection(new_mongo.client, new_mongo.database.name, deadline_s=DEADLINE_S)
    flags: dict[str, Any] = {
        "revision_days": 0,
        "waiting_times": False,
        "create_work_items": False,
        "queue_rules": False,
        "by_time_of_writing": False,
    }
    await new_mongo.database[Collection.SYNC_AUDIT].drop_indexes()
    off = await inspection.indexes(**flags, audit_days=0)
    on = await inspection.indexes(**flags, audit_days=30)
    assert on.missing - off.missing == 2
    await new_mongo.store.ensure_indexes(revision_days=0, audit_days=7)
    assert (await inspection.indexes(**flags, audit_days=30)).missing == 0, "the start changes the time"
