"""The report of a timeline in a real browser, from a file and without a network."""

from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, ViewportSize, expect

from tests.browser.page_checks import Findings, faint_texts, out_of_sight
from tests.handlers.wire_events import LOST_ASSIGNMENT, UNASSIGN_WITHOUT_QUEUE
from tests.worker.replay.replays import CONVERSATION_2022, ITEM_2022, incident
from worker.cli.main import run

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

LOST = f"conversation-{CONVERSATION_2022}-6"
OVERWROTE = f"conversation-{CONVERSATION_2022}-7"
CAUSE = f"work-item-{ITEM_2022}-2"


class Opens(Protocol):
    async def __call__(self, *, width: int = 1280, **options: Any) -> Page: ...


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of both incidents, as the verb writes it."""
    page = tmp_path_factory.mktemp("report") / "report.html"
    files = [incident(LOST_ASSIGNMENT), incident(UNASSIGN_WITHOUT_QUEUE)]
    assert run(["timeline", "--html", str(page), *files]) == 0
    return page


@pytest_asyncio.fixture(loop_scope="session")
async def opened(browser: Browser, report: Path) -> AsyncIterator[Opens]:
    """Opens the page. At the end it has asked for nothing but itself, and met no error."""
    findings, contexts = Findings(), list[BrowserContext]()

    async def open_page(*, width: int = 1280, **options: Any) -> Page:
        context = await browser.new_context(viewport=ViewportSize(width=width, height=800), **options)
        contexts.append(context)
        page = await context.new_page()
        findings.watch(page)
        await page.goto(report.as_uri())
        return page

    yield open_page
    for context in contexts:
        await context.close()
    findings.check(report.parent.as_uri())


async def test_the_lost_update_is_red_and_the_line_leads_to_the_sync(opened: Opens) -> None:
    page = await opened(color_scheme="light")
    lost = page.locator(f'[data-step="{LOST}"]')
    await expect(lost).to_contain_text("update lost")
    assert await lost.evaluate("card => getComputedStyle(card).borderTopColor") == "rgb(163, 22, 33)"
    lines = page.locator(".track.lost")
    assert await lines.count() >= 2
    # The line's parts meet the middle of both cards: the upper end at the cause, the lower one at the sync.
    boxes = [await line.bounding_box() for line in await lines.all()]
    cause = await page.locator(f'[data-step="{CAUSE}"]').bounding_box()
    sync = await page.locator(f'[data-step="{OVERWROTE}"]').bounding_box()
    assert cause is not None
    assert sync is not None
    upper = min(box["y"] for box in boxes if box is not None)
    lower = max(box["y"] + box["height"] for box in boxes if box is not None)
    assert abs(upper - (cause["y"] + cause["height"] / 2)) < 8
    assert abs(lower - (sync["y"] + sync["height"] / 2)) < 8


async def test_a_card_under_the_pointer_shows_its_line_and_the_other_end(opened: Opens) -> None:
    page = await opened()
    await page.locator(f'[data-step="{OVERWROTE}"]').hover()
    await expect(page.locator(f'[data-step="{CAUSE}"]')).to_have_class("card on")
    assert await page.locator(".track.on").count() >= 2


async def test_a_click_opens_the_whole_change_and_escape_gives_the_place_back(opened: Opens) -> None:
    page = await opened()
    card = page.locator(f'[data-step="{OVERWROTE}"]')
    await card.click()
    drawer = page.get_by_role("dialog", name="conversation 7")
    await expect(drawer).to_contain_text("assignedUsers")
    await expect(drawer.get_by_role("button", name="Close")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(drawer).to_have_count(0)
    await expect(card).to_be_focused()


async def test_the_arrow_keys_go_up_and_down_and_along_a_line(opened: Opens) -> None:
    page = await opened()
    await page.locator(f'[data-step="{OVERWROTE}"]').focus()
    await page.keyboard.press("ArrowUp")
    await expect(page.locator(f'[data-step="{LOST}"]')).to_be_focused()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowRight")
    await expect(page.locator(f'[data-step="{CAUSE}"]')).to_be_focused()
    await page.keyboard.press("ArrowLeft")
    await expect(page.locator(f'[data-step="{OVERWROTE}"]')).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog")).to_have_count(1)


async def test_a_screen_reader_hears_the_revisions_in_order_and_every_heading(opened: Opens) -> None:
    page = await opened()
    steps = page.get_by_role("list", name="Revisions by time").first
    names = await steps.get_by_role("link").all_inner_texts()
    assert [name.split("\n")[0].split(" ")[:2] for name in names] == [
        ["work-item", "1"], ["work-item", "2"], ["conversation", "6"], ["conversation", "7"],
    ]  # fmt: skip
    levels = await page.evaluate("[...document.querySelectorAll('h1,h2,h3,h4')].map((each) => Number(each.tagName[1]))")
    assert levels[0] == 1
    assert all(level <= above + 1 for above, level in pairwise(levels))


async def test_without_scripts_a_card_is_a_link_to_its_revision(opened: Opens) -> None:
    page = await opened(java_script_enabled=False)
    await page.locator(f'[data-step="{OVERWROTE}"]').click()
    assert page.url.endswith(f"#{OVERWROTE}")
    await expect(page.locator(f'[id="{OVERWROTE}"]')).to_be_in_viewport()


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_every_text_can_be_read(opened: Opens, scheme: str) -> None:
    page = await opened(color_scheme=scheme)
    assert await faint_texts(page) == []


@pytest.mark.parametrize("width", [1600, 1280, 640, 320])
async def test_nothing_is_scrolled_sideways_from_80_to_400_percent(opened: Opens, width: int) -> None:
    page = await opened(width=width)
    assert await out_of_sight(page) == []


async def test_it_prints_every_revision_and_no_help_for_the_screen(opened: Opens) -> None:
    page = await opened()
    await page.emulate_media(media="print", color_scheme="light")
    await expect(page.get_by_text("A revision opens by a click").first).to_be_hidden()
    assert await page.locator("article.revision").count() == await page.locator(".card").count()
    assert len(await page.pdf()) > 10_000
