"""The pages' templates: their filters, and the assets that a page loads."""

import hashlib
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from msgspec import Struct

from commands.instant import format_instant
from handlers.drift import DriftEnd
from sync.audit import AuditOutcome
from worker.api.pages.status_problems import WorkerRow, counted, span
from worker.investigate.report.isolated_text import isolated
from worker.investigate.report.page import ASSETS as DRAWING_ASSETS
from worker.investigate.report.page import TEMPLATES
from worker.ports.status import RecentDecision

CONVERSATION_ID_MAX: Final = 200
"""The longest id that the pages take."""
_HERE: Final = Path(__file__).parent
_MEDIA_TYPES: Final = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_FILES: Final = (
    *(_HERE / "assets" / name for name in ("pages.css", "pages.js", "icon.svg")),
    *(DRAWING_ASSETS / name for name in ("drawing.css", "drawing.js")),
)


class Asset(Struct, frozen=True, kw_only=True):
    """A file that a page loads."""

    content: bytes
    media_type: str


ASSETS: Final = {
    path.name: Asset(content=path.read_bytes(), media_type=_MEDIA_TYPES[path.suffix.removeprefix(".")])
    for path in _FILES
}
_VERSION: Final = hashlib.sha256(b"".join(asset.content for asset in ASSETS.values())).hexdigest()[:12]
"""A part of the assets' addresses, so that no page meets the assets of another version in a cache."""


def pair_path(conversation_id: str) -> str:
    """The address of a pair's page."""
    return f"/conversations/{quote(conversation_id, safe='')}"


def render(template: str, **values: Any) -> str:
    """The template with these values. Every value is escaped."""
    return _ENVIRONMENT.get_template(template).render(**values)


def _key(value: object) -> str:
    """The value as part of an element's id, which holds no white space."""
    return quote(str(value), safe="")


def _span(value: float | timedelta) -> str:
    return span(value.total_seconds() if isinstance(value, timedelta) else value)


def short_time(at: datetime, now: datetime) -> str:
    """The time of day, with the date where it is not the present one."""
    return f"{at:%H:%M:%S}" if at.date() == now.date() else f"{at:%Y-%m-%d %H:%M:%S}"


def _outcome_kind(decision: RecentDecision) -> str:
    match decision.outcome:
        case AuditOutcome.APPLIED.value:
            return "good"
        case AuditOutcome.SKIPPED.value:
            return "warn"
        case _:
            return "bad"


def _outcome_text(decision: RecentDecision) -> str:
    if decision.outcome == AuditOutcome.SKIPPED.value:
        return "waits"
    return decision.outcome if decision.direction is None else f"{decision.outcome}, {decision.direction}"


def _drift_end(end: str) -> str:
    return "not repaired" if end == DriftEnd.TOLD.value else end


def _worker_text(row: WorkerRow) -> str:
    if row.silent:
        return "silent"
    if row.posted.report.stopped:
        return "stopped"
    reasons = [part.part for part in row.posted.report.parts if part.reason is not None]
    return f"not ready: {', '.join(reasons)}" if reasons else "ready"


def _worker_kind(row: WorkerRow) -> str:
    if row.posted.report.stopped:
        return "plain"
    return "bad" if row.silent or any(part.reason is not None for part in row.posted.report.parts) else "good"


def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader([_HERE / "templates", TEMPLATES]),
        autoescape=True,
        finalize=isolated,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        counted=counted,
        drift_end=_drift_end,
        iso=format_instant,
        key=_key,
        outcome_kind=_outcome_kind,
        outcome_text=_outcome_text,
        pair_path=pair_path,
        short_time=short_time,
        span=_span,
        worker_kind=_worker_kind,
        worker_text=_worker_text,
    )
    environment.globals.update(version=_VERSION, id_max=CONVERSATION_ID_MAX)
    return environment


_ENVIRONMENT: Final = _environment()
