"""Texts of right-to-left scripts and bidirectional controls on a page."""

import pytest
from jinja2 import Environment
from markupsafe import Markup

from worker.investigate.report.isolated_text import isolated

HEBREW = "\u05d0\u05d1\u05d2"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("work-item 2 of w-2", "work-item 2 of w-2"),
        ("none \u2192 queued", "none \u2192 queued"),
        (f"work-item 2 of {HEBREW}, 3 to 4", f"work-item 2 of \u2068{HEBREW}\u2069, 3 to 4"),
        ("w-\u202egnp", "w-\\u202egnp"),
        ("a\x1b[2Jb\nc\u2069", "a\\x1b[2Jb\\nc\\u2069"),
        (Markup(f"<b>{HEBREW}\n</b>"), Markup(f"<b>{HEBREW}\n</b>")),
        (7, 7),
    ],
)
def test_a_text_keeps_to_its_place(value: object, shown: object) -> None:
    assert isolated(value) == shown


def test_a_template_isolates_in_titles_and_names_too_and_leaves_its_own_text() -> None:
    environment = Environment(autoescape=True, finalize=isolated)
    template = environment.from_string(f"<title>{HEBREW}\n{{{{ id }}}}</title><p aria-label='{{{{ id }}}}'>")
    isolate = f"\u2068{HEBREW}\u2069"
    assert template.render(id=HEBREW) == f"<title>{HEBREW}\n{isolate}</title><p aria-label='{isolate}'>"
