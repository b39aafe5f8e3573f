"""The status page in a real browser."""

import pytest
from playwright.async_api import Browser, Locator, expect

from handlers.ports import StoreAway
from tests.browser.conftest import INTERVAL_S, Site
from tests.browser.page_checks import faint_texts, out_of_sight
from tests.worker.api.pages import seeded
from tests.worker.api.pages.page_server import served
from tests.worker.api.pages.system import System
from worker.api.pages.router import Pages
from worker.ports.status import PartHealth, WorkerReport

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

UNREADABLE = f"{seeded.UNREADABLE} in the store cannot be read: {seeded.FAULT}"
NOT_LIVE = "UTC, trying again"
OLD_LINK = f"#pair-{seeded.WAITING}"


async def rows_of(region: Locator) -> list[list[str]]:
    """The cells of the rows of a region's table, without its head."""
    rows = await region.get_by_role("row").all_inner_texts()
    return [[" ".join(cell.split()) for cell in row.split("\t")] for row in rows[1:]]


async def test_it_tells_what_is_away_what_waits_and_why_and_what_was_decided(site: Site) -> None:
    page = await site.open()
    away = page.get_by_role("region", name="Away")
    await expect(away).to_contain_text("routing-sync-7d9f-fghij:1, queue")
    await expect(away).to_contain_text("3 events wait to be published, the oldest for 2 min 30 s")
    pairs = page.get_by_role("region", name="Pairs out of step")
    waiting, drift = await pairs.get_by_role("table").all()
    assert await rows_of(waiting) == [
        [seeded.UNREADABLE, "10 min", "none", f"unreadable {UNREADABLE}"],
        [seeded.UNHEARD, "2 min 10 s", "assignee", "assignee: no event of the work-item's revision 5"],
        [seeded.WAITING, "42 s", "assignee", "assignee: no event of the conversation's revisions 6–7"],
        [seeded.ODD_ID, "15 s", "ended", "ended: no event of the conversation's revisions 2–3"],
    ]
    assert await rows_of(drift) == [
        ["02:56:55", "5ff4a1b2c3d4e5f601234507", "NO_CONVERSATION", "unknown", "none", f"not repaired {seeded.DETAIL}"],
        ["02:56:50", seeded.IN_STEP, "OUT_OF_STEP", "2024-05-05 03:00:00", "assignee, queue", "repaired"],
    ]
    queues = page.get_by_role("region", name="Queues")
    assert await rows_of(queues) == [
        ["q-chat", "5", "5 min", "25 s, ended 1 min 5 s ago", "w-92"],
        ["q-mail", "2", "1 h 6 min", "none", "none"],
        ["q-voice", "0", "none", "33 s, ended 13 h 53 min ago", "w-93"],
    ]
    letters = page.get_by_role("region", name="Dead letters")
    assert [row[:3] for row in await rows_of(letters)] == [
        ["INVALID_FIELD", "40", "02:58:50"],
        ["NOT_JSON", "5", "02:51:40"],
        ["NO_CODE", "1", "02:59:51"],
    ]
    decisions = page.get_by_role("region", name="Last decisions")
    assert (await rows_of(decisions))[0][:3] == ["02:59:55", seeded.UNREADABLE, "failed"]
    await expect(page.get_by_role("region", name="Workers")).to_contain_text("not ready: queue")
    await expect(page.locator("#summary")).to_have_text(
        "2 problems, 4 pairs wait, 1 pair has drift that no sweep repaired."
    )


async def test_a_change_shows_without_a_reload(site: Site) -> None:
    page = await site.open()
    await page.evaluate("() => { window.sameDocument = true; }")
    for key, state in seeded.states().items():
        site.system.store.put_state(key, seeded.not_waiting(state))
    pairs = page.get_by_role("region", name="Pairs out of step")
    await expect(pairs).to_contain_text("No pair waits.")
    site.system.store.put_state(seeded.WAITING, seeded.states()[seeded.WAITING])
    await expect(pairs.locator("[id^=row-] a")).to_have_text(seeded.WAITING)
    await expect(page.locator("#summary")).to_have_text(
        "2 problems, 1 pair waits, 1 pair has drift that no sweep repaired."
    )
    assert await page.evaluate("() => window.sameDocument")


