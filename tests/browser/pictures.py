"""`make pictures`: the pictures of the pages in docs/pictures/, of a made-up system at 3 a.m."""

import asyncio
import sys
from pathlib import Path
from typing import Any, Final

from msgspec import Struct, field
from playwright.async_api import Browser, ViewportSize, async_playwright

from tests.browser.chromium import ARGUMENTS, chromium, missing_browser
from tests.worker.api.pages import seeded
from tests.worker.api.pages.page_server import served
from tests.worker.api.pages.system import System
from worker.api.pages.rendering import pair_path
from worker.api.pages.router import Pages

FOLDER: Final = Path(__file__).parents[2] / "docs" / "pictures"


class Picture(Struct, frozen=True, kw_only=True):
    """One picture: a page in a window of this width."""

    name: str
    path: str
    width: int = 1_100
    options: dict[str, Any] = field(default_factory=dict)


PICTURES: Final = (
    Picture(name="status", path="/", options={"color_scheme": "light"}),
    Picture(name="status-dark", path="/", options={"color_scheme": "dark"}),
    Picture(name="pair", path=pair_path(seeded.WAITING), options={"color_scheme": "light"}),
    Picture(name="pair-zoomed", path=pair_path(seeded.WAITING), width=320, options={"color_scheme": "dark"}),
)


async def take(browser: Browser, url: str, picture: Picture) -> bytes:
    """The picture of the whole page, once it is live."""
    context = await browser.new_context(viewport=ViewportSize(width=picture.width, height=800), **picture.options)
    page = await context.new_page()
    await page.goto(url + picture.path)
    await page.get_by_text("Live", exact=True).wait_for()
    taken = await page.screenshot(full_page=True, animations="disabled")
    await context.close()
    return taken


async def take_all() -> dict[str, bytes]:
    """Every picture by its name."""
    pages = Pages((await System.seeded()).sources, may_read=lambda _: True)
    async with served(pages) as url, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=list(ARGUMENTS))
        taken = {picture.name: await take(browser, url, picture) for picture in PICTURES}
        await browser.close()
    return taken


def write() -> None:
    """Write every picture, and say which."""
    FOLDER.mkdir(exist_ok=True)
    for name, picture in asyncio.run(take_all()).items():
        (FOLDER / f"{name}.png").write_bytes(picture)
        sys.stdout.write(f"docs/pictures/{name}.png\n")


if __name__ == "__main__":
    if chromium() is None:
        sys.exit(missing_browser())
    write()
