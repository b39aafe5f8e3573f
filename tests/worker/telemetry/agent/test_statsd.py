"""Metrics as the agent receives them: lines with tags on a socket."""

import asyncio
import logging
import socket
from collections.abc import Sequence

import pytest

from tests.worker.stand_ins.fake_clock import FakeClock, until
from tests.worker.stand_ins.telemetry_recorder import TelemetryRecorder
from tests.worker.telemetry.agent.agents import port_of, received, target, to_udp, udp_agent, unix_agent
from worker.telemetry.agent.address import UdpAddress, UnixAddress
from worker.telemetry.agent.packet_socket import SocketTarget
from worker.telemetry.agent.statsd import StatsdMetrics, opened_metrics
from worker.telemetry.datadog_event import AgentEvent, AgentEventKind
from worker.telemetry.metrics import Metric, NoMetrics
from worker.telemetry.store_observer import StoreMetrics

TAGS = ["service:routing-worker", "version:1.2.3", "env:test"]
CONSTANT = ",".join(TAGS)


@pytest.fixture(autouse=True)
def _no_container(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DD_ORIGIN_DETECTION_ENABLED", "false")
    for name in ("DD_SERVICE", "DD_ENV", "DD_VERSION", "DD_ENTITY_ID", "DD_EXTERNAL_ENV", "DATADOG_TAGS"):
        monkeypatch.delenv(name, raising=False)


def test_counts_gauges_and_distributions_reach_the_agent_with_their_tags() -> None:
    with udp_agent() as agent:
        metrics = StatsdMetrics(to_udp(port_of(agent)), tags=TAGS)
        metrics.count(Metric.OUTCOME, outcome="done", event="other", reason="APPLIED")
        metrics.count(Metric.RECEIVED, 7)
        metrics.gauge(Metric.OUTBOX_BACKLOG, 3)
        metrics.distribution(Metric.LAG, 12.5, event="other")
        StoreMetrics(metrics).transaction_seconds(0.25)
        StoreMetrics(metrics).conflict()
        StoreMetrics(metrics).aborted(3)
        metrics.close()
        lines = received(agent, 7)
    assert f"routing_sync.messages.received:7|c|#{CONSTANT}" in lines
    assert f"routing_sync.outbox.backlog:3|g|#{CONSTANT}" in lines
    assert f"routing_sync.sync.lag_ms:12.5|d|#event:other,{CONSTANT}" in lines
    assert f"routing_sync.messages.outcome:1|c|#outcome:done,event:other,reason:APPLIED,{CONSTANT}" in lines
    assert f"routing_sync.store.transaction_ms:250.0|d|#{CONSTANT}" in lines
    assert f"routing_sync.store.conflict:1|c|#{CONSTANT}" in lines
    assert f"routing_sync.store.transaction_aborted:1|c|#batch:many,{CONSTANT}" in lines


def test_an_event_reaches_the_agent_with_the_tags() -> None:
    event = AgentEvent(kind=AgentEventKind.DEPLOYED, title="Deployed: version 2", text="The version before is 1.")
    with udp_agent() as agent:
        metrics = StatsdMetrics(to_udp(port_of(agent)), tags=TAGS)
        metrics.event(event)
        metrics.close()
        (line,) = received(agent, 1)
    sizes = f"{len(event.title)},{len(event.text)}"
    keys = f"k:routing_sync.deployed|t:info|#change:deployed,{CONSTANT}"
    assert line == f"_e{{{sizes}}}:{event.title}|{event.text}|{keys}"


def test_row_11_the_tags_that_the_agents_users_know_go_with_every_value_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DD_SERVICE", "routing-worker")
    monkeypatch.setenv("DD_ENV", "test")
    monkeypatch.setenv("DD_ENTITY_ID", "pod-uid")
    monkeypatch.setenv("DATADOG_TAGS", "team:routing")
    monkeypatch.setenv("DD_EXTERNAL_ENV", "cn-worker")
    with udp_agent() as agent:
        metrics = StatsdMetrics(to_udp(port_of(agent)), tags=TAGS)
        metrics.count(Metric.RECEIVED)
        metrics.close()
        (line,) = received(agent, 1)
    name, kind, tags, external = line.split("|")
    assert (name, kind, external) == ("routing_sync.messages.received:1", "c", "e:cn-worker")
    assert sorted(tags.removeprefix("#").split(",")) == sorted([*TAGS, "dd.internal.entity_id:pod-uid", "team:routing"])


def test_row_12_an_agent_that_is_away_leaves_no_line_of_the_client(log_records: list[logging.LogRecord]) -> None:
    with udp_agent() as agent:
        port = port_of(agent)
    agent_socket = to_udp(port)
    metrics = StatsdMetrics(agent_socket, tags=TAGS)
    # More than a packet holds, so that several are sent.
    for _ in range(200):
        metrics.count(Metric.RECEIVED)
    metrics.close()
    assert agent_socket.lost > 5
    assert log_records == []


async def test_row_11_metrics_begin_once_the_agents_name_has_an_address() -> None:
    clock, recorder = FakeClock(), TelemetryRecorder()
    found: list[SocketTarget] = []

    async def look_up(host: str, port: int) -> Sequence[SocketTarget]:
        assert (host, port) == ("datadog-agent", 8125)
        if not found:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return found

    address = UdpAddress(host="datadog-agent", port=8125)
    with udp_agent() as agent:
        opening = opened_metrics(address, tags=TAGS, clock=clock, log=recorder.telemetry.log, look_up=look_up)
        async with opening as metrics:
            await clock.advance(1)
            found.append(target(port_of(agent)))
            await clock.advance(10)
            metrics.count(Metric.RECEIVED, 7)
        assert received(agent, 1) == [f"routing_sync.messages.received:7|c|#{CONSTANT}"]


async def test_row_11_a_look_up_that_never_ends_delays_neither_the_worker_nor_its_end() -> None:
    asked = asyncio.Event()

    async def look_up(host: str, port: int) -> Sequence[SocketTarget]:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError("the wait never ends")

    address = UdpAddress(host="datadog-agent", port=8125)
    log = TelemetryRecorder().telemetry.log
    async with opened_metrics(address, tags=TAGS, clock=FakeClock(), log=log, look_up=look_up) as metrics:
        await until(asked.is_set)
        metrics.count(Metric.RECEIVED)


async def test_row_11_metrics_over_a_unix_socket(tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("agent") / "dsd.socket"
    log = TelemetryRecorder().telemetry.log
    with unix_agent(path) as agent:
        async with opened_metrics(UnixAddress(path=str(path)), tags=TAGS, clock=FakeClock(), log=log) as metrics:
            metrics.gauge(Metric.OUTBOX_BACKLOG, 3)
        assert received(agent, 1) == [f"routing_sync.outbox.backlog:3|g|#{CONSTANT}"]


async def test_without_an_address_there_are_no_metrics() -> None:
    log = TelemetryRecorder().telemetry.log
    async with opened_metrics(None, tags=TAGS, clock=FakeClock(), log=log) as metrics:
        assert isinstance(metrics, NoMetrics)
