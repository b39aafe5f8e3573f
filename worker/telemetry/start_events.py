"""Datadog events of a start: that a process started, and what changed since the start before it.

The workers of a fleet keep in the store what the last one of them to start ran. So a deployment is one event of a new
version, however many workers start: the first of them finds the old version there.
"""

from typing import Final

from handlers.ports import StoreAway
from worker.ports.fleet import Deployment, Fleet
from worker.telemetry.datadog_event import AgentEvent, AgentEventKind
from worker.telemetry.metrics import Telemetry

_VERSION_CHARACTERS_MAX: Final = 200


def started(process: str, deployment: Deployment) -> AgentEvent:
    """The event of a process that has started."""
    text = f"Version {_short(deployment.version)}, policy {deployment.policy}."
    return AgentEvent(kind=AgentEventKind.STARTED, title=f"{process} started", text=text)


def changes(before: Deployment, after: Deployment) -> list[AgentEvent]:
    """The events of what a start changed."""
    events: list[AgentEvent] = []
    if before.version != after.version:
        title = f"Deployed: version {_short(after.version)}"
        text = f"The version before is {_short(before.version)}. Workers of both run until the deployment ends."
        events.append(AgentEvent(kind=AgentEventKind.DEPLOYED, title=title, text=text))
    if before.policy != after.policy:
        title = f"Policy changed: {after.policy}"
        text = f"The policy before is {before.policy}. Workers may differ until all of them have started again."
        events.append(AgentEvent(kind=AgentEventKind.POLICY_CHANGED, title=title, text=text))
    return events


async def tell_start(fleet: Fleet, deployment: Deployment, telemetry: Telemetry) -> None:
    """Send the events of a worker's start, and log what it changed. Where the store is away, only the start is told."""
    telemetry.metrics.event(started("Worker", deployment))
    try:
        before = await fleet.replace_deployment(deployment)
    except StoreAway as away:
        telemetry.log.warning("the deployment before is not known", reason=str(away))
        return
    for event in changes(before or deployment, deployment):
        telemetry.metrics.event(event)
        telemetry.log.info("deployment changed", change=event.kind.value, title=event.title, text=event.text)


def _short(version: str) -> str:
    return version[:_VERSION_CHARACTERS_MAX]
