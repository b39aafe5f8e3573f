"""The pages' answers over HTTP."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import aiohttp
import pytest

from handlers.ports import StoreAway
from tests.worker.api.pages import seeded
from tests.worker.api.pages.page_server import served
from tests.worker.api.pages.system import System
from worker.api.pages.live import STREAMS_MAX
from worker.api.pages.rendering import ASSETS, pair_path
from worker.api.pages.router import Pages
from worker.ports.status import WorkerReport

pytestmark = pytest.mark.thorough

PATHS = ["/", f"/conversations/{seeded.WAITING}", "/live/status", f"/live/conversations/{seeded.WAITING}"]


class PagesClient:
    """Asks for the pages of a system. `allowed`: whether its client may read them."""

    def __init__(self, system: System, url: str, http: aiohttp.ClientSession) -> None:
        self.system = system
        self.url = url
        self.http = http
        self.allowed = True

    async def get(self, path: str, *, method: str = "GET") -> tuple[int, str]:
        async with self.http.request(method, f"{self.url}{path}", allow_redirects=False) as answer:
            self.headers = answer.headers
            return answer.status, await answer.text()


@pytest.fixture
async def site() -> AsyncIterator[PagesClient]:
    system = await System.seeded()
    site: PagesClient | None = None

    def may_read(_: object) -> bool:
        return site is not None and site.allowed

    async with served(Pages(system.sources, may_read=may_read)) as url, aiohttp.ClientSession() as http:
        site = PagesClient(system, url, http)
        yield site


@pytest.mark.parametrize("key", [*seeded.states(), "with space", "ünïcode"])
async def test_every_id_has_its_page(site: PagesClient, key: str) -> None:
    status, text = await site.get(pair_path(key))
    assert status == (200 if key in seeded.states() else 404)
    assert text.count("<h1>") == 1
    assert seeded.CUSTOMER not in text
    assert "<b>" not in text


@pytest.mark.parametrize(
    ("query", "target"),
    [
        ("?id=c1", "/conversations/c1"),
        ("?id=%20odd%2Fid%3F%20", "/conversations/odd%2Fid%3F"),
        ("?id=%2F%2Fevil.example", "/conversations/%2F%2Fevil.example"),
        ("?id=", "/"),
        ("", "/"),
        (f"?id={'x' * 201}", "/"),
    ],
)
async def test_the_form_leads_to_the_pairs_page(site: PagesClient, query: str, target: str) -> None:
    status, _ = await site.get(f"/conversations{query}")
    assert (status, site.headers["Location"]) == (303, target)


async def test_no_id_has_no_page(site: PagesClient) -> None:
    status, _ = await site.get("/conversations/")
    assert (status, site.headers["Location"]) == (303, "/")


async def test_a_watermark_that_is_not_measured_yet_is_no_alarm() -> None:
    system = System()
    await system.status.post(WorkerReport(worker="w", interval_s=5, no_watermark="SILENCE", up_s=40.0))
    async with served(Pages(system.sources, may_read=lambda _: True)) as url, aiohttp.ClientSession() as http:
        _, page = await PagesClient(system, url, http).get("/")
    assert (
        "not measured yet</span> no worker has measured a watermark yet (SILENCE): the first one started 40 s ago"
        in page
    )
    assert 'id="away" class="doubt"' in page


async def test_an_outage_says_since_when_it_was_seen() -> None:
    system = await System.seeded()
    pages = Pages(system.sources, may_read=lambda _: True, interval_s=0)
    async with served(pages) as url, aiohttp.ClientSession() as http:
        site = PagesClient(system, url, http)
        system.away = StoreAway("no primary")
        assert "Seen first at" in (await site.get("/"))[1]
        system.clock.instant = seeded.ago(-200)
        assert "3 min 20 s ago" in (await site.get("/"))[1]
        system.away = None
        assert "Seen first at" not in (await site.get("/"))[1]


async def test_an_id_that_is_too_long_is_not_looked_for(site: PagesClient) -> None:
    reads = site.system.reads
    for path in (f"/conversations/{'x' * 201}", f"/live/conversations/{'x' * 201}"):
        assert (await site.get(path))[0] == 404
    assert site.system.reads == reads


@pytest.mark.parametrize("path", PATHS[:2])
async def test_a_store_that_is_away_is_a_503_that_says_so(site: PagesClient, path: str) -> None:
    site.system.away = StoreAway("no primary")
    status, text = await site.get(path)
    assert status == 503
    assert "no primary" in text


@pytest.mark.parametrize("path", PATHS)
async def test_who_may_not_read_every_org_sees_none(site: PagesClient, path: str) -> None:
    site.allowed = False
    status, text = await site.get(path)
    assert status == 403
    assert "5ff4a1" not in text
    assert site.system.reads == 0


@pytest.mark.parametrize("path", PATHS[:2])
async def test_a_page_is_kept_by_no_cache_and_framed_by_nobody(site: PagesClient, path: str) -> None:
    await site.get(path)
    policy = site.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert site.headers["Cache-Control"] == "no-store"
    assert site.headers["X-Content-Type-Options"] == "nosniff"
    status, body = await site.get(path, method="HEAD")
    assert (status, body) == (200, "")


@pytest.mark.parametrize("name", ASSETS)
async def test_a_pages_files_are_served(site: PagesClient, name: str) -> None:
    status, text = await site.get(f"/assets/{name}")
    assert (status, text.encode()) == (200, ASSETS[name].content)
    assert site.headers["Content-Type"].startswith(ASSETS[name].media_type)


async def test_no_other_file_is_served(site: PagesClient) -> None:
    for name in ("router.py", "..%2Frouter.py", "%2Fetc%2Fpasswd"):
        assert (await site.get(f"/assets/{name}"))[0] == 404


async def test_live_updates_hold_the_page_and_no_customers_words(site: PagesClient) -> None:
    async with site.http.get(f"{site.url}/live/status") as answer:
        assert answer.content_type == "text/event-stream"
        assert answer.headers["Cache-Control"] == "no-store"
        received = b""
        while b"data: " not in received or not received.endswith(b"\n\n"):
            received += await answer.content.readany()
    assert seeded.WAITING.encode() in received
    assert seeded.CUSTOMER.encode() not in received


async def test_viewers_that_come_at_once_are_no_more_than_one_by_one(site: PagesClient) -> None:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as http:
        answers = await asyncio.gather(*(http.get(f"{site.url}/live/status") for _ in range(2 * STREAMS_MAX)))
        statuses = Counter(answer.status for answer in answers)
        for answer in answers:
            answer.close()
    assert statuses == {200: STREAMS_MAX, 503: STREAMS_MAX}
