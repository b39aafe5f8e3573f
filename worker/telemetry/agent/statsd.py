"""Metrics for the Datadog agent, over UDP or a Unix socket.

Datadog's client formats and buffers the values and sends them several times a second. The socket is the worker's own,
because the client logs each lost packet, and looks names up in the call that sends.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from datadog.dogstatsd.base import DogStatsd

from handlers.ports import Clock
from worker.errors import thread_limit_named
from worker.telemetry.agent.address import DEFAULT_PORT, AgentAddress, UdpAddress, UnixAddress
from worker.telemetry.agent.packet_socket import AgentSocket, unix_targets
from worker.telemetry.agent.watch import AgentLookUp, AgentReport, LookUp, look_up_agent
from worker.telemetry.datadog_event import AgentEvent
from worker.telemetry.logs import Log
from worker.telemetry.metrics import Metric, Metrics, NoMetrics


class StatsdMetrics:
    """`Metrics` through one socket. `tags` go with every value.

    The client itself adds the tags of `DATADOG_TAGS` and `DD_ENTITY_ID`, the container's id, and `DD_EXTERNAL_ENV`.
    """

    def __init__(self, agent_socket: AgentSocket, *, tags: Sequence[str]) -> None:
        self._statsd = _Client(agent_socket)
        # The client adds env, service and version a second time, from the same variables.
        named = {_tag_name(tag) for tag in tags}
        own = [tag for tag in self._statsd.constant_tags if _tag_name(tag) not in named]
        self._statsd.constant_tags = [*tags, *own]

    def count(self, metric: Metric, value: int = 1, **tags: str) -> None:
        """Add `value` to a count."""
        self._statsd.increment(metric.value, value, tags=_tags(tags))

    def gauge(self, metric: Metric, value: float, **tags: str) -> None:
        """Set a gauge."""
        self._statsd.gauge(metric.value, value, tags=_tags(tags))

    def distribution(self, metric: Metric, value: float, **tags: str) -> None:
        """Add one measurement to a distribution."""
        self._statsd.distribution(metric.value, value, tags=_tags(tags))

    def event(self, event: AgentEvent) -> None:
        """Send an event; events of one kind are put together in Datadog."""
        self._statsd.event(
            event.title,
            event.text,
            alert_type="info",
            aggregation_key=f"routing_sync.{event.kind.value}",
            tags=[f"change:{event.kind.value}"],
        )

    def close(self) -> None:
        """Send the values that are still buffered."""
        self._statsd.stop(timeout=1)


class _Client(DogStatsd):
    def __init__(self, agent_socket: AgentSocket) -> None:
        self._agent_socket = agent_socket
        # The host is never used, but without one the client reads an address from the environment.
        with thread_limit_named():
            super().__init__(host="127.0.0.1", port=DEFAULT_PORT, disable_telemetry=True, disable_buffering=False)

    def get_socket(self, telemetry: bool = False) -> Any:  # noqa: ARG002 - a parameter of the client
        return self._agent_socket


@asynccontextmanager
async def opened_metrics(
    address: AgentAddress | None,
    *,
    tags: Sequence[str],
    clock: Clock,
    log: Log,
    look_up: LookUp = look_up_agent,
) -> AsyncIterator[Metrics]:
    """Metrics for the agent at `address`, and the tasks that keep its socket; without an address they drop each value.

    At the end the buffered values are sent. Raises Misconfigured if the system refuses the client's thread.
    """
    if address is None:
        yield NoMetrics()
        return
    agent_socket = AgentSocket(address)
    metrics = StatsdMetrics(agent_socket, tags=tags)
    async with asyncio.TaskGroup() as tasks:
        watching = [tasks.create_task(AgentReport(agent_socket=agent_socket, clock=clock, log=log).run())]
        match address:
            case UnixAddress():
                agent_socket.use(unix_targets(address))
            case UdpAddress():
                lookup = AgentLookUp(address=address, agent_socket=agent_socket, clock=clock, look_up=look_up)
                watching.append(tasks.create_task(lookup.run()))
        try:
            yield metrics
        finally:
            for task in watching:
                task.cancel()
            metrics.close()
            agent_socket.close()


def _tags(tags: dict[str, str]) -> list[str]:
    return [f"{name}:{value}" for name, value in tags.items()]


def _tag_name(tag: str) -> str:
    return tag.partition(":")[0]
