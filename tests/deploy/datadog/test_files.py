"""Datadog's files: what they name exists in the code, and Datadog's own models take them."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from datadog_api_client import ApiClient, Configuration
from datadog_api_client.model_utils import ModelComposed, ModelNormal
from datadog_api_client.v1.model.dashboard import Dashboard
from datadog_api_client.v1.model.logs_pipeline import LogsPipeline
from datadog_api_client.v1.model.metric_metadata import MetricMetadata
from datadog_api_client.v1.model.monitor import Monitor

from server_process import ROOT
from tests.deploy.datadog.files import (
    FOLDER,
    MONITORS,
    MetricQuery,
    dashboard_queries,
    dashboard_widgets,
    loaded,
    metric_queries,
)
from tests.docs.runbook import RUNBOOK
from tests.docs.runbook import SECTION as TEN_QUESTIONS
from tests.docs.test_links import anchors
from tests.sync.test_audit import FULL
from worker.telemetry.metric_form import MetricKind
from worker.telemetry.metrics import Metric

BY_NAME: Final = {metric.value: metric for metric in Metric}
UNIFIED: Final = {"env", "service", "version"}
AGGREGATORS: Final = {
    MetricKind.COUNT: {"sum"},
    MetricKind.GAUGE: {"sum", "avg", "min", "max"},
    # Percentiles have to be switched on for each metric, so no alert depends on them.
    MetricKind.DISTRIBUTION: {"avg", "min", "max"},
}


@pytest.fixture(scope="module")
def client() -> ApiClient:
    configuration = Configuration(host="http://127.0.0.1:9")  # type: ignore[no-untyped-call]
    return ApiClient(configuration)


def parsed(client: ApiClient, body: Any, kind: type[Any]) -> Any:
    """The body as Datadog's client reads it. It raises for a missing, a wrong or an unknown field."""
    read = client.deserialize(json.dumps(body), (kind,), True)
    assert strange_parts(read) == []
    return read


def strange_parts(read: Any, path: str = "") -> list[str]:
    """The parts that no model took: the client keeps them unread."""
    if isinstance(read, list):
        return [found for index, each in enumerate(read) for found in strange_parts(each, f"{path}[{index}]")]
    if isinstance(read, ModelComposed):
        instance: Any = read.get_oneof_instance()  # type: ignore[no-untyped-call]
        return strange_parts(instance, path)
    if not isinstance(read, ModelNormal):
        return [path] if type(read).__name__ == "UnparsedObject" else []
    model: Any = read
    names = list(model.to_dict())
    unknown = [f"{path}.{name}" for name in names if name not in model.openapi_types]
    return unknown + [found for name in names for found in strange_parts(model.get(name), f"{path}.{name}")]


def check(query: MetricQuery) -> None:
    """The metric exists, its kind allows the aggregator, and it has the tags."""
    form = BY_NAME[query.metric].form
    assert query.aggregator in AGGREGATORS[form.kind]
    assert query.as_count is (form.kind is MetricKind.COUNT)
    assert query.tags <= form.tags.keys() | UNIFIED, f"{query.metric} has no tag {query.tags - form.tags.keys()}"
    for tag, value in query.values:
        assert value in re.findall(r"\w+", form.tags[tag]), f"{query.metric} has no {tag}:{value}"


def monitor_query(path: Path) -> str:
    return str(loaded(path)["query"])


def test_datadogs_models_take_the_dashboard(client: ApiClient) -> None:
    parsed(client, loaded(FOLDER / "dashboard.json"), Dashboard)


@pytest.mark.parametrize("path", MONITORS, ids=lambda path: path.stem)
def test_datadogs_models_take_every_monitor(path: Path, client: ApiClient) -> None:
    parsed(client, loaded(path), Monitor)


@pytest.mark.parametrize(
    ("change", "strange"),
    [
        ({"type": "no such widget"}, "definition"),
        ({"titel": "misspelt"}, "titel"),
        ({"requests": [{"response_format": "timeseries", "querys": []}]}, "querys"),
    ],
)
def test_a_widget_that_datadog_would_refuse_is_noticed(change: dict[str, Any], strange: str, client: ApiClient) -> None:
    dashboard = loaded(FOLDER / "dashboard.json")
    definition = dashboard["widgets"][0]["definition"]["widgets"][1]["definition"]
    assert definition["type"] == "timeseries"
    with pytest.raises(Exception, match=strange):
        parsed(client, {**dashboard, "widgets": [{"definition": {**definition, **change}}]}, Dashboard)


def test_datadogs_models_take_the_pipeline_and_the_metadata(client: ApiClient) -> None:
    parsed(client, loaded(FOLDER / "log-pipeline.json"), LogsPipeline)
    for entry in loaded(FOLDER / "metric-metadata.json"):
        parsed(client, entry["metadata"], MetricMetadata)


@pytest.mark.parametrize("query", dashboard_queries())
def test_the_dashboard_shows_metrics_that_the_code_sends(query: str) -> None:
    for each in metric_queries(query):
        check(each)


def test_the_dashboard_shows_every_metric() -> None:
    shown = {each.metric for query in dashboard_queries() for each in metric_queries(query)}
    assert {metric.value for metric in Metric} - shown == set()


