"""Metrics: their names, and the tags that anyone could fill."""

import re

from worker.telemetry.metrics import Metric, event_tag


def test_tags_come_from_finite_sets() -> None:
    assert event_tag("kustomer.conversation.update") == "kustomer.conversation.update"
    assert event_tag("kustomer.anything.else") == "other"
    assert event_tag(None) == "other"


def test_metric_names_are_unique_and_well_formed() -> None:
    names = [metric.value for metric in Metric]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"routing_sync\.[a-z]+\.[a-z_]+", name) for name in names)
