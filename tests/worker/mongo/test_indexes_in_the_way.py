"""Row 18: what stands in the way of an index is named; an index with the same keys and options is taken for ours."""

from typing import Any

import pytest
from pymongo import ASCENDING

from tests.worker.store.plans import work_item
from tests.worker.store.store_bench import MongoBench
from worker.errors import StoreUnfit
from worker.store.documents import Collection

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
        assert await _names(new_mongo, collection) == {"theirs"}


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
