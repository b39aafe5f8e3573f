"""An event for Datadog, which shows it beside the graphs."""

from enum import StrEnum

from msgspec import Struct


class AgentEventKind(StrEnum):
    """What happened; the tag `change` of the event."""

    STARTED = "started"
    POLICY_CHANGED = "policy_changed"
    DEPLOYED = "deployed"


class AgentEvent(Struct, frozen=True, kw_only=True):
    """An event that Datadog shows beside the graphs. It holds names and versions, no ids and no content."""

    kind: AgentEventKind
    title: str
    text: str
