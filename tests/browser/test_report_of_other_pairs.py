"""The report of pairs that look otherwise than the two incidents: several work-items, many revisions, no finding, no
conversation, ids of a right-to-left script."""

from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import orjson
import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, ViewportSize, expect

from tests.browser.page_checks import Findings, faint_texts, out_of_sight
from tests.worker.investigate.timeline.pair_story import PairStory
from worker.cli.main import run

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

HEBREW: Final = "\u05d0\u05d1\u05d2"
LONG_ID: Final = "5f0c6a1b2d3e4f5a6b7c8d9e"
REVISIONS: Final = 2_000
_NAMELESS: Final = """() => [...document.querySelectorAll(
    "a[href], button, [role=dialog], section, article, table, ol.steps")]
  .filter((element) => element.checkVisibility() && !(
    element.getAttribute("aria-label") || element.textContent.trim() && !element.matches("section, article, table") ||
    document.getElementById(element.getAttribute("aria-labelledby"))?.textContent.trim() ||
    element.matches("table") && element.caption?.textContent.trim()))
  .map((element) => element.outerHTML.slice(0, 80))"""
_TWICE: Final = """() => {
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  return ids.filter((id, at) => ids.indexOf(id) !== at);
}"""
_LEFT_OF: Final = """(heading, [first, second]) => {
  const text = heading.firstChild, left = (word) => {
    const range = document.createRange(), at = text.data.indexOf(word);
    range.setStart(text, at); range.setEnd(text, at + word.length);
    return range.getBoundingClientRect().left;
  };
  return left(first) < left(second);
}"""


def _in_step() -> PairStory:
    return PairStory().conversation(0, queue="q-1").item(1, knew=1, status="queued", queue="q-1")


def _several_items() -> PairStory:
    story = _in_step().conversation(5, assignedUsers=["u-1"]).item(6, sync=True, assignedTo="u-1", status="assigned")
    story.conversation(60, status="done").item(61, sync=True, status="completed").conversation(400, status="open")
    story.item(401, key=LONG_ID, knew=4, status="queued", queue="q-1").item(402, key=HEBREW, knew=4)
    story.item(450, key=LONG_ID, knew=4, status="assigned", assignedTo="u-2", queue=None)
    story.item(452, key=f"w-\u202e{HEBREW}", knew=4)
    return story.conversation(453, sync=True, assignedUsers=["u-2"], queue=None).conversation(460, assignedUsers=[])