async def test_an_outage_of_mongodb_shows_and_so_does_its_end(site: Site) -> None:
    page = await site.open()
    site.system.away = StoreAway("no server answers\nand more")
    await expect(page.locator("#summary")).to_have_text("MongoDB is away.")
    await expect(page.get_by_role("region", name="Away")).to_contain_text("no server answers")
    await expect(page.get_by_role("region")).to_have_count(1)
    site.system.away = None
    await expect(page.get_by_role("region", name="Pairs out of step")).to_contain_text(seeded.WAITING)


async def test_what_did_not_change_stays_in_place_with_the_focus(site: Site) -> None:
    page = await site.open()
    await page.locator(OLD_LINK).focus()
    await page.evaluate("(link) => { document.querySelector(link).kept = true; }", OLD_LINK)
    # A pair that waits longer takes a place above.
    states = seeded.states()
    site.system.store.put_state(seeded.IN_STEP, seeded.waiting(states[seeded.IN_STEP], 500))
    await expect(page.locator(f"#row-{seeded.IN_STEP}")).to_be_visible()
    await expect(page.locator(OLD_LINK)).to_be_focused()
    assert await page.evaluate("(link) => document.querySelector(link).kept", OLD_LINK)
    # One above it goes.
    site.system.store.put_state(seeded.UNREADABLE, seeded.not_waiting(states[seeded.UNREADABLE]))
    await expect(page.locator(f"#row-{seeded.UNREADABLE}")).to_have_count(0)
    await expect(page.locator(OLD_LINK)).to_be_focused()
    order = await page.locator("#pairs tr[id]").evaluate_all("(rows) => rows.map((row) => row.id)")
    assert order[:3] == [f"row-{key}" for key in (seeded.IN_STEP, seeded.UNHEARD, seeded.WAITING)]


async def test_a_screen_reader_hears_a_change_and_not_the_passing_of_time(site: Site) -> None:
    page = await site.open()
    await page.evaluate(
        """() => {
          window.spoken = [];
          const heard = document.querySelectorAll("[role=status], [aria-live]");
          for (const region of heard) new MutationObserver(() => window.spoken.push(region.textContent))
            .observe(region, {childList: true, characterData: true, subtree: true});
        }"""
    )
    site.system.clock.instant = seeded.ago(-7)
    await expect(page.locator(f"#row-{seeded.WAITING}")).to_contain_text("49 s")
    assert await page.evaluate("() => window.spoken") == []
    site.system.store.put_state(seeded.ODD_ID, seeded.not_waiting(seeded.states()[seeded.ODD_ID]))
    await expect(page.locator("#summary")).to_have_text(
        "2 problems, 3 pairs wait, 1 pair has drift that no sweep repaired."
    )
    assert await page.evaluate("() => window.spoken") == [
        "2 problems, 3 pairs wait, 1 pair has drift that no sweep repaired."
    ]


async def test_updates_can_be_paused(site: Site) -> None:
    page = await site.open()
    await page.get_by_role("button", name="Pause updates").click()
    await expect(page.locator("#live-state")).to_have_text("Paused")
    site.system.store.put_state(seeded.ODD_ID, seeded.not_waiting(seeded.states()[seeded.ODD_ID]))
    other = await site.open()
    await expect(other.locator("#summary")).to_have_text(
        "2 problems, 3 pairs wait, 1 pair has drift that no sweep repaired."
    )
    await site.system.read_again()
    await expect(page.locator("#summary")).to_have_text(
        "2 problems, 4 pairs wait, 1 pair has drift that no sweep repaired."
    )
    await page.get_by_role("button", name="Resume updates").click()
    await expect(page.locator("#summary")).to_have_text(
        "2 problems, 3 pairs wait, 1 pair has drift that no sweep repaired."
    )
    await expect(page.locator("#live-state")).to_have_text("Live")


async def test_everything_is_reached_by_the_keyboard_and_shows_the_focus(site: Site) -> None:
    page = await site.open()
    reached = []
    for _ in range(40):
        await page.keyboard.press("Tab")
        focused = await page.evaluate(
            """() => {
              const element = document.activeElement, style = getComputedStyle(element);
              const shown = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) >= 2;
              return element === document.body ? null : [element.id || element.className, shown];
            }"""
        )
        if focused is None:
            break
        reached.append(focused)
    assert [name for name, shown in reached if not shown] == []
    names = [name for name, _ in reached]
    assert names[:5] == ["skip", "home", "conversation", "open", "live-pause"]
    links = await page.locator("main a").evaluate_all("(all) => all.map((link) => link.id)")
    assert names[5:] == links
    assert f"pair-{seeded.WAITING}" in links


