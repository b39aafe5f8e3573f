"""The pair's timeline on its page: the drawing of the report, of what the store keeps."""

import re

import pytest
from playwright.async_api import expect

from tests.browser.conftest import Site
from tests.browser.page_checks import faint_texts, out_of_sight
from tests.worker.api.pages import seeded
from tests.worker.investigate.explain.stories import STORED, Played, by_the_router
from worker.api.pages.rendering import pair_path

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def _unassigned(site: Site) -> str:
    """The path of a pair that the router un-assigned; the worker carried that to the conversation."""
    conversation, item = STORED
    site.system.store.put_conversation(conversation)
    site.system.store.put_work_item(item)
    await by_the_router(Played(site.system.store))
    return pair_path("c-1")


async def test_it_says_who_un_assigned_it_and_draws_the_line_to_the_sync(site: Site) -> None:
    page = await site.open(await _unassigned(site))
    timeline = page.get_by_role("region", name="What happened")
    await expect(timeline.locator("p").first).to_have_text(re.compile(r"^Agent u-1 was un-assigned .*\.$"))
    await expect(timeline).to_contain_text("router")
    sync = timeline.locator(".step.sync.conversation .card")
    await expect(sync).to_contain_text("answers work-item 8")
    await sync.hover()
    assert await timeline.locator(".track.on").count() >= 2
    await sync.click()
    await expect(page.get_by_role("dialog")).to_contain_text("assignedUsers")
    await page.keyboard.press("Escape")
    await expect(sync).to_be_focused()


async def test_it_is_live_and_an_open_revision_stays_open(site: Site) -> None:
    page = await site.open(await _unassigned(site))
    cards = page.locator(".card")
    count = await cards.count()
    await cards.first.click()
    played = Played(site.system.store)
    played.clock.at = played.clock.at.replace(hour=played.clock.at.hour + 1)
    await played.update({"paused": True}, "agent-app")
    await expect(cards).not_to_have_count(count)
    await expect(page.get_by_role("dialog")).to_have_count(1)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1600, 320])
async def test_it_can_be_read_at_every_size(site: Site, scheme: str, width: int) -> None:
    page = await site.open(await _unassigned(site), width=width, color_scheme=scheme)
    assert await out_of_sight(page) == []
    assert await faint_texts(page) == []


async def test_a_pair_of_which_nothing_is_kept_says_what_would_keep_it(site: Site) -> None:
    page = await site.open(pair_path(seeded.WAITING))
    timeline = page.get_by_role("region", name="What happened")
    await expect(timeline).to_contain_text("no decision is kept: AUDIT_DAYS keeps them")


async def test_it_prints_in_black_on_white_from_a_dark_screen(site: Site) -> None:
    page = await site.open(await _unassigned(site), color_scheme="dark")
    await page.emulate_media(media="print", color_scheme="dark")
    assert await faint_texts(page) == []
    assert await page.evaluate("getComputedStyle(document.querySelector('section')).backgroundColor") == (
        "rgb(255, 255, 255)"
    )


@pytest.mark.usefixtures("no_findings")
async def test_an_id_cannot_reorder_the_words_of_the_page(site: Site) -> None:
    page = await site.open(pair_path("w-\u202e\u05d0\u05d1"))
    await expect(page.get_by_role("heading", level=1)).to_contain_text(r"w-\u202e")
    assert "\u202e" not in await page.title()
    assert "\u2068" in await page.title()