@pytest.mark.parametrize("path", MONITORS, ids=lambda path: path.stem)
def test_a_monitor_watches_metrics_that_the_code_sends(path: Path) -> None:
    queries = metric_queries(monitor_query(path))
    assert bool(queries) is (loaded(path)["type"] == "query alert")
    for query in queries:
        check(query)
        assert "env" in query.tags, "an alert names its environment"


@pytest.mark.parametrize("path", MONITORS, ids=lambda path: path.stem)
def test_a_monitor_names_its_section_of_the_runbook_and_its_thresholds_reason(path: Path) -> None:
    monitor = loaded(path)
    (anchor,) = re.findall(r"docs/runbook\.md#([\w-]+)", monitor["message"])
    assert anchor in anchors(RUNBOOK)
    assert f"runbook:{anchor}" in monitor["tags"]
    assert re.search(r"\nThreshold: .{40,}", monitor["message"])


@pytest.mark.parametrize("path", MONITORS, ids=lambda path: path.stem)
def test_a_monitors_query_and_options_have_one_threshold(path: Path) -> None:
    thresholds = loaded(path)["options"]["thresholds"]
    comparison = re.search(r" ([<>]) ([\d.]+)$", monitor_query(path))
    assert comparison is not None
    assert float(comparison[2]) == thresholds["critical"]
    if "warning" in thresholds:
        assert comparison[1] == ">"
        assert thresholds["warning"] < thresholds["critical"]


@pytest.mark.parametrize("path", MONITORS, ids=lambda path: path.stem)
def test_a_monitor_says_what_it_means_that_nothing_is_sent(path: Path) -> None:
    """A count that is 0 is not sent, so an alert on one ends when nothing is sent any more. A gauge that is not sent
    says nothing: whether anybody sends is the business of one monitor."""
    monitor = loaded(path)
    counts = monitor["type"] == "log alert" or all(
        BY_NAME[each.metric].form.kind is MetricKind.COUNT for each in metric_queries(monitor["query"])
    )
    expected = "show_and_notify_no_data" if path.stem == "silence" else "resolve" if counts else "show_no_data"
    assert monitor["options"]["on_missing_data"] == expected
    # Datadog takes one of the two ways to say it.
    assert monitor["options"].keys().isdisjoint({"notify_no_data", "no_data_timeframe"})


def test_an_alert_lasts_as_long_as_the_outage_that_it_is_about() -> None:
    """A count of outages is sent once, when one begins."""
    for name in ("store-away", "delivery-blocked", "watermark-missing"):
        (query,) = metric_queries(monitor_query(FOLDER / "monitors" / f"{name}.json"))
        assert BY_NAME[query.metric].form.kind is MetricKind.GAUGE


def test_every_section_of_the_runbook_says_what_to_do() -> None:
    _, *sections = RUNBOOK.read_text().split("\n## ")
    lacking = {
        section.partition("\n")[0]
        for section in sections
        if not section.startswith(f"{TEN_QUESTIONS}\n")
        and not ("**More:**" in section and "**Repair:**" in section)
        and "**More and repair:**" not in section
    }
    assert lacking == set()


def test_log_lines_that_the_runbook_looks_for_are_in_the_code() -> None:
    text = RUNBOOK.read_text()
    looked_for = re.findall(r'startswith\("([^"]+)"\)', text) + re.findall(r'\.msg == "([^"]+)"', text)
    sources = "".join(path.read_text() for path in (ROOT / "worker").rglob("*.py"))
    assert len(looked_for) >= 5
    assert [line for line in looked_for if f'"{line}' not in sources] == []


def has_path(wire: Any, keys: list[str]) -> bool:
    """Whether a value stands at that path; a list stands for its elements."""
    if not keys:
        return True
    if isinstance(wire, list):
        return any(has_path(each, keys) for each in wire)
    return isinstance(wire, Mapping) and keys[0] in wire and has_path(wire[keys[0]], keys[1:])


def test_facets_and_pipeline_read_keys_that_the_audit_line_has() -> None:
    event = {"id": "e", "name": "n", "rev": 1, "client": "c", "isSync": False, "publishedAt": "t"}
    wire = {**FULL.as_wire(), "msg": "m", "time": "t", "level": 30, "event": event}
    dd = {"service": "s", "version": "v", "env": "e", "trace_id": "1"}
    pipeline = loaded(FOLDER / "log-pipeline.json")
    made = set(re.findall(r'"target": "(\w+)"', json.dumps(pipeline)))
    line = {**wire, "dd": dd, **dict.fromkeys(made)}
    facets = [facet["path"] for facet in loaded(FOLDER / "log-facets.json")]
    queried = re.findall(r"@([\w.]+):", json.dumps([pipeline, [monitor_query(path) for path in MONITORS]]))
    queried += re.findall(r"@([\w.]+):", json.dumps(list(dashboard_widgets())))
    lists = re.findall(r'"sources": (\[.*?\])', json.dumps(pipeline))
    named = {
        *(path.removeprefix("@") for path in facets),
        *queried,
        *(key for text in lists for key in json.loads(text)),
    }
    assert len(named) > 20
    assert {path for path in named if not has_path(line, path.split("."))} == set()
