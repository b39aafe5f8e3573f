"""Metrics as the agent receives them: datagrams on a socket."""

import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from worker.telemetry.metrics import Metric, StatsdMetrics, StoreMetrics, event_tag, resolve_host


@contextmanager
def _agent() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as agent:
        agent.bind(("127.0.0.1", 0))
        agent.settimeout(5)
        yield agent


def _open(port: int) -> StatsdMetrics:
    return StatsdMetrics(address="127.0.0.1", port=port, service="routing-worker", version="1.2.3", environment="test")


def _received(agent: socket.socket, count: int) -> list[str]:
    lines: list[str] = []
    while len(lines) < count:
        lines.extend(agent.recv(65_535).decode().splitlines())
    return sorted(lines)


def test_counts_gauges_and_distributions_reach_the_agent_with_their_tags() -> None:
    with _agent() as agent:
        metrics = _open(agent.getsockname()[1])
        metrics.count(Metric.OUTCOME, outcome="done", event="other", reason="APPLIED")
        metrics.count(Metric.RECEIVED, 7)
        metrics.gauge(Metric.OUTBOX_BACKLOG, 3)
        metrics.distribution(Metric.LAG, 12.5, event="other")
        StoreMetrics(metrics).transaction_seconds(0.25)
        StoreMetrics(metrics).conflict()
        StoreMetrics(metrics).aborted(3)
        metrics.close()
        lines = _received(agent, 7)
    constant = "service:routing-worker,version:1.2.3,env:test"
    assert f"routing_sync.messages.received:7|c|#{constant}" in lines
    assert f"routing_sync.outbox.backlog:3|g|#{constant}" in lines
    assert f"routing_sync.sync.lag_ms:12.5|d|#event:other,{constant}" in lines
    assert f"routing_sync.messages.outcome:1|c|#outcome:done,event:other,reason:APPLIED,{constant}" in lines
    assert f"routing_sync.store.transaction_ms:250.0|d|#{constant}" in lines
    assert f"routing_sync.store.conflict:1|c|#{constant}" in lines
    assert f"routing_sync.store.transaction_aborted:1|c|#batch:many,{constant}" in lines


def test_an_absent_agent_fails_nothing() -> None:
    with _agent() as agent:
        port = agent.getsockname()[1]
    metrics = _open(port)
    for _ in range(100):
        metrics.count(Metric.RECEIVED)
    metrics.close()


async def test_a_host_that_cannot_be_resolved_is_none() -> None:
    assert await resolve_host("127.0.0.1", 8125) == "127.0.0.1"
    assert await resolve_host("no-such-host.invalid", 8125) is None


def test_tags_come_from_finite_sets() -> None:
    assert event_tag("kustomer.conversation.update") == "kustomer.conversation.update"
    assert event_tag("kustomer.anything.else") == "other"
    assert event_tag(None) == "other"


def test_metric_names_are_unique_and_well_formed() -> None:
    names = [metric.value for metric in Metric]
    assert len(names) == len(set(names))
    assert all(re.fullmatch(r"routing_sync\.[a-z]+\.[a-z_]+", name) for name in names)
