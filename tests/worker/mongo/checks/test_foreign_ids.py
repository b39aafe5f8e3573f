"""Row 5 of the public failures: `_id`s kept as ObjectIds. The start says so; what appears later is named, too."""

from typing import Any
from uuid import UUID

import pytest
from bson import ObjectId
from bson.binary import Binary

from commands.reason import ReasonCode
from handlers.ports import LoadRequest
from tests.handlers.wire_events import changes, conversation, event, work_item
from tests.worker.store.documents.test_unreadable_documents import detail, handled, stored
from tests.worker.store.store_bench import MongoBench, everything
from worker.errors import StoreUnfit
from worker.mongo.checks.foreign_ids import NO_TEXT, StrayDocument
from worker.store.documents import Collection

CONVERSATION, WORK_ITEM = "6b0893e8268b3381b9b8ee61", "6b0893e8268b3381b9b8ee62"


def under_object_id(document: dict[str, Any]) -> dict[str, Any]:
    return {**document, "_id": ObjectId(document["_id"])}


COLLECTIONS = ["conversations", "work_items", "work_sessions", "queues", "sync_states"]


UUID_TEXT = "22db5889-e88a-4898-8892-aa6a5aae0f05"
OTHER_IDS: list[tuple[Any, str]] = [
    (ObjectId(CONVERSATION), f"the ObjectId {CONVERSATION}"),
    (Binary.from_uuid(UUID(UUID_TEXT)), f"the UUID {UUID_TEXT}"),
    (42, "the number 42"),
    (42.0, "the number 42"),
]


@pytest.mark.thorough
@pytest.mark.parametrize("collection", COLLECTIONS)
@pytest.mark.parametrize(("key", "shown"), OTHER_IDS)
async def test_row_5_the_start_names_a_collection_of_ids_that_are_no_texts(
    mongo: MongoBench, collection: str, key: Any, shown: str
) -> None:
    await mongo.database[collection].insert_one({"_id": key})
    with pytest.raises(StoreUnfit, match=rf"^{collection} holds documents whose _id is no text \({shown}\)"):
        await mongo.store.documents_under_foreign_ids()


@pytest.mark.thorough
@pytest.mark.parametrize("collection", COLLECTIONS)
@pytest.mark.parametrize(("key", "shown"), OTHER_IDS)
async def test_row_5_a_document_under_another_id_beside_texts_does_not_end_the_start(
    mongo: MongoBench, collection: str, key: Any, shown: str
) -> None:
    """A shell's `insertOne` ended every later start, while the workers that ran went on."""
    await mongo.database[collection].insert_one({"_id": "a text"})
    assert await mongo.store.documents_under_foreign_ids() == []
    await mongo.database[collection].insert_one({"_id": key})
    stray = StrayDocument(collection=collection, id=shown)
    assert await mongo.store.documents_under_foreign_ids() == [stray]


async def test_row_5_the_check_looks_into_the_index(mongo: MongoBench) -> None:
    await mongo.database["queues"].insert_many([{"_id": f"q-{number}"} for number in range(50)])
    for types in (list(NO_TEXT), ["string"]):
        query = {"find": "queues", "filter": {"_id": {"$type": types}}, "projection": {"_id": True}, "limit": 1}
        explained = await mongo.database.command({"explain": query, "verbosity": "executionStats"})
        assert explained["executionStats"]["totalDocsExamined"] == 0
        assert explained["executionStats"]["totalKeysExamined"] <= len(NO_TEXT)


TAKEN = changes({"assignedUsers": ([], ["u-1"])})


async def test_row_5_a_conversation_that_appears_under_an_object_id_is_named(mongo: MongoBench) -> None:
    """It was NO_CONVERSATION for ever, or a second document beside the first."""
    document = under_object_id(stored(conversation(5, key=CONVERSATION)))
    await mongo.database[Collection.CONVERSATIONS].insert_one(document)
    thing = event(conversation(6, key=CONVERSATION, users=("u-1",)), changes=TAKEN)
    for state_from_events in (False, True):
        [end] = await handled(mongo, thing, state_from_events=state_from_events)
        assert detail(end) == (
            f"ObjectId {CONVERSATION} in the store cannot be read: _id is the ObjectId {CONVERSATION}, not a text"
        )
    assert [each["_id"] for each in await mongo.documents(Collection.CONVERSATIONS)] == [ObjectId(CONVERSATION)]


