"""The contract of the port `QueueRules` (handlers/routing/queue_rules.py): one suite for both stores."""

from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

import pytest
from bson import ObjectId
from bson.decimal128 import Decimal128
from bson.int64 import Int64

from handlers.routing.queue_rules import QueueRules, RuleHit, first_hit
from tests.handlers.wire_events import Json
from tests.worker.store.store_bench import DEADLINE_S, Bench, MongoBench
from worker.mongo.adapters.queue_rules import MongoQueueRules
from worker.store.documents import Collection
from worker.store.memory.queue_rules import MemoryQueueRules

Seeded = Callable[[Iterable[Json], Iterable[Json]], Awaitable[QueueRules]]


@pytest.fixture
def seeded(bench: Bench) -> Seeded:
    async def seed(rules: Iterable[Json], queues: Iterable[Json]) -> QueueRules:
        if not isinstance(bench, MongoBench):
            return MemoryQueueRules(rules, queues)
        for collection, documents in ((Collection.QUEUE_RULES, rules), (Collection.QUEUES, queues)):
            for document in documents:
                await bench.database[collection].insert_one(dict(document))
        return MongoQueueRules(bench.client, bench.database.name, deadline_s=DEADLINE_S)

    return seed


def rule(key: Any, org: str, position: Any = 1, **fields: Any) -> Json:
    plain = {"enabled": True, "queue": f"q-{key}", "match": "all", "criteria": []}
    return {"_id": key, "org": org, "position": position, **plain, **fields}


EMAIL: Final = {"attribute": "channel", "operator": "eq", "value": "email"}


async def test_each_org_has_its_own_rules_and_default_queue(seeded: Seeded) -> None:
    rules = await seeded(
        [rule("r-2", "o-1", 2), rule("r-1", "o-1", 1, criteria=[EMAIL]), rule("r-3", "o-2")],
        [
            {"_id": "q-1", "org": "o-1", "itemSize": 2, "default": True},
            {"_id": "q-2", "org": "o-3", "attributes": {"default": True, "priority": 4}},
            {"_id": "q-3", "org": "o-4", "default": True},
        ],
    )
    found = await rules.of_orgs(["o-1", "o-2", "o-3", "o-none"])
    assert sorted(found) == ["o-1", "o-2", "o-3", "o-none"]
    assert [each.id for each in found["o-1"].rules] == ["r-1", "r-2"]
    assert [found[org].default for org in sorted(found)] == ["q-1", None, "q-2", None]
    assert found["o-1"].queues["q-1"].item_size == 2
    assert found["o-3"].queues["q-2"].priority == 4
    assert first_hit(found["o-1"], {"channel": "chat"}) == RuleHit(queue="q-r-2", rule="r-2")
    assert (found["o-none"].rules, found["o-none"].unreadable) == ((), ())


async def test_no_org_asks_for_nothing(seeded: Seeded) -> None:
    assert await (await seeded([rule("r-1", "o-1")], [])).of_orgs([]) == {}


async def test_one_that_cannot_be_read_is_named(seeded: Seeded) -> None:
    rules = await seeded([rule("r-1", "o-1", match="some"), rule("r-2", "o-1", 2)], [])
    found = (await rules.of_orgs(["o-1"]))["o-1"]
    assert [each.id for each in found.rules] == ["r-2"]
    assert [fault.partition(" ")[0] for fault in found.unreadable] == ["r-1"]


class TestOnMongo:
    async def test_numbers_of_every_type_are_positions(self, mongo: MongoBench) -> None:
        positions = [Int64(3), 1, 2.5, Decimal128("2")]
        rules = [rule(f"r-{number}", "o-1", position) for number, position in enumerate(positions)]
        await mongo.database[Collection.QUEUE_RULES].insert_many(rules)
        adapter = MongoQueueRules(mongo.client, mongo.database.name, deadline_s=DEADLINE_S)
        found = (await adapter.of_orgs(["o-1"]))["o-1"]
        assert [each.id for each in found.rules] == ["r-1", "r-3", "r-2", "r-0"]

    async def test_ids_that_mongodb_made_are_no_ids_of_rules(self, mongo: MongoBench) -> None:
        key = ObjectId()
        await mongo.database[Collection.QUEUE_RULES].insert_one(rule(key, "o-1"))
        await mongo.database[Collection.QUEUES].insert_one({"_id": ObjectId(), "org": "o-1", "default": True})
        adapter = MongoQueueRules(mongo.client, mongo.database.name, deadline_s=DEADLINE_S)
        found = (await adapter.of_orgs(["o-1"]))["o-1"]
        assert (found.rules, found.default, len(found.unreadable)) == ((), None, 2)
        assert any(f"the ObjectId {key}" in fault or str(key) in fault for fault in found.unreadable)

    async def test_both_queries_use_an_index(self, new_mongo: MongoBench) -> None:
        await new_mongo.store.ensure_indexes(revision_days=0, queue_rules=True)
        await new_mongo.database[Collection.QUEUE_RULES].insert_many([rule(f"r-{n}", f"o-{n % 9}") for n in range(90)])
        await new_mongo.database.command("profile", 2)
        try:
            adapter = MongoQueueRules(new_mongo.client, new_mongo.database.name, deadline_s=DEADLINE_S)
            await adapter.of_orgs(["o-1"])
        finally:
            await new_mongo.database.command("profile", 0)
        entries = await new_mongo.database["system.profile"].find({"op": "query"}).to_list()
        assert {entry["command"]["find"] for entry in entries} == {"queue_rules", "queues"}
        assert all("IXSCAN { org: 1 }" in entry["planSummary"] for entry in entries)
        assert max(entry["docsExamined"] for entry in entries) == 10
