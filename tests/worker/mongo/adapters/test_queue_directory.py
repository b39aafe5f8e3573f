"""The queues of work-items on MongoDB, as the service that owns them may store them."""

from typing import Any, Final

import pytest
from bson import ObjectId

from handlers.documents.stored_forms import UnreadableDocument
from tests.worker.store.store_bench import DEADLINE_S, MongoBench
from worker.mongo.adapters.queue_directory import MongoQueueDirectory
from worker.ports.waiting_times import QueueDescription
from worker.store.documents import Collection

QUEUES: Final[list[dict[str, Any]]] = [
    {"_id": "q1", "name": "Chat", "org": "o1", "key": "chat"},
    {
        "_id": "q2",
        "attributes": {"name": "Mail"},
        "relationships": {"org": {"data": {"id": "o2", "type": "org"}}, "team": None},
    },
    {"_id": "q3"},
    {
        "_id": "q4",
        "name": "top",
        "org": "o1",
        "attributes": {"name": "below"},
        "relationships": {"org": {"data": None}},
    },
    {"_id": ObjectId()},
]


@pytest.fixture
async def directory(mongo: MongoBench) -> MongoQueueDirectory:
    await mongo.database[Collection.QUEUES].insert_many(QUEUES)
    return MongoQueueDirectory(mongo.client, mongo.database.name, deadline_s=DEADLINE_S)


async def test_a_queue_has_its_name_and_org_from_either_place(directory: MongoQueueDirectory) -> None:
    assert await directory.described(["q1", "q2", "q3", "q4", "q9", "q1"]) == {
        "q1": QueueDescription(id="q1", name="Chat", org="o1"),
        "q2": QueueDescription(id="q2", name="Mail", org="o2"),
        "q3": QueueDescription(id="q3"),
        "q4": QueueDescription(id="q4", name="top", org="o1"),
    }
    assert await directory.described([]) == {}


async def test_the_first_queues_are_those_with_the_lowest_ids(directory: MongoQueueDirectory) -> None:
    assert await directory.first(2) == ["q1", "q2"]
    assert await directory.first(9) == ["q1", "q2", "q3", "q4"]


@pytest.mark.parametrize("fields", [{"name": 7}, {"org": {}}, {"attributes": {"name": False}}], ids=repr)
async def test_a_queue_with_a_field_of_another_type_is_unreadable(
    mongo: MongoBench, directory: MongoQueueDirectory, fields: dict[str, Any]
) -> None:
    await mongo.database[Collection.QUEUES].insert_one({"_id": "q5", **fields})
    with pytest.raises(UnreadableDocument, match="q5 in the store cannot be read"):
        await directory.described(["q5"])
