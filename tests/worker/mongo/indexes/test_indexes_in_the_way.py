"""Row 18: what stands in the way of an index is named; an index with the same keys and options is taken for ours."""

from typing import Any

import pytest
from bson import ObjectId
from pymongo import ASCENDING

from handlers.ports import CommitResult, PlanRejected
from tests.worker.store.plans import first_plan, work_item
from tests.worker.store.store_bench import MongoBench
from worker.errors import StoreUnfit
from worker.store.documents import Collection

pytestmark = pytest.mark.thorough

DAY_S = 86_400
ACTIVE = {"active": True}


async def _unfit(bench: MongoBench) -> str:
    """The line with which the start ends."""
    with pytest.raises(StoreUnfit) as raised:
        await bench.store.ensure_indexes(revision_days=30)
    assert "\n" not in str(raised.value)
    return str(raised.value)


async def _names(bench: MongoBench, collection: Collection) -> set[str]:
    return set(await bench.database[collection].index_information()) - {"_id_"}


async def test_row_18_our_index_under_another_name_is_ours(new_mongo: MongoBench) -> None:
    database = new_mongo.database
    for collection in (Collection.WORK_ITEMS, Collection.OUTBOX, Collection.WORK_ITEM_REVISIONS):
        await database[collection].drop_indexes()
    await database[Collection.WORK_ITEMS].create_index(
        [("conversationId", ASCENDING)], name="theirs", unique=True, partialFilterExpression=ACTIVE
    )
    # A shell writes its numbers as doubles.
    theirs = {"key": {"status": 1.0, "createdAt": 1.0}, "name": "theirs"}
    await database.command({"createIndexes": Collection.OUTBOX.value, "indexes": [theirs]})
    await database[Collection.WORK_ITEM_REVISIONS].create_index(
        "createdAt", name="theirs", expireAfterSeconds=30.0 * DAY_S
    )
    await new_mongo.store.ensure_indexes(revision_days=30)
    for collection in (Collection.WORK_ITEMS, Collection.OUTBOX, Collection.WORK_ITEM_REVISIONS):
        assert "theirs" in await _names(new_mongo, collection)


@pytest.mark.parametrize(
    ("keys", "options", "shown"),
    [
        ([("conversationId", 1)], {"partialFilterExpression": ACTIVE}, "(conversationId 1; partialFilterExpression "),
        ([("conversationId", 1)], {"unique": True}, "(conversationId 1; unique True)"),
        ([("conversationId", -1)], {"unique": True, "partialFilterExpression": ACTIVE}, "(conversationId -1; "),
        ([("org", 1), ("rev", -1)], {}, "(org 1, rev -1)"),
    ],
)
async def test_row_18_an_index_of_others_with_our_name_is_named(
    new_mongo: MongoBench, keys: list[tuple[str, int]], options: dict[str, Any], shown: str
) -> None:
    items = new_mongo.database[Collection.WORK_ITEMS]
    await items.drop_indexes()
    await items.create_index(keys, name="one_active_a_conversation", **options)
    line = await _unfit(new_mongo)
    assert line.startswith("work_items: the index one_active_a_conversation on (conversationId 1; unique True, ")
    assert f"another index stands there, one_active_a_conversation on {shown}" in line
    assert 'db.work_items.dropIndex("one_active_a_conversation")' in line


async def test_row_18_an_index_of_others_on_our_keys_is_named(new_mongo: MongoBench) -> None:
    revisions = new_mongo.database[Collection.WORK_ITEM_REVISIONS]
    await revisions.drop_indexes()
    await revisions.create_index("createdAt", name="theirs", expireAfterSeconds=DAY_S)
    line = await _unfit(new_mongo)
    assert line.startswith("work_item_revisions: the index expired_revisions on (createdAt 1; expireAfterSeconds ")
    assert f"another index stands there, theirs on (createdAt 1; expireAfterSeconds {DAY_S})" in line
    assert await _names(new_mongo, Collection.WORK_ITEM_REVISIONS) == {"theirs"}


async def test_row_18_a_view_in_the_place_of_a_collection_is_named(new_mongo: MongoBench) -> None:
    await new_mongo.database.drop_collection(Collection.OUTBOX)
    await new_mongo.database.create_collection(Collection.OUTBOX, viewOn="conversations", pipeline=[])
    line = await _unfit(new_mongo)
    assert line.startswith("outbox: the index by_status_and_age on (status 1, createdAt 1) cannot be made: the driver ")


@pytest.mark.parametrize(("count", "rest"), [(1, ""), (2, ""), (10, ""), (12, " and 2 more")])
async def test_row_18_conversations_with_two_active_work_items_are_named(
    new_mongo: MongoBench, count: int, rest: str
) -> None:
    items = new_mongo.database[Collection.WORK_ITEMS]
    await items.drop_indexes()
    conversations = [f"c{number:02}" for number in range(count)]
    await items.insert_many([work_item(f"{each}-{copy}", each) for each in conversations for copy in (1, 2)])
    await items.insert_one(work_item("w-alone", "alone"))
    named, who = ", ".join(conversations[:10]), "conversation has" if count == 1 else "conversations have"
    assert await _unfit(new_mongo) == (
        f"work_items: the unique index one_active_a_conversation cannot be made, as {count} {who} more than one active "
        f"work-item: {named}{rest}: complete all but one of each"
    )


