"""A recorder for telemetry: metrics are held against their declaration and counted, log lines are parsed."""

import json
from collections import Counter
from io import BytesIO
from typing import Any

from handlers.ports import Clock
from tests.worker.stand_ins.fake_clock import FakeClock, MiddleChance
from worker.runtime.context import RuntimeContext
from worker.telemetry.datadog_event import AgentEvent
from worker.telemetry.health import Health
from worker.telemetry.logs import LogIdentity, open_log
from worker.telemetry.metric_form import MetricKind
from worker.telemetry.metrics import Metric, Telemetry


class TelemetryRecorder:
    """Telemetry for the parts under test, and everything that they sent to it."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.gauges: dict[str, float] = {}
        self.events: list[AgentEvent] = []
        self._out = BytesIO()
        log = open_log(level="debug", identity=LogIdentity(hostname="host", pid=7), clock=FakeClock(), to=self._out)
        self.telemetry = Telemetry(metrics=self, log=log)

    def count(self, metric: Metric, value: int = 1, **tags: str) -> None:
        self.counts[_name(metric, MetricKind.COUNT, tags)] += value

    def gauge(self, metric: Metric, value: float, **tags: str) -> None:
        self.gauges[_name(metric, MetricKind.GAUGE, tags)] = value

    def distribution(self, metric: Metric, value: float, **tags: str) -> None:
        self.counts[_name(metric, MetricKind.DISTRIBUTION, tags)] += 1

    def event(self, event: AgentEvent) -> None:
        self.events.append(event)

    def close(self) -> None:
        pass

    def total(self, metric: Metric) -> int:
        """The count over all tags."""
        return sum(value for name, value in self.counts.items() if name.partition(" ")[0] == metric.value)

    @property
    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._out.getvalue().splitlines()]

    @property
    def messages(self) -> list[str]:
        return [line["msg"] for line in self.lines]


def runtime_of(clock: Clock, recorder: TelemetryRecorder) -> RuntimeContext:
    """A runtime context for the parts under test, made as `worker/process.py` makes it."""
    health = Health(clock=clock, silence_s_max=90)
    return RuntimeContext.create(clock=clock, chance=MiddleChance(), telemetry=recorder.telemetry, health=health)


def _name(metric: Metric, kind: MetricKind, tags: dict[str, str]) -> str:
    assert (kind, set(tags)) == (metric.form.kind, set(metric.form.tags)), f"{metric} is sent otherwise than declared"
    return " ".join([metric.value, *(f"{name}={tags[name]}" for name in sorted(tags))])
