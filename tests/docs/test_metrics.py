"""Datadog's metadata of the metrics is made from the code."""

import json

from docs.generators.blocks import ROOT
from docs.generators.metrics import metric_metadata_file
from worker.telemetry.metrics import Metric


def test_the_metadata_for_datadog_is_up_to_date() -> None:
    """Else: `make docs`."""
    text = (ROOT / "deploy" / "datadog" / "metric-metadata.json").read_text()
    assert text == metric_metadata_file()
    assert {entry["metric"] for entry in json.loads(text)} == {metric.value for metric in Metric}
