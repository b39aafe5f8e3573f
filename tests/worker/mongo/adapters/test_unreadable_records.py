"""Rows 2 and 3 of the public failures in the worker's own collections: outbox, sync states by age, fleet."""

from datetime import timedelta
from typing import Any

import pytest
from bson import ObjectId

from tests.worker.store.plans import T0, announcement
from tests.worker.store.store_bench import DEADLINE_S, MongoBench
from worker.errors import StoreUnfit
from worker.mongo.adapters.fleet import MongoFleet
from worker.store.documents import Collection, announcement_document

LATER = T0 + timedelta(hours=1)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"_id": ObjectId("6b0893e8268b3381b9b8ee62")}, "_id is a value of the type ObjectId, not `str`"),
        ({"message": b"{}"}, "message is a value of the type bytes, not `str`"),
        ({"side": "sideways"}, 'side is the text "sideways", not one of the known values'),
        ({"conversationId": None}, "conversationId is null, not `str`"),
    ],
)
async def test_rows_2_and_3_an_outbox_entry_is_set_aside(mongo: MongoBench, wrong: dict[str, Any], said: str) -> None:
    """It ended the worker as a fault in its code."""
    good = announcement("a1")
    await mongo.database[Collection.OUTBOX].insert_many(
        [announcement_document(good), {**announcement_document(announcement("a2")), **wrong}]
    )
    assert await mongo.outbox.waiting_entries(LATER, 10) == [good]
    assert await mongo.outbox.waiting_entries(LATER, 10) == [good]
    assert (await mongo.outbox.backlog()).set_aside == 1
    [aside] = await mongo.database[Collection.OUTBOX].find({"status": "set-aside"}).to_list()
    assert aside["reason"].startswith("STORED_DOCUMENT_UNREADABLE: ")
    assert aside["reason"].endswith(said)


async def test_rows_2_and_3_an_entry_whose_time_is_a_text_has_no_age(mongo: MongoBench) -> None:
    await mongo.database[Collection.OUTBOX].insert_one(
        {**announcement_document(announcement("a1")), "createdAt": "now"}
    )
    backlog = await mongo.outbox.backlog()
    assert (backlog.count, backlog.oldest) == (1, None)


async def test_row_3_a_state_under_an_object_id_is_no_conversations(mongo: MongoBench) -> None:
    since = "2024-05-06T07:08:09.123Z"
    await mongo.database[Collection.SYNC_STATES].insert_many(
        [{"_id": ObjectId(), "waitingSince": since}, {"_id": "c1", "waitingSince": since}]
    )
    assert await mongo.states_by_age.waiting_since_before(LATER, 10) == ["c1"]


async def test_row_2_a_start_of_the_deployment_that_is_no_date_is_named(mongo: MongoBench) -> None:
    await mongo.database[Collection.FLEET].insert_one({"_id": "start", "at": "2024-05-06"})
    fleet = MongoFleet(mongo.client, mongo.database.name, deadline_s=DEADLINE_S)
    with pytest.raises(StoreUnfit, match='at is the text "2024-05-06", not a date'):
        await fleet.started_at()