@pytest.mark.parametrize(("key", "text"), [(42, "42"), (42.0, "42"), (Binary.from_uuid(UUID(UUID_TEXT)), UUID_TEXT)])
async def test_row_5_a_conversation_that_appears_under_a_number_or_uuid_is_named(
    mongo: MongoBench, key: Any, text: str
) -> None:
    """A second document was stored beside it."""
    document = {**stored(conversation(5, key=text)), "_id": key}
    await mongo.database[Collection.CONVERSATIONS].insert_one(document)
    thing = event(conversation(6, key=text, users=("u-1",)), changes=TAKEN)
    [end] = await handled(mongo, thing, state_from_events=True)
    assert detail(end).endswith(f" {text}, not a text")
    assert [each["_id"] for each in await mongo.documents(Collection.CONVERSATIONS)] == [key]


@pytest.mark.parametrize("status", ["queued", "completed"])
async def test_row_5_a_work_item_that_appears_under_an_object_id_is_named(mongo: MongoBench, status: str) -> None:
    """The active one is found by its conversation, the completed one by its digits."""
    document = under_object_id(stored(work_item(5, key=WORK_ITEM, of=CONVERSATION, status=status)))
    await mongo.database[Collection.WORK_ITEMS].insert_one(document)
    await mongo.put(conversations=[stored(conversation(5, key=CONVERSATION))])
    before = await everything(mongo)
    [end] = await handled(mongo, event(work_item(6, key=WORK_ITEM, of=CONVERSATION)), state_from_events=True)
    assert f"_id is the ObjectId {WORK_ITEM}, not a text" in detail(end)
    assert await everything(mongo) == before


@pytest.mark.parametrize("key", [WORK_ITEM, ObjectId(WORK_ITEM)], ids=["text", "ObjectId"])
@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"conversationId": ["c-1", "c-2"]}, "conversationId is a list, not a text"),
        ({"conversationId": [7, "c-1", None, ["c-2"], "c-2"]}, "conversationId is a list, not a text"),
    ],
)
async def test_row_5_an_active_work_item_of_a_list_of_conversations_is_named_for_each(
    mongo: MongoBench, key: Any, wrong: dict[str, Any], said: str
) -> None:
    """MongoDB finds a text in a list, too. It was no active work-item, or a fault in our code for the whole batch."""
    document = {**stored(work_item(5, key=WORK_ITEM, of="c-1")), "_id": key, **wrong}
    await mongo.database[Collection.WORK_ITEMS].insert_one(document)
    await mongo.put(conversations=[stored(conversation(5, key=name)) for name in ("c-1", "c-2", "c-3")])
    events = [event(conversation(6, key=name, users=("u-1",)), changes=TAKEN) for name in ("c-1", "c-2", "c-3")]
    ends = await handled(mongo, *events)
    for end in ends[:2]:
        assert detail(end).endswith(f"{WORK_ITEM} in the store cannot be read: {said}")
    assert ends[2].audit.reasons[0].code is ReasonCode.NO_ACTIVE_WORK_ITEM


async def test_row_3_an_active_work_item_whose_active_is_a_list_is_named(mongo: MongoBench) -> None:
    """MongoDB finds true in a list, too."""
    document = {**stored(work_item(5, key="w-1", of="c-1")), "active": [True]}
    await mongo.database[Collection.WORK_ITEMS].insert_one(document)
    await mongo.put(conversations=[stored(conversation(5, key="c-1"))])
    [end] = await handled(mongo, event(conversation(6, key="c-1", users=("u-1",)), changes=TAKEN))
    assert detail(end) == "w-1 in the store cannot be read: active is a list, not true or false"


async def test_row_5_it_costs_a_query_for_a_batch_and_only_where_documents_are_missing(mongo: MongoBench) -> None:
    there, missing = [f"{number:024x}" for number in range(20)], [f"{number:024x}" for number in range(20, 40)]
    await mongo.put(conversations=[stored(conversation(5, key=key)) for key in there])
    mongo.commands.take()
    await mongo.store.load([LoadRequest(conversation_id=key) for key in there])
    assert mongo.commands.take() == ["find"] * 3
    await mongo.store.load([LoadRequest(conversation_id=key) for key in (*there, *missing)])
    assert mongo.commands.take() == ["find"] * 4
