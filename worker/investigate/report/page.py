"""The page of a report: one file with its style, its script and its drawings, which loads nothing.

The content security policy in the file allows its own style and script by their hashes and nothing else, so a text of
the capture can do nothing, and the page asks no server.
"""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from msgspec import Struct

from worker.investigate.report.drawing import Drawing
from worker.investigate.report.isolated_text import isolated
from worker.investigate.report.policy_panel import PolicyPanel

TEMPLATES: Final = Path(__file__).parent / "templates"
"""The folder of the templates; `drawing.html` has the macros that the pair's page uses, too."""
ASSETS: Final = Path(__file__).parent / "assets"
"""The folder of the style and script of the drawing, `drawing.css` and `drawing.js`, and of the report's own page."""
_STYLE: Final = "".join((ASSETS / name).read_text("utf-8") for name in ("page.css", "drawing.css"))
_SCRIPT: Final = (ASSETS / "drawing.js").read_text("utf-8")


class ReportedPair(Struct, frozen=True, kw_only=True):
    """A pair of a report. `panel` None: what the policy would have done was not asked for."""

    drawing: Drawing
    panel: PolicyPanel | None


class TimelineReport(Struct, frozen=True, kw_only=True):
    """What a report says. `sources`: the names of the files. `remarks`: what is left out of it, and why."""

    sources: Sequence[str]
    pairs: Sequence[ReportedPair]
    remarks: Sequence[str] = ()


def report_page(report: TimelineReport) -> Iterable[str]:
    """The page's text, in parts."""
    allowed = f"style-src {_hash(_STYLE)}; script-src {_hash(_SCRIPT)}"
    values: dict[str, Any] = {
        "report": report,
        # The two are files of this package, and no text of theirs ends an element.
        "style": Markup(_STYLE),  # noqa: S704
        "script": Markup(_SCRIPT),  # noqa: S704
        "policy": f"default-src 'none'; {allowed}; base-uri 'none'; form-action 'none'",
    }
    return _ENVIRONMENT.get_template("report.html").generate(**values)


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


_ENVIRONMENT: Final = Environment(
    loader=FileSystemLoader(TEMPLATES),
    autoescape=True,
    finalize=isolated,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
