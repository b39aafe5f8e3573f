"""The records of `work_item_revisions` expire by a time-to-live index, which follows the setting REVISION_DAYS."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from tests.worker.store.store_bench import MongoBench
from worker.errors import StoreUnfit
from worker.store.documents import Collection

DAY_S = 86_400


async def _expiry(bench: MongoBench) -> dict[str, Any]:
    """The indexes of the collection beside `_id`, each with its seconds."""
    indexes = await bench.database[Collection.WORK_ITEM_REVISIONS].index_information()
    return {name: index.get("expireAfterSeconds") for name, index in indexes.items() if name != "_id_"}


async def test_the_index_follows_the_setting(new_mongo: MongoBench) -> None:
    for days in (400, 400, 7, 7, 0, 0, 3_650):
        await new_mongo.store.ensure_indexes(revision_days=days)
        assert await _expiry(new_mongo) == ({"expired_revisions": days * DAY_S} if days else {})
    indexes = await new_mongo.database[Collection.WORK_ITEM_REVISIONS].index_information()
    assert indexes["expired_revisions"]["key"] == [("createdAt", 1)]


async def test_another_number_of_days_changes_the_index_and_does_not_build_it_again(new_mongo: MongoBench) -> None:
    await new_mongo.store.ensure_indexes(revision_days=7)
    new_mongo.commands.take()
    await new_mongo.store.ensure_indexes(revision_days=30)
    names = new_mongo.commands.take()
    assert "collMod" in names
    assert "dropIndexes" not in names


async def test_several_workers_start_at_once(new_mongo: MongoBench) -> None:
    for days in (30, 0, 30):
        await asyncio.gather(*(new_mongo.store.ensure_indexes(revision_days=days) for _ in range(4)))
        assert await _expiry(new_mongo) == ({"expired_revisions": days * DAY_S} if days else {})


async def test_without_the_right_to_change_an_index_it_is_made_anew(new_mongo: MongoBench) -> None:
    """MongoDB's role `readWrite` has `createIndex` and `dropIndex`, and no `collMod`."""
    await new_mongo.store.ensure_indexes(revision_days=7)
    fail: dict[str, Any] = {"configureFailPoint": "failCommand", "mode": {"times": 1}}
    await new_mongo.client.admin.command({**fail, "data": {"failCommands": ["collMod"], "errorCode": 13}})
    await new_mongo.store.ensure_indexes(revision_days=30)
    assert await _expiry(new_mongo) == {"expired_revisions": 30 * DAY_S}


async def test_an_index_of_another_owner_on_the_same_field_makes_the_store_unfit(new_mongo: MongoBench) -> None:
    revisions = new_mongo.database[Collection.WORK_ITEM_REVISIONS]
    await revisions.drop_indexes()
    await revisions.create_index([("createdAt", 1)], name="theirs")
    with pytest.raises(StoreUnfit, match="another index"):
        await new_mongo.store.ensure_indexes(revision_days=30)
    assert await _expiry(new_mongo) == {"theirs": None}


@pytest.mark.thorough
async def test_a_record_expires_and_one_without_a_date_stays(new_mongo: MongoBench) -> None:
    """The test's server looks every second."""
    await new_mongo.store.ensure_indexes(revision_days=1)
    revisions = new_mongo.database[Collection.WORK_ITEM_REVISIONS]
    now = (await new_mongo.client.admin.command("hello"))["localTime"]
    async with await revisions.watch([{"$match": {"operationType": "delete"}}]) as deletions, asyncio.timeout(30):
        await revisions.insert_many(
            [
                {"_id": "old", "createdAt": now - timedelta(days=2)},
                {"_id": "new", "createdAt": now},
                {"_id": "of an older version", "updatedAt": "2022-03-02T19:00:00.000Z"},
            ]
        )
        assert (await deletions.next())["documentKey"] == {"_id": "old"}
    assert {record["_id"] async for record in revisions.find()} == {"new", "of an older version"}
