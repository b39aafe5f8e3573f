"""The contract of the port `WorkItems` (handlers/ports.py): one suite for both adapters."""

import pytest

from handlers.ports import StoreAway, WorkItems
from tests.worker.store.plans import conversation, work_item
from tests.worker.store.store_bench import Bench, MongoBench
from worker.mongo.adapters.work_items import MongoWorkItems
from worker.store.documents import Collection
from worker.store.memory.store import MemoryStore
from worker.store.memory.work_items import MemoryWorkItems

QUEUES = {("chat", "o1"): "q-1", ("chat", "o2"): "q-2", ("mail", None): "q-3", ("named", "o1"): "q-4"}


@pytest.fixture
async def work_items(bench: Bench) -> WorkItems:
    if not isinstance(bench, MongoBench):
        assert isinstance(bench.store, MemoryStore)
        return MemoryWorkItems(bench.store, QUEUES)
    for (key, org), queue_id in QUEUES.items():
        fields = {"attributes": {"key": key}} if key == "named" else {"key": key}
        await bench.database[Collection.QUEUES].insert_one({"_id": queue_id, "org": org, **fields})
    return MongoWorkItems(bench.client, bench.database.name, deadline_s=5)


async def test_a_work_item_is_found_by_its_id_and_org(bench: Bench, work_items: WorkItems) -> None:
    await bench.put(work_items=[work_item("w1", "c1")])
    assert await work_items.work_item("w1", org=None) == work_item("w1", "c1")
    assert await work_items.work_item("w1", org="o1") == work_item("w1", "c1")
    assert await work_items.work_item("w1", org="o2") is None
    assert await work_items.work_item("w2", org=None) is None


async def test_the_work_items_of_a_conversation_come_latest_first(bench: Bench, work_items: WorkItems) -> None:
    items = [{**work_item(f"w{n}", "c1", active=n == 3), "workItemNumber": n} for n in (2, 1, 3)]
    await bench.put(work_items=[*items, work_item("w9", "c2")])
    found = await work_items.of_conversation("c1", org="o1", limit=10)
    assert found is not None
    assert [item["_id"] for item in found] == ["w3", "w2", "w1"]
    found = await work_items.of_conversation("c1", org=None, limit=2)
    assert found is not None
    assert [item["_id"] for item in found] == ["w3", "w2"]


async def test_a_conversation_without_work_items_has_none_and_an_unknown_one_is_not_found(
    bench: Bench, work_items: WorkItems
) -> None:
    await bench.put(conversations=[conversation("c1")], work_items=[work_item("w2", "c2")])
    assert await work_items.of_conversation("c1", org="o1", limit=10) == []
    assert await work_items.of_conversation("c1", org="o2", limit=10) is None
    assert await work_items.of_conversation("c2", org="o2", limit=10) is None
    assert await work_items.of_conversation("c3", org=None, limit=10) is None


@pytest.mark.parametrize(
    ("key", "org", "queue_id"),
    [
        ("chat", "o1", "q-1"), ("chat", "o2", "q-2"), ("chat", "o3", None), ("mail", "o1", "q-3"),
        ("named", "o1", "q-4"), ("named", "o2", None), ("named", None, "q-4"), ("", "o1", None),
    ],
)  # fmt: skip
async def test_a_queue_is_found_by_its_key_and_org(
    work_items: WorkItems, key: str, org: str | None, queue_id: str | None
) -> None:
    assert await work_items.queue_id(key, org=org) == queue_id


async def test_every_read_on_mongodb_uses_an_index(new_mongo: MongoBench) -> None:
    work_items = MongoWorkItems(new_mongo.client, new_mongo.database.name, deadline_s=5)
    await work_items.ensure_indexes()
    await work_items.ensure_indexes()
    await new_mongo.client.admin.command("setParameter", 1, notablescan=True)
    try:
        await work_items.work_item("w1", org="o1")
        await work_items.of_conversation("c1", org="o1", limit=10)
        await work_items.queue_id("chat", org="o1")
    finally:
        await new_mongo.client.admin.command("setParameter", 1, notablescan=False)


@pytest.mark.thorough
async def test_a_server_that_is_away_is_said(mongo: MongoBench) -> None:
    work_items = MongoWorkItems(mongo.client, mongo.database.name, deadline_s=0.5)
    for command, call in (("find", work_items.work_item), ("find", work_items.queue_id)):
        mode = {"failCommands": [command], "errorCode": 11600}
        await mongo.client.admin.command({"configureFailPoint": "failCommand", "mode": "alwaysOn", "data": mode})
        try:
            with pytest.raises(StoreAway):
                await call("w1", org=None)
        finally:
            await mongo.client.admin.command({"configureFailPoint": "failCommand", "mode": "off"})