async def test_the_skip_link_and_a_pairs_link_work_by_the_keyboard(site: Site) -> None:
    page = await site.open()
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator("#main")).to_be_focused()
    await page.locator(OLD_LINK).focus()
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text(f"Conversation {seeded.WAITING}")
    await page.get_by_role("link", name="routing-sync").press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("Status")


@pytest.mark.parametrize("key", [seeded.WAITING, seeded.ODD_ID, "nobody knows me"])
async def test_an_id_leads_to_its_page(site: Site, key: str, no_findings: None) -> None:
    page = await site.open()
    await page.get_by_label("Conversation", exact=True).fill(f" {key} ")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text(f"Conversation {key}")
    await expect(page).to_have_title(f"Conversation {key} · routing-sync")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("path", ["/", f"/conversations/{seeded.WAITING}"])
async def test_every_text_stands_out_in_light_and_dark(site: Site, scheme: str, path: str) -> None:
    page = await site.open(path, color_scheme=scheme)
    assert await faint_texts(page) == []
    colour = await page.evaluate("() => getComputedStyle(document.body).backgroundColor")
    assert (colour == "rgb(18, 22, 28)") == (scheme == "dark")


@pytest.mark.parametrize("percent", [80, 100, 125, 133, 150, 200, 300, 400])
@pytest.mark.parametrize("path", ["/", f"/conversations/{seeded.LONG_ID}"])
async def test_nothing_has_to_be_scrolled_sideways_at_any_zoom(site: Site, percent: int, path: str) -> None:
    """A zoomed window of 1280 pixels has fewer, larger ones."""
    site.system.store.put_state(seeded.LONG_ID, seeded.waiting(seeded.states()[seeded.IN_STEP], 3))
    page = await site.open(path, width=128_000 // percent, device_scale_factor=percent / 100)
    if path == "/":
        await expect(page.locator(f"#row-{seeded.LONG_ID}")).to_be_visible()
    assert await out_of_sight(page) == []


@pytest.mark.parametrize("width", [1280, 320])
async def test_it_has_landmarks_headings_and_captioned_tables(site: Site, width: int) -> None:
    page = await site.open(width=width)
    for role in ("banner", "main", "contentinfo", "navigation", "search"):
        await expect(page.get_by_role(role)).to_have_count(1)
    levels = await page.locator("h1, h2, h3, h4").evaluate_all("(all) => all.map((each) => each.tagName)")
    assert levels == ["H1", *["H2"] * 6]
    tables = page.get_by_role("table")
    await expect(tables).to_have_count(6)
    for table in await tables.all():
        assert await table.locator("caption").inner_text()
        assert await table.get_by_role("columnheader").count() >= 3
        rows = await table.get_by_role("row").count()
        assert await table.get_by_role("rowheader").count() == rows - 1 > 0
    assert await page.locator("html").get_attribute("lang") == "en"


async def test_without_scripts_it_shows_the_same_and_says_that_it_is_not_live(site: Site) -> None:
    page = await site.open(java_script_enabled=False)
    await expect(page.locator("#live-state")).to_have_text("Not live: reload the page")
    await expect(page.get_by_role("button", name="Pause updates")).to_be_hidden()
    await expect(page.locator(OLD_LINK)).to_be_visible()


async def test_a_server_that_stops_shows(site: Site, no_findings: None) -> None:
    page = await site.open()
    site.pages.close()
    # It says so after five seconds at most.
    await expect(page.locator("#live-state")).to_contain_text(NOT_LIVE, timeout=15_000)
    await expect(page.locator(OLD_LINK)).to_be_visible()


async def test_a_page_that_was_refused_is_live_again_by_itself(site: Site, no_findings: None) -> None:
    """A load balancer answers 503 while the process starts anew, and a browser then asks no more."""
    page = await site.open("/", clock=True)
    await page.route("**/live/**", lambda route: route.fulfill(status=503, body="no server"))
    await page.clock.run_for(45_000)
    await expect(page.locator("#live-state")).to_contain_text(NOT_LIVE)
    site.system.store.put_state(seeded.ODD_ID, seeded.not_waiting(seeded.states()[seeded.ODD_ID]))
    await page.unroute("**/live/**")
    await page.clock.run_for(10_000)
    await expect(page.locator("#live-state")).to_have_text("Live")
    await expect(page.locator("#summary")).to_contain_text("3 pairs wait")


async def test_a_stream_that_falls_silent_is_opened_anew(site: Site) -> None:
    """A machine that slept has a stream that is dead, though its browser does not know."""
    page = await site.open("/", clock=True)
    async with page.expect_request("**/live/status"):
        await page.clock.fast_forward(60_000)
    await expect(page.locator("#live-state")).to_have_text("Live")


async def test_a_tab_in_the_background_holds_no_connection(site: Site) -> None:
    """A browser opens six connections to a server: with six pages open, a seventh would not load."""
    page = await site.open()
    turn = """(hidden) => {
      Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
      document.dispatchEvent(new Event("visibilitychange"));
    }"""
    await page.evaluate(turn, True)
    await site.system.until(lambda: site.pages.viewers == 0)
    site.system.store.put_state(seeded.ODD_ID, seeded.not_waiting(seeded.states()[seeded.ODD_ID]))
    await page.evaluate(turn, False)
    await expect(page.locator("#summary")).to_contain_text("3 pairs wait")
    await expect(page.locator("#live-state")).to_have_text("Live")


async def test_a_page_that_is_left_costs_no_more_reads(site: Site) -> None:
    page = await site.open()
    assert site.pages.viewers == 1
    await page.goto("about:blank")
    await site.system.until(lambda: site.pages.viewers == 0)


async def test_the_policy_holds_in_the_browser(site: Site, no_findings: None) -> None:
    page = await site.open()
    inline = "style, script:not([src]), [style], [onclick], [onload], iframe, object, embed, base"
    await expect(page.locator(inline)).to_have_count(0)
    intruder = await page.evaluate(
        """async () => {
          window.blocked = [];
          document.addEventListener("securitypolicyviolation", (event) => blocked.push(event.effectiveDirective));
          const script = document.createElement("script");
          script.textContent = "window.intruder = true";
          document.body.append(script);
          document.body.setAttribute("style", "color: red");
          document.body.append(Object.assign(new Image(), {src: "data:image/gif;base64,R0lGODlhAQABAAAAACw="}));
          await fetch("http://127.0.0.2/").catch(() => null);
          return window.intruder ?? false;
        }"""
    )
    assert not intruder
    await page.wait_for_function("() => window.blocked.length === 4")
    blocked = await page.evaluate("() => window.blocked")
    assert sorted(blocked) == ["connect-src", "img-src", "script-src-elem", "style-src-attr"]


async def test_ids_and_states_only(site: Site) -> None:
    for path in ("/", *(f"/conversations/{key}" for key in seeded.states() if key != seeded.ODD_ID)):
        page = await site.open(path)
        assert seeded.CUSTOMER not in await page.content()


async def test_no_report_of_a_worker_is_no_good_news(browser: Browser) -> None:
    """Workers that died long ago look like workers that never reported."""
    system = System()
    async with served(Pages(system.sources, may_read=lambda _: True, interval_s=INTERVAL_S)) as url:
        page = await Site(system=system, pages=Pages(system.sources), url=url, browser=browser).open()
        await expect(page.locator("#summary")).to_have_text("No worker reports, 0 pairs wait.")
        away = page.get_by_role("region", name="Away")
        await expect(away).to_contain_text("Whether one runs cannot be told from here.")
        await expect(away).to_have_class("doubt")
        await page.context.close()


async def test_an_outage_that_all_workers_have_is_one_problem(site: Site) -> None:
    reason = "queue away: could not connect"
    for number in range(8):
        await site.system.status.post(
            WorkerReport(worker=f"other-{number}:1", interval_s=5, parts=(PartHealth(part="queue", reason=reason),))
        )
    page = await site.open()
    away = page.get_by_role("region", name="Away")
    await expect(away.locator("dt")).to_have_text(["queue, 9 workers", "SNS"])
    await expect(away.locator("dd").first).to_have_text(f"{reason} (other-0:1, other-1:1, other-2:1 and 6 more)")
    await expect(page.locator("#summary")).to_contain_text("2 problems")


async def test_a_worker_that_falls_silent_is_away(site: Site) -> None:
    await site.system.status.post(
        WorkerReport(worker="routing-sync-old:1", interval_s=1, parts=(PartHealth(part="queue"),))
    )
    page = await site.open()
    await expect(page.locator("[id='worker-routing-sync-old%3A1']")).to_contain_text("ready")
    site.system.clock.instant = seeded.ago(-4)
    await expect(page.get_by_role("region", name="Away")).to_contain_text("no report for 4 s")
