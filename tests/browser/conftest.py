"""A real browser without a network, and the pages of a seeded system behind a real server."""

from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import pytest
import pytest_asyncio
from msgspec import Struct, field
from playwright.async_api import Browser, BrowserContext, Page, ViewportSize, async_playwright, expect

from tests.browser.chromium import ARGUMENTS, chromium, missing_browser
from tests.browser.page_checks import Findings
from tests.worker.api.pages.page_server import served
from tests.worker.api.pages.system import System
from worker.api.pages.router import Pages

INTERVAL_S: Final = 0.05
"""How often the pages read the store in these tests."""
PATIENCE_MS: Final = 30_000
"""How long a page may take for what a test expects of it. A page says that it is no longer live after up to five
seconds, and a busy machine makes everything slower; a test that passes waits for none of it."""

expect.set_options(timeout=PATIENCE_MS)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if items and config.option.markexpr == "browser" and chromium() is None:
        pytest.exit(missing_browser(), returncode=1)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One browser for all tests; each has a profile of its own."""
    async with async_playwright() as playwright:
        started = await playwright.chromium.launch(executable_path=chromium(), args=list(ARGUMENTS))
        yield started
        await started.close()


class Site(Struct, kw_only=True):
    """The pages of a system, its address, and what each opened page did."""

    system: System
    pages: Pages
    url: str
    browser: Browser
    findings: Findings = field(default_factory=Findings)
    contexts: list[BrowserContext] = field(default_factory=list)

    async def open(
        self, path: str = "/", *, width: int = 1280, height: int = 800, clock: bool = False, **options: Any
    ) -> Page:
        """A page in a profile of its own. It is live where scripts run. `clock`: the test moves the page's time on."""
        context = await self.browser.new_context(viewport=ViewportSize(width=width, height=height), **options)
        self.contexts.append(context)
        context.set_default_timeout(PATIENCE_MS)
        page = await context.new_page()
        self.findings.watch(page)
        if clock:
            await page.clock.install()
        await page.goto(self.url + path)
        if options.get("java_script_enabled", True):
            await page.get_by_text("Live", exact=True).wait_for()
        return page


@pytest_asyncio.fixture(loop_scope="session")
async def site(browser: Browser) -> AsyncIterator[Site]:
    """A seeded system. At the end no page has asked for anything but its own server, or met an error."""
    system = await System.seeded()
    pages = Pages(system.sources, may_read=lambda _: True, interval_s=INTERVAL_S)
    async with served(pages) as url:
        opened = Site(system=system, pages=pages, url=url, browser=browser)
        yield opened
        for context in opened.contexts:
            await context.close()
        opened.findings.check(url)


@pytest.fixture
def no_findings(site: Site) -> Iterator[None]:
    """For a test that causes errors on purpose: they are not checked at the end."""
    yield
    site.findings.clear()
