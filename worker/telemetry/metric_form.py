"""What is declared of a metric: its name, kind, unit, tags and meaning."""

from collections.abc import Mapping
from enum import StrEnum

from msgspec import Struct


class MetricKind(StrEnum):
    """What the agent does with the values of one interval."""

    COUNT = "count"
    GAUGE = "gauge"
    DISTRIBUTION = "distribution"


class MetricForm(Struct, frozen=True, kw_only=True):
    """What is declared of a metric. `unit`: one of Datadog's units. `tags`: the values of each tag, by its name."""

    name: str
    kind: MetricKind
    unit: str
    meaning: str
    tags: Mapping[str, str]


def _metric_form(kind: MetricKind, name: str, unit: str, meaning: str, tags: Mapping[str, str]) -> MetricForm:
    return MetricForm(name=f"routing_sync.{name}", kind=kind, unit=unit, meaning=meaning, tags=tags)


def count(name: str, unit: str, meaning: str, **tags: str) -> MetricForm:
    """The form of a count."""
    return _metric_form(MetricKind.COUNT, name, unit, meaning, tags)


def gauge(name: str, unit: str, meaning: str, **tags: str) -> MetricForm:
    """The form of a gauge."""
    return _metric_form(MetricKind.GAUGE, name, unit, meaning, tags)


def distribution(name: str, unit: str, meaning: str, **tags: str) -> MetricForm:
    """The form of a distribution."""
    return _metric_form(MetricKind.DISTRIBUTION, name, unit, meaning, tags)
