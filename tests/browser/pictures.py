"""`make pictures`: the pictures in docs/pictures/, of a made-up system at 3 a.m. and of an incident."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from msgspec import Struct, field
from playwright.async_api import Browser, ViewportSize, async_playwright
from rich.console import Console
from rich.text import Text

from tests.browser.chromium import ARGUMENTS, chromium, missing_browser
from tests.handlers.wire_events import LOST_ASSIGNMENT
from tests.worker.api.pages import seeded
from tests.worker.api.pages.page_server import served
from tests.worker.api.pages.system import System
from tests.worker.replay.replays import incident
from worker.api.pages.rendering import pair_path
from worker.api.pages.router import Pages
from worker.cli.main import run

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


async def take_report(browser: Browser) -> bytes:
    """The picture of what happened in the incident of 2022, as `timeline --html` draws it."""
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.html"
        # The verb runs a loop of its own.
        status = await asyncio.to_thread(run, ["timeline", "--html", str(report), incident(LOST_ASSIGNMENT)])
        assert status == 0, "the incident's report was not written"
        context = await browser.new_context(viewport=ViewportSize(width=1_100, height=800), color_scheme="light")
        page = await context.new_page()
        await page.goto(report.as_uri())
        taken = await page.locator(".drawing").screenshot(animations="disabled")
        await context.close()
    return taken


def terminal_picture(command: Sequence[str]) -> str:
    """The verb's output in a terminal of 80 columns, as SVG. Raises CalledProcessError."""
    environment = {**os.environ, "COLUMNS": "80", "FORCE_COLOR": "1", "TERM": "xterm-256color"}
    done = subprocess.run(
        [sys.executable, "-c", "from worker.cli.main import main; main()", *command],
        env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    console = Console(record=True, width=80, file=StringIO(), force_terminal=True)
    console.print(Text.from_ansi(done.stdout), soft_wrap=True)
    # A fixed name, so that the same output is the same picture. It loads no font from elsewhere.
    picture = console.export_svg(title=f"routing-sync {command[0]}", unique_id=command[0])
    return re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)


async def take_all() -> dict[str, bytes]:
    """Every picture by its name."""
    pages = Pages((await System.seeded()).sources, may_read=lambda _: True)
    async with served(pages) as url, async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=list(ARGUMENTS))
        taken = {picture.name: await take(browser, url, picture) for picture in PICTURES}
        taken["report"] = await take_report(browser)
        await browser.close()
    return taken


def write() -> None:
    """Write every picture, and say which."""
    FOLDER.mkdir(exist_ok=True)
    for name, picture in asyncio.run(take_all()).items():
        (FOLDER / f"{name}.png").write_bytes(picture)
        sys.stdout.write(f"docs/pictures/{name}.png\n")
    terminal = terminal_picture(["timeline", os.path.relpath(incident(LOST_ASSIGNMENT))])
    (FOLDER / "timeline.svg").write_text(terminal, encoding="utf-8")
    sys.stdout.write("docs/pictures/timeline.svg\n")


if __name__ == "__main__":
    if chromium() is None:
        sys.exit(missing_browser())
    write()
