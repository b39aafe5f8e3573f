"""Datadog's files in deploy/datadog/, and the queries in them."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from server_process import ROOT

FOLDER: Final = ROOT / "deploy" / "datadog"
MONITORS: Final = sorted((FOLDER / "monitors").glob("*.json"))
_QUERY: Final = re.compile(
    r"(?P<aggregator>\w+):(?P<metric>[a-z_.]+)\{(?P<scope>[^}]*)\}(?: by \{(?P<by>[^}]*)\})?(?P<count>\.as_count\(\))?"
)


class MetricQuery(Struct, frozen=True, kw_only=True):
    """One metric of a query. `tags`: the names of the tags by which it filters and groups. `values`: those that it
    filters by, each with its tag; without patterns and the dashboard's variables."""

    aggregator: str
    metric: str
    tags: frozenset[str]
    values: frozenset[tuple[str, str]]
    as_count: bool


def loaded(path: Path) -> Any:
    """The file's JSON."""
    return json.loads(path.read_text())


def dashboard_widgets() -> Iterator[dict[str, Any]]:
    """The definitions of the dashboard's widgets, those in groups too."""
    waiting = list(loaded(FOLDER / "dashboard.json")["widgets"])
    while waiting:
        definition = waiting.pop(0)["definition"]
        waiting += definition.get("widgets", [])
        yield definition


def dashboard_queries() -> list[str]:
    """The metric queries of the dashboard."""
    return [
        query["query"]
        for definition in dashboard_widgets()
        for request in definition.get("requests", ())
        for query in request.get("queries", ())
    ]


def metric_queries(text: str) -> list[MetricQuery]:
    """The metrics of a monitor's or a widget's query. Raises ValueError where a metric's name stands outside of one."""
    found = list(_QUERY.finditer(text))
    if len(found) != text.count("routing_sync."):
        raise ValueError(f"a metric stands outside of a query that can be read: {text}")
    return [
        MetricQuery(
            aggregator=match["aggregator"],
            metric=match["metric"],
            tags=frozenset({*_filtered(match["scope"]), *filter(None, (match["by"] or "").split(","))}),
            values=frozenset(_values(match["scope"])),
            as_count=match["count"] is not None,
        )
        for match in found
    ]


def _filtered(scope: str) -> Iterator[str]:
    """The tags' names in a filter; a variable of the dashboard, `$env`, stands for the tag of its name."""
    without_lists = re.sub(r" IN \([^)]*\)", ":", scope)
    for part in without_lists.split(","):
        if part != "*":
            yield part.removeprefix("$").partition(":")[0]


def _values(scope: str) -> Iterator[tuple[str, str]]:
    for tag, values in re.findall(r"(\w+) IN \(([^)]*)\)", scope):
        yield from ((tag, value.strip()) for value in values.split(","))
    yield from re.findall(r"(?<!\$)\b(\w+):(\w+)(?=,|$)", scope)
