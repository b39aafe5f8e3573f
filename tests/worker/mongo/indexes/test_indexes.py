"""The indexes: made once, used by every query, and refused where the data forbids them."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from commands.instant import format_instant
from tests.worker.store.plans import T0, work_item
from tests.worker.store.store_bench import MongoBench
from worker.errors import StoreUnfit
from worker.mongo.indexes.definitions import has_timestamp
from worker.store.documents import Collection


def _stages(plan: Mapping[str, Any]) -> Iterator[str]:
    """The names of all stages of a query plan."""
    if "stage" in plan:
        yield plan["stage"]
    below: list[Any] = [plan.get("inputStage"), *plan.get("inputStages", ()), *plan.get("shards", ())]
    for stage in below:
        if stage:
            yield from _stages(stage)


@pytest.mark.parametrize(
    ("collection", "query", "sort"),
    [
        (
            Collection.WORK_ITEMS,
            {"$or": [{"conversationId": {"$in": ["c1", "c2"]}, "active": True}, {"_id": {"$in": ["w1", "w2"]}}]},
            {},
        ),
        (Collection.WORK_SESSIONS, {"user": {"$in": ["u1", "u2"]}, "active": True}, {}),
        (Collection.OUTBOX, {"status": "waiting", "createdAt": {"$lt": T0}}, {"createdAt": 1}),
        (Collection.SYNC_STATES, has_timestamp("waitingSince"), {}),
        (
            Collection.SYNC_STATES,
            {"waitingSince": {"$type": "string", "$lt": format_instant(T0)}},
            {"waitingSince": 1},
        ),
        (Collection.SYNC_STATES, {"finishedAt": {"$type": "string", "$lt": format_instant(T0)}}, {"finishedAt": 1}),
        (
            Collection.SYNC_STATES,
            {"_id": {"$in": ["c1", "c2"]}, "finishedAt": {"$type": "string", "$lt": format_instant(T0)}},
            {},
        ),
    ],
    ids=str,
)
async def test_every_query_uses_an_index(
    mongo: MongoBench, collection: Collection, query: dict[str, Any], sort: dict[str, Any]
) -> None:
    await mongo.put(work_items=[work_item(f"w{number}", f"c{number}") for number in range(20)])
    explained = await mongo.database.command(
        {"explain": {"find": collection.value, "filter": query, "sort": sort, "limit": 10}}
    )
    stages = set(_stages(explained["queryPlanner"]["winningPlan"]))
    assert "IXSCAN" in stages
    assert not stages & {"COLLSCAN", "SORT"}


async def test_the_indexes_are_created_once(new_mongo: MongoBench) -> None:
    for waiting_times in (False, True):
        await new_mongo.client.drop_database(new_mongo.database.name)
        starts = [new_mongo.store.ensure_indexes(revision_days=400, waiting_times=waiting_times) for _ in range(2)]
        await asyncio.gather(*starts)
        # The kept audit is off.
        made_collections = sorted(set(Collection) - {Collection.SYNC_AUDIT})
        assert sorted(await new_mongo.database.list_collection_names()) == made_collections
        made = {
            collection.value: sorted((await new_mongo.database[collection].index_information()).keys() - {"_id_"})
            for collection in made_collections
        }
        assert {name: indexes for name, indexes in made.items() if indexes} == {
            # The index of the waiting work-items would cost every write of a queued one.
            "work_items": ["one_active_a_conversation", *(["queued_by_queue"] if waiting_times else [])],
            "work_sessions": ["active_by_user"],
            "sync_states": ["finished_by_age", "waiting_by_age"],
            "outbox": ["by_status_and_age"],
            "work_item_revisions": ["expired_revisions"],
            "waits": ["by_org_and_queue", "by_queue_and_end", "expired_waits"],
        }


async def test_data_that_forbids_an_index_makes_the_store_unfit(new_mongo: MongoBench) -> None:
    items = new_mongo.database[Collection.WORK_ITEMS]
    await items.drop_indexes()
    await items.insert_many([work_item("w1", "c1"), work_item("w2", "c1")])
    with pytest.raises(StoreUnfit, match="more than one active work-item"):
        await new_mongo.store.ensure_indexes(revision_days=400)
    await items.delete_one({"_id": "w2"})
    await items.create_index([("conversationId", 1)], name="one_active_a_conversation")
    with pytest.raises(StoreUnfit, match="another index"):
        await new_mongo.store.ensure_indexes(revision_days=400)
