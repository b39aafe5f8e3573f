"""Metrics: their names, what is declared of them, and the tags that anyone could fill."""

import re

import pytest

from tests.worker.telemetry.emissions import Emission, emissions
from worker.telemetry.metric_form import MetricKind
from worker.telemetry.metrics import Metric, event_tag

UNITS = {
    *("message", "event", "write", "update", "item", "unit", "document", "fault", "transaction", "occurrence"),
    *("request", "second", "millisecond"),
}
"""Those of Datadog's units that our metrics have."""


def test_tags_come_from_finite_sets() -> None:
    assert event_tag("kustomer.conversation.update") == "kustomer.conversation.update"
    assert event_tag("kustomer.anything.else") == "other"
    assert event_tag(None) == "other"


def test_metric_names_are_unique_and_well_formed() -> None:
    names = [metric.value for metric in Metric]
    assert len(names) == len(set(names)) == len(Metric.__members__)
    assert all(re.fullmatch(r"routing_sync\.[a-z]+\.[a-z_]+", name) for name in names)


@pytest.mark.parametrize("metric", Metric, ids=lambda metric: metric.name)
def test_what_is_declared_of_a_metric_is_whole(metric: Metric) -> None:
    form = metric.form
    assert form.name == metric.value
    assert form.meaning.endswith(".")
    assert form.unit in UNITS
    assert all(form.tags.values())
    # The name of a time ends with its unit, and only of a time.
    by_suffix = {"_s": "second", "_ms": "millisecond"}
    suffix = re.search(r"_m?s$", form.name)
    assert by_suffix.get(suffix[0] if suffix else "", form.unit) == form.unit
    assert (form.unit in by_suffix.values()) is (suffix is not None)


def _declared(emission: Emission) -> tuple[MetricKind, frozenset[str]]:
    form = Metric[emission.member].form
    return form.kind, frozenset(form.tags)


def test_each_metric_is_sent_as_it_is_declared() -> None:
    """By place: the kind and the tags that are declared, and those that are sent."""
    found = emissions()
    assert len(found) > 50
    assert {
        each.place: (_declared(each), (each.kind, each.tags))
        for each in found
        if _declared(each) != (each.kind, each.tags)
    } == {}


def test_every_declared_metric_is_sent_somewhere() -> None:
    assert {emission.member for emission in emissions()} == {metric.name for metric in Metric}


def test_a_distribution_is_one_measurement_and_never_a_total() -> None:
    assert {metric.form.kind for metric in Metric if metric.value.endswith("_ms")} == {MetricKind.DISTRIBUTION}