@pytest.mark.parametrize(
    ("collection", "fields", "options"),
    [
        (Collection.WORK_ITEMS, ["conversationId"], {}),
        (Collection.WORK_ITEMS, ["conversationId"], {"partialFilterExpression": {"active": 1.0}}),
        (Collection.WORK_ITEMS, ["conversationId"], {"partialFilterExpression": {"active": False}}),
        (Collection.SYNC_STATES, ["waitingSince"], {"sparse": True}),
        (Collection.OUTBOX, ["status"], {}),
        (Collection.OUTBOX, ["createdAt", "status"], {}),
        (Collection.WORK_ITEM_REVISIONS, ["createdAt"], {}),
    ],
)
async def test_row_18_a_stricter_unique_index_ends_the_start(
    new_mongo: MongoBench, collection: Collection, fields: list[str], options: dict[str, Any]
) -> None:
    """The start went well, and a second work-item of a conversation lost against other writers that do not exist.

    In Python `True == 1.0`, in MongoDB they differ: an index of the items whose `active` is 1 was taken for ours.
    """
    found = new_mongo.database[collection]
    await found.drop_indexes()
    await found.create_index([(field, -1) for field in fields], name="theirs", unique=True, **options)
    line = await _unfit(new_mongo)
    assert line.startswith(f"{collection.value}: the unique index theirs on ({fields[0]} -1")
    assert f'refuses documents that the worker writes: drop it, db.{collection.value}.dropIndex("theirs")' in line
    assert "theirs" in await _names(new_mongo, collection)


async def test_row_18_our_condition_in_other_words_is_ours(new_mongo: MongoBench) -> None:
    items = new_mongo.database[Collection.WORK_ITEMS]
    await items.drop_indexes()
    same = {"active": {"$eq": True}}
    await items.create_index("conversationId", name="theirs", unique=True, partialFilterExpression=same)
    await new_mongo.store.ensure_indexes(revision_days=30)
    assert await _names(new_mongo, Collection.WORK_ITEMS) == {"theirs"}


async def test_row_18_an_index_of_the_numbers_1_is_not_ours(new_mongo: MongoBench) -> None:
    sessions = new_mongo.database[Collection.WORK_SESSIONS]
    await sessions.drop_indexes()
    await sessions.create_index("user", name="theirs", partialFilterExpression={"active": 1.0})
    await new_mongo.store.ensure_indexes(revision_days=30)
    assert await _names(new_mongo, Collection.WORK_SESSIONS) == {"theirs", "active_by_user"}


@pytest.mark.parametrize(
    ("collection", "fields", "options"),
    [
        (Collection.WORK_ITEMS, ["conversationId", "workItemNumber"], {}),
        (Collection.WORK_ITEMS, ["attributes.externalId"], {"sparse": True}),
        (Collection.WORK_ITEMS, ["conversationId"], {"partialFilterExpression": {"active": True, "org": "o"}}),
        # The worker stores no session.
        (Collection.WORK_SESSIONS, ["user"], {}),
    ],
)
async def test_row_18_a_unique_index_of_others_may_stand_beside_ours(
    new_mongo: MongoBench, collection: Collection, fields: list[str], options: dict[str, Any]
) -> None:
    found = new_mongo.database[collection]
    await found.create_index([(field, 1) for field in fields], name="theirs", unique=True, **options)
    await new_mongo.store.ensure_indexes(revision_days=30)
    assert "theirs" in await _names(new_mongo, collection)


async def test_row_18_a_list_of_conversations_counts_for_each(new_mongo: MongoBench) -> None:
    """They were `0 conversations`, without a name."""
    items = new_mongo.database[Collection.WORK_ITEMS]
    await items.drop_indexes()
    await items.insert_many([work_item("w-1", "c1"), {**work_item("w-2", "c2"), "conversationId": ["c1", "c2", "c2"]}])
    line = await _unfit(new_mongo)
    assert "as 1 conversation has more than one active work-item: c1: complete all but one" in line


@pytest.mark.parametrize(
    ("key", "shown"),
    [
        (None, "null or missing"),
        ({"$oid": "x" * 5_000}, "an object"),
        (ObjectId("6b0893e8268b3381b9b8ee61"), "the ObjectId 6b0893e8268b3381b9b8ee61"),
        ("two\nlines", "a text of 9 characters"),
        (7.0, "the number 7"),
    ],
)
async def test_row_18_a_conversation_id_that_is_no_id_is_shown_in_short(
    new_mongo: MongoBench, key: object, shown: str
) -> None:
    items = new_mongo.database[Collection.WORK_ITEMS]
    await items.drop_indexes()
    await items.insert_many([{**work_item(f"w-{copy}", "c1"), "conversationId": key} for copy in (1, 2)])
    assert f"more than one active work-item: {shown}: complete all but one" in await _unfit(new_mongo)


@pytest.mark.parametrize("name", ["theirs", "of two words"])
async def test_row_18_a_unique_index_of_others_that_refuses_a_document_is_named(
    new_mongo: MongoBench, name: str
) -> None:
    """It was a conflict with other writers, to be tried again for ever."""
    await new_mongo.database[Collection.WORK_ITEMS].create_index("type", name=name, unique=True)
    results = await new_mongo.store.commit([first_plan("c1"), first_plan("c2")])
    assert results == [
        CommitResult.COMMITTED,
        PlanRejected(conversation_id="c2", reason=f"the unique index {name}, which is not the worker's, refuses it"),
    ]


async def test_row_18_our_own_unique_index_means_another_writer_under_any_name(new_mongo: MongoBench) -> None:
    items = new_mongo.database[Collection.WORK_ITEMS]
    await items.drop_indexes()
    await items.create_index("conversationId", name="theirs", unique=True, partialFilterExpression=ACTIVE)
    await items.insert_one(work_item("w-other", "c1"))
    assert await new_mongo.store.commit([first_plan("c1")]) == [CommitResult.CONFLICT]
