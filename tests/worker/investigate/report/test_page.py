"""The page of a report: it needs nothing else, and no text of a capture can do anything in it."""

import base64
import hashlib
import re
from html.parser import HTMLParser

from tests.handlers.wire_events import LOST_ASSIGNMENT
from tests.worker.investigate.timeline.pair_story import PairStory, incident_timeline
from worker.investigate.report.drawing import draw
from worker.investigate.report.page import ReportedPair, TimelineReport, report_page
from worker.investigate.report.policy_panel import PolicyPanel
from worker.investigate.timeline.timeline import Timeline

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&"


class Elements(HTMLParser):
    """The elements of a page, with what stands in its styles and scripts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.raw: dict[str, list[str]] = {"style": [], "script": []}
        self._within = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._within = tag if tag in self.raw else ""

    def handle_endtag(self, tag: str) -> None:
        self._within = ""

    def handle_data(self, data: str) -> None:
        if self._within:
            self.raw[self._within].append(data)


def page_of(*timelines: Timeline, panel: PolicyPanel | None = None, source: str = "events.ndjson") -> str:
    pairs = [ReportedPair(drawing=draw(each, steps_max=100), panel=panel) for each in timelines]
    return "".join(report_page(TimelineReport(sources=[source], pairs=pairs)))


def test_the_policy_allows_the_page_s_own_style_and_script_and_nothing_else() -> None:
    elements = Elements(page_of(incident_timeline(LOST_ASSIGNMENT)))
    [policy] = [each["content"] for tag, each in elements.tags if tag == "meta" and "http-equiv" in each]
    assert policy is not None
    directives = dict(each.strip().split(" ", 1) for each in policy.split(";"))
    for name in ("style", "script"):
        [text] = elements.raw[name]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert directives[f"{name}-src"] == f"'sha256-{digest}'"
    assert directives["default-src"] == "'none'"


def test_it_loads_nothing_and_has_no_inline_handler_or_style() -> None:
    elements = Elements(page_of(incident_timeline(LOST_ASSIGNMENT)))
    attributes = {(tag, name) for tag, each in elements.tags for name in each}
    assert {name for _, name in attributes if name.startswith("on") or name == "style"} == set()
    assert {tag for tag, name in attributes if name in ("src", "srcset", "action")} == set()
    assert {each["href"][:1] for _, each in elements.tags if each.get("href")} == {"#"}  # type: ignore[index]
    assert "url(" not in "".join(elements.raw["style"])


def test_every_link_leads_to_an_element_of_the_page_and_no_id_is_twice() -> None:
    elements = Elements(page_of(incident_timeline(LOST_ASSIGNMENT)))
    ids = [each["id"] for _, each in elements.tags if "id" in each]
    links = {each["href"] for tag, each in elements.tags if tag == "a"}
    assert len(ids) == len(set(ids))
    assert {f"#{each}" for each in ids} >= links
    assert len(links) == 5


def test_a_captured_text_is_a_text() -> None:
    story = PairStory().conversation(0, client=HOSTILE, id=HOSTILE).conversation(1, assignedUsers=[HOSTILE])
    panel = PolicyPanel(
        policy="causal",
        kept=False,
        violations=(HOSTILE,),
        decisions=(),
        conversation=(),
        work_item=(),
        remarks=(HOSTILE,),
    )
    page = page_of(story.timeline(), panel=panel, source=HOSTILE)
    elements = Elements(page)
    assert [tag for tag, _ in elements.tags if tag in ("img", "script")] == ["script"]
    assert len(re.findall(r"alert\(1\)", page)) > 4


def test_ids_that_are_no_addresses_are_told_apart() -> None:
    story = PairStory().conversation(0).item(1, key="w 1").item(2, key="w/1").item(3, key="w%201")
    elements = Elements(page_of(story.timeline()))
    anchors = [each["id"] for tag, each in elements.tags if tag == "article"]
    assert len(set(anchors)) == 4
    assert not any(" " in (each or "") for each in anchors)
