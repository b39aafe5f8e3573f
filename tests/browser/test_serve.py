"""The pages as `routing-sync serve` serves them: a process of its own, on a real MongoDB."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from typing import Any, Final

import pytest
import pytest_asyncio
from msgspec import Struct
from playwright.async_api import Browser, expect
from pymongo import AsyncMongoClient

from mongod import Mongod
from moto_server import MotoServer
from tests.browser.page_checks import Findings
from tests.browser.serve_process import ServeProcess
from tests.worker.api.pages import seeded
from tests.worker.stand_ins.moto_clients import opened
from worker.mongo.adapters.status_board import MongoStatusBoard
from worker.store.documents import Collection, announcement_document

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

TOKEN: Final = "a-long-random-text"
DATABASE: Final = "pages"


class Serving(Struct, frozen=True):
    process: ServeProcess
    mongod: Mongod
    client: AsyncMongoClient[dict[str, Any]]

    async def put(self, collection: Collection, document: dict[str, Any]) -> None:
        await self.client[DATABASE][collection].replace_one({"_id": document["_id"]}, document, upsert=True)


async def _seed(serving: Serving) -> None:
    contents = {
        Collection.CONVERSATIONS: seeded.conversations(),
        Collection.WORK_ITEMS: seeded.work_items(),
        Collection.SYNC_STATES: seeded.state_documents(),
        Collection.WAITS: seeded.waits(),
        Collection.OUTBOX: [announcement_document(entry) for entry in seeded.announcements()],
        Collection.QUEUES: [{"_id": key, "name": seeded.CUSTOMER} for key in seeded.QUEUES],
    }
    for collection, documents in contents.items():
        for document in documents:
            await serving.put(collection, dict(document))
    board = MongoStatusBoard(serving.client, DATABASE, deadline_s=10)
    for report in seeded.reports():
        await board.post(report)


@pytest_asyncio.fixture(loop_scope="session")
async def serving(
    request: pytest.FixtureRequest, moto: MotoServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Serving]:
    """The process on a MongoDB of its own, which a test may stop. The parameter: more of its environment."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    async with opened(moto) as aws:
        topics = await aws.provisioned()
    environment = {
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": moto.endpoint,
        "SNS_CONVERSATION_TOPIC_ARN": topics.conversation_topic_arn,
        "SNS_WORK_ITEM_TOPIC_ARN": topics.work_item_topic_arn,
        "MONGODB_DATABASE": DATABASE,
        **getattr(request, "param", {}),
    }
    mongod = Mongod()
    await asyncio.to_thread(mongod.start)
    try:
        process = await ServeProcess.started({**environment, "MONGODB_URI": mongod.uri})
        async with AsyncMongoClient[dict[str, Any]](mongod.uri) as client:
            serving = Serving(process, mongod, client)
            await _seed(serving)
            yield serving
        await process.stop()
    finally:
        await asyncio.to_thread(mongod.close)


async def test_it_shows_what_mongodb_holds_live_until_mongodb_is_gone_and_the_process_stops(
    serving: Serving, browser: Browser
) -> None:
    findings, url = Findings(), serving.process.url
    async with await browser.new_context() as context:
        page = await context.new_page()
        findings.watch(page)
        await page.goto(url)
        await page.get_by_text("Live", exact=True).wait_for()
        pairs = page.get_by_role("region", name="Pairs out of step")
        await expect(pairs.locator("[id^=row-] a")).to_have_text(
            [seeded.UNREADABLE, seeded.UNHEARD, seeded.WAITING, seeded.ODD_ID]
        )
        await expect(pairs).to_contain_text("assignee: no event of the conversation's revisions 6–7")
        await expect(page.get_by_role("region", name="Queues")).to_contain_text("q-chat")
        await expect(page.get_by_role("region", name="Last decisions")).to_contain_text("STORED_DOCUMENT_UNREADABLE")
        await expect(page.get_by_role("region", name="Workers")).to_contain_text("routing-sync-7d9f-abcde:1")
        assert seeded.CUSTOMER not in await page.content()
        # A change in MongoDB shows, and then that it is gone.
        (state,) = [each for each in seeded.state_documents() if each["_id"] == seeded.WAITING]
        await serving.put(Collection.SYNC_STATES, {**state, "waitingSince": None, "waitingRevs": None})
        await expect(pairs.locator("[id^=row-] a")).to_have_text([seeded.UNREADABLE, seeded.UNHEARD, seeded.ODD_ID])
        findings.check(url)
        # A client whose server goes away leaves sockets behind.
        await serving.client.close()
        await asyncio.to_thread(serving.mongod.stop)
        await expect(page.locator("#summary")).to_have_text("MongoDB is away.")
        # A stop waits for no viewer.
        assert await serving.process.stop() == 0
        await expect(page.locator("#live-state")).to_contain_text("UTC, trying again")


@pytest.mark.parametrize(
    "serving",
    [{"API_TOKENS": f"ada:read:{hashlib.sha256(TOKEN.encode()).hexdigest()}"}],
    indirect=True,
    ids=["with a token"],
)
async def test_with_tokens_a_browser_asks_for_one_and_is_live_with_it(serving: Serving, browser: Browser) -> None:
    url = serving.process.url
    async with await browser.new_context() as stranger:
        answer = await stranger.request.get(url)
        assert (answer.status, answer.headers["www-authenticate"].split()[0]) == (401, "Basic")
        assert seeded.WAITING not in await answer.text()
    async with await browser.new_context(http_credentials={"username": "ada", "password": TOKEN}) as context:
        page = await context.new_page()
        await page.goto(f"{url}/conversations/{seeded.WAITING}")
        await page.get_by_text("Live", exact=True).wait_for()
        await expect(page.locator("#summary")).to_contain_text("Waits: assignee, since")
