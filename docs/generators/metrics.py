"""The tables of docs/metrics.md and the metadata that Datadog's API takes, from the members of `Metric`."""

import json
from typing import Any

from worker.telemetry.metrics import Metric


def metrics_table() -> str:
    """A row for each metric, in the order of the code."""
    rows = [
        f"| `{form.name}` | {form.kind.value} | {form.unit} | {_tags(metric)} | {form.meaning} |"
        for metric, form in ((metric, metric.form) for metric in Metric)
    ]
    return "\n".join(["| metric | type | unit | tags | meaning |", "|---|---|---|---|---|", *rows])


def metric_metadata() -> list[dict[str, Any]]:
    """One body of `PUT /api/v1/metrics/NAME` for each metric, with its name as `metric`."""
    return [
        {
            "metric": form.name,
            "metadata": {"type": form.kind.value, "unit": form.unit, "description": form.meaning},
        }
        for form in (metric.form for metric in Metric)
    ]


def metric_metadata_file() -> str:
    """The text of deploy/datadog/metric-metadata.json."""
    return json.dumps(metric_metadata(), indent=2) + "\n"


def _tags(metric: Metric) -> str:
    """Each tag with its values."""
    return "<br>".join(f"`{name}`: {values}" for name, values in metric.form.tags.items()) or "–"