def _many_revisions() -> PairStory:
    story = _in_step()
    for number in range((REVISIONS - 2) // 2):
        user = f"u-{number}"
        story.conversation(10 + number, assignedUsers=[user]).item(
            10.5 + number, sync=True, assignedTo=user, status="assigned"
        )
    return story


def _no_conversation() -> PairStory:
    story = PairStory().item(1, knew=1, status="queued", queue="q-1").item(20, status="assigned", assignedTo="u-1")
    return story.item(50, status="completed", assignedTo=None, knew=5)


STORIES: Final[Mapping[str, Callable[[], PairStory]]] = {
    "several": _several_items,
    "many": _many_revisions,
    "calm": _in_step,
    "no-conversation": _no_conversation,
}
SMALL: Final = ("several", "calm", "no-conversation")


class ReportOpener(Protocol):
    async def __call__(self, name: str, *, width: int = 1280, **options: Any) -> Page: ...


@pytest.fixture(scope="module")
def reports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the page of each pair."""
    folder = tmp_path_factory.mktemp("reports")
    for name, story in STORIES.items():
        capture = folder / f"{name}.ndjson"
        capture.write_bytes(b"".join(orjson.dumps(each) + b"\n" for each in story().events))
        assert run(["timeline", "--html", str(folder / f"{name}.html"), str(capture)]) == 0
    return folder


@pytest_asyncio.fixture(loop_scope="session")
async def opened(browser: Browser, reports: Path) -> AsyncIterator[ReportOpener]:
    """Opens a page. At the end it has asked for nothing but itself, and met no error."""
    findings, contexts = Findings(), list[BrowserContext]()

    async def open_page(name: str, *, width: int = 1280, **options: Any) -> Page:
        context = await browser.new_context(viewport=ViewportSize(width=width, height=800), **options)
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = await context.new_page()
        findings.watch(page)
        await page.goto((reports / f"{name}.html").as_uri())
        return page

    yield open_page
    for context in contexts:
        await context.close()
    findings.check(reports.as_uri())


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("width", [1280, 320])
async def test_it_can_be_read_in_light_and_dark_and_nothing_is_scrolled_sideways(
    opened: ReportOpener, name: str, width: int
) -> None:
    page = await opened(name, width=width, color_scheme="dark")
    assert await out_of_sight(page) == []
    assert await faint_texts(page) == []
    await page.emulate_media(color_scheme="light")
    assert await faint_texts(page) == []


@pytest.mark.parametrize("name", SMALL)
async def test_it_prints_in_black_on_white_from_a_dark_screen(opened: ReportOpener, name: str) -> None:
    page = await opened(name, color_scheme="dark")
    await page.emulate_media(media="print", color_scheme="dark")
    assert await faint_texts(page) == []
    assert await page.evaluate("getComputedStyle(document.querySelector('section')).backgroundColor") == (
        "rgb(255, 255, 255)"
    )


@pytest.mark.parametrize("name", SMALL)
async def test_everything_has_a_name_and_an_id_of_its_own(opened: ReportOpener, name: str) -> None:
    page = await opened(name)
    await page.locator(".card").last.click()
    assert await page.evaluate(_NAMELESS) == []
    assert await page.evaluate(_TWICE) == []
    await expect(page.get_by_role("list", name="Revisions by time").get_by_role("link")).to_have_count(
        await page.locator(".card").count()
    )


async def test_a_finding_links_to_the_work_item_that_it_names(opened: ReportOpener) -> None:
    page = await opened("several")
    finding = page.locator(".finding", has_text="assigned without queue")
    await expect(finding).to_contain_text(f"work-item 2 of {LONG_ID} by api is assigned to u-2")
    link = finding.get_by_role("link", name=f"work-item 2 of {LONG_ID}").first
    await link.click()
    await expect(page.get_by_role("article", name=f"work-item 2 of {LONG_ID}")).to_be_in_viewport()


async def test_an_id_of_a_right_to_left_script_keeps_the_words_around_it_in_their_order(opened: ReportOpener) -> None:
    page = await opened("several")
    heading = page.locator("h4", has_text=f"of \u2068{HEBREW}\u2069").first
    assert await heading.evaluate(_LEFT_OF, ["work-item", HEBREW])
    assert await heading.evaluate(_LEFT_OF, [HEBREW, "07:"])
    assert "\u202e" not in await page.content()
    await expect(page.locator("h4", has_text=r"w-\u202e")).to_have_count(1)


async def test_a_pair_without_a_finding_says_so(opened: ReportOpener) -> None:
    page = await opened("calm")
    await expect(page.get_by_role("heading", name="Findings").locator("+ p")).to_have_text("None.")
    page = await opened("no-conversation")
    await expect(page.get_by_role("heading", name="Open questions")).to_be_visible()


async def test_two_thousand_revisions_can_be_gone_through_by_keys_and_read(opened: ReportOpener) -> None:
    page = await opened("many", color_scheme="dark")
    cards = page.locator(".card")
    assert await cards.count() == REVISIONS
    assert await faint_texts(page) == []
    assert await out_of_sight(page) == []
    await cards.first.focus()
    await page.keyboard.press("End")
    await expect(cards.last).to_be_focused()
    await expect(cards.last).to_be_in_viewport()
    await page.keyboard.press("ArrowLeft")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("dialog", name=f"conversation {REVISIONS // 2}")).to_be_visible()
