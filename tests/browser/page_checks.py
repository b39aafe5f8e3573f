"""What a page did, and what a person with other eyes, other hands or a small screen would miss on it."""

from typing import Any, Final

from playwright.async_api import ConsoleMessage, Error, Page, Request

_CONTRASTS: Final = """() => {
  const parsed = (text) => {
    const [r, g, b, a] = text.match(/[\\d.]+/g).map(Number);
    return [r, g, b, a === undefined ? 1 : a];
  };
  const luminance = ([r, g, b]) => {
    const part = (value) => (value /= 255) <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
    return 0.2126 * part(r) + 0.7152 * part(g) + 0.0722 * part(b);
  };
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parsed(getComputedStyle(at).backgroundColor);
      if (colour[3] === 1) return colour;
    }
    return [255, 255, 255, 1];
  };
  const found = [];
  for (const element of document.body.querySelectorAll("*")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility()) continue;
    const [a, b] = [luminance(parsed(getComputedStyle(element).color)), luminance(behind(element))];
    found.push([element.textContent.trim().slice(0, 40), (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)]);
  }
  return found;
}"""

_OUTSIDE: Final = """() => [...document.body.querySelectorAll("*")].filter((element) => {
  const box = element.getBoundingClientRect();
  return element.checkVisibility() && !element.matches(".skip, thead, thead *") && box.width > 0 &&
    (box.right > innerWidth + 0.5 || box.left < -0.5);
}).map((element) => element.outerHTML.slice(0, 80))"""

_CLIPPED: Final = """() => [...document.body.querySelectorAll("*")].filter((element) =>
  element.checkVisibility() && !element.matches("thead, thead *, input") && element.clientWidth > 0 &&
  element.scrollWidth > element.clientWidth + 1
).map((element) => element.outerHTML.slice(0, 80))"""


class Findings:
    """What the watched pages asked for, and the errors that they met."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.errors: list[str] = []

    def watch(self, page: Page) -> None:
        page.on("request", self._request)
        page.on("console", self._console)
        page.on("pageerror", self._error)

    def clear(self) -> None:
        self.errors.clear()

    def check(self, url: str) -> None:
        assert self.requests, "no page was opened"
        assert [asked for asked in self.requests if not asked.startswith(f"{url}/")] == []
        assert self.errors == []

    def _request(self, request: Request) -> None:
        self.requests.append(request.url)

    def _console(self, message: ConsoleMessage) -> None:
        self.errors.append(message.text)

    def _error(self, error: Error) -> None:
        self.errors.append(str(error))


async def faint_texts(page: Page) -> list[Any]:
    """The texts whose contrast to what is behind them is below 4.5, which WCAG 2 asks of normal text."""
    found: list[Any] = await page.evaluate(_CONTRASTS)
    assert len(found) > 20, "no texts were found"
    return [each for each in found if each[1] < 4.5]


async def out_of_sight(page: Page) -> list[str]:
    """The elements that a person would have to scroll sideways for, or that are cut off."""
    outside: list[str] = await page.evaluate(_OUTSIDE)
    clipped: list[str] = await page.evaluate(_CLIPPED)
    width, window = await page.evaluate("() => [document.documentElement.scrollWidth, innerWidth]")
    return [*outside, *clipped, *([f"the page is {width} wide in a window of {window}"] if width > window else [])]
