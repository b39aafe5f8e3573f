"""A database for `routing-sync sweep`, which the environment's settings name."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from pydantic import SecretStr
from pymongo import MongoClient

from commands.instant import format_instant
from mongod import Mongod
from tests.handlers.wire_events import ORG, conversation, work_item
from tests.worker.store.store_bench import DEADLINE_S
from worker.mongo.adapters.fleet import MongoFleet
from worker.mongo.client import mongo_client
from worker.settings.table import setting_rows

_numbers = count(1)


class SweptDatabase:
    """A database that the environment's settings name, read and written beside the verb."""

    def __init__(self, uri: str, name: str) -> None:
        self.uri, self.name = uri, name
        self.client: MongoClient[dict[str, Any]] = MongoClient(uri)
        self.documents = self.client[name]
        self.written_at = datetime.now(UTC) - timedelta(hours=2)
        self.watermark: str | None = None

    def put(self, key: str, *, users: tuple[str, ...] = (), user: str | None = None, status: str = "open") -> None:
        at = format_instant(self.written_at)
        c = conversation(2, key=key, users=users, status=status, updatedAt=at)
        w = work_item(2, key=f"w-{key}", of=key, user=user, status="queued", queuedCount=1, updatedAt=at)
        del c["id"], w["id"]
        self.documents["conversations"].insert_one({"_id": key, "org": ORG, "rev": 2, **c})
        more = {"conversationId": key, "active": True, "workItemNumber": 1}
        self.documents["work_items"].insert_one({"_id": f"w-{key}", "org": ORG, "rev": 2, **more, **w})

    def assigned(self, key: str) -> str | None:
        item = self.documents["work_items"].find_one({"_id": f"w-{key}"})
        assert item is not None
        target = item["relationships"].get("assignedTo")
        return str(target["data"]["id"]) if target and target["data"] else None

    def everything(self) -> dict[str, list[dict[str, Any]]]:
        return {name: list(self.documents[name].find()) for name in sorted(self.documents.list_collection_names())}

    def live_worker(self, behind: timedelta = timedelta(minutes=1)) -> None:
        """A worker leaves its watermark."""
        watermark = datetime.now(UTC) - behind
        self.watermark = format_instant(watermark)

        async def leave() -> None:
            async with mongo_client(SecretStr(self.uri), DEADLINE_S) as client:
                fleet = MongoFleet(client, self.name, deadline_s=DEADLINE_S)
                await fleet.leave_watermark("worker", watermark, 600)

        asyncio.run(leave())


@contextmanager
def swept_database(mongod: Mongod, monkeypatch: pytest.MonkeyPatch) -> Iterator[SweptDatabase]:
    """A new database; the settings of `routing-sync run` name it."""
    for row in setting_rows():
        monkeypatch.delenv(row.name, raising=False)
    name = f"sweep_{next(_numbers)}"
    variables = {
        "AWS_REGION": "us-east-1",
        "SNS_CONVERSATION_TOPIC_ARN": "arn:aws:sns:us-east-1:000000000000:conversations",
        "SNS_WORK_ITEM_TOPIC_ARN": "arn:aws:sns:us-east-1:000000000000:work-items",
        "SQS_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/000000000000/events",
        "MONGODB_URI": mongod.uri,
        "MONGODB_DATABASE": name,
    }
    for variable, value in variables.items():
        monkeypatch.setenv(variable, value)
    database = SweptDatabase(mongod.uri, name)
    with database.client:
        yield database
