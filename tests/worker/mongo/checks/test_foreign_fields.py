"""Rows 3 and 5: fields of another type, by which the worker's queries miss documents, are named at start."""

from typing import Any

import pytest
from bson import ObjectId

from tests.worker.store.store_bench import MongoBench
from worker.mongo.checks.foreign_fields import ForeignField
from worker.mongo.checks.foreign_ids import NO_TEXT

DIGITS = "6b0893e8268b3381b9b8ee61"
RIGHT: dict[str, dict[str, Any]] = {
    "work_items": {"conversationId": "c-1", "active": True},
    "work_sessions": {"user": "u-1", "active": True},
}


@pytest.mark.parametrize(
    ("collection", "field", "value", "shown"),
    [
        ("work_items", "conversationId", ObjectId(DIGITS), f"the ObjectId {DIGITS}"),
        ("work_items", "conversationId", 7, "the number 7"),
        ("work_sessions", "user", ObjectId(DIGITS), f"the ObjectId {DIGITS}"),
        *(("work_items", "active", value, f"the number {value:g}") for value in (1, 1.0)),
        ("work_items", "active", "true", 'the text "true"'),
        ("work_items", "active", None, "null"),
        ("work_items", "active", [True], "a list"),
        ("work_sessions", "active", 1, "the number 1"),
    ],
)
async def test_a_field_of_another_type_is_named(
    mongo: MongoBench, collection: str, field: str, value: object, shown: str
) -> None:
    """The conversation had no work-item, or a second one; the session was no session. No line said why."""
    documents = mongo.database[collection]
    right = RIGHT[collection]
    await documents.insert_many([{"_id": "x-1", "active": False}, {"_id": "x-2", **right, field: value}])
    assert await mongo.store.foreign_fields() == [
        ForeignField(collection=collection, field=field, count=1, id="x-2", found=shown)
    ]


async def test_documents_of_the_right_types_and_inactive_ones_are_not_named(mongo: MongoBench) -> None:
    for collection, document in RIGHT.items():
        rest = {**document, "active": False}
        await mongo.database[collection].insert_many([{"_id": "x-1", **document}, {"_id": "x-2", **rest}])
    assert await mongo.store.foreign_fields() == []


async def test_the_look_reads_no_more_than_a_thousand_documents(mongo: MongoBench) -> None:
    sessions = [{"_id": f"s-{number:04}", "user": number, "active": True} for number in range(1_005)]
    await mongo.database["work_sessions"].insert_many(sessions)
    [found] = await mongo.store.foreign_fields()
    assert (found.count, found.id, found.found) == (1_000, "s-0000", "the number 0")


async def test_the_look_for_keys_uses_the_index_and_reads_no_text(mongo: MongoBench) -> None:
    items = [{"_id": f"w-{number}", "conversationId": f"c-{number}", "active": True} for number in range(100)]
    await mongo.database["work_items"].insert_many(items)
    query = {"find": "work_items", "filter": {"active": True, "conversationId": {"$type": list(NO_TEXT)}}}
    explained = await mongo.database.command({"explain": query, "verbosity": "executionStats"})
    assert explained["executionStats"]["totalDocsExamined"] == 0
    assert explained["executionStats"]["totalKeysExamined"] <= len(NO_TEXT)
