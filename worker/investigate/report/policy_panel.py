"""What a policy of ours would have done with a capture, as the page's second panel shows it."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from worker.investigate.report.shown_values import shown_value


class PolicyDecision(Struct, frozen=True, kw_only=True):
    """One decision of a simulation. `writes`: record and values, in words."""

    at: str
    event_id: str
    trigger: str
    outcome: str
    direction: str
    writes: tuple[str, ...]
    reasons: tuple[str, ...]


class PolicyEnd(Struct, frozen=True, kw_only=True):
    """An end that some orders of delivery lead to. `count`: how many; `example`: the steps of one of them."""

    count: int
    conversation: tuple[str, ...]
    work_item: tuple[str, ...]
    violations: tuple[str, ...]
    example: tuple[str, ...]


class PolicyPanel(Struct, frozen=True, kw_only=True):
    """A simulation of the outside writes under a policy and, of a short capture, every order of delivery.

    `kept`: whether the simulation keeps the contract; None: it was not run, or, with `lacks`, no verdict rests on what
    the capture has. `interleavings` 0: not explored. `remarks`: why something is not there.
    """

    policy: str
    kept: bool | None
    violations: tuple[str, ...]
    decisions: tuple[PolicyDecision, ...]
    conversation: tuple[str, ...]
    work_item: tuple[str, ...]
    interleavings: int = 0
    ends: tuple[PolicyEnd, ...] = ()
    remarks: tuple[str, ...] = ()
    lacks: str | None = None


def decision_of(audit: Mapping[str, Any], at: str) -> PolicyDecision:
    """A decision from its audit record as JSON (docs/events.md, *The audit line*)."""
    return PolicyDecision(
        at=at,
        event_id=str((audit.get("event") or {}).get("id") or ""),
        trigger=str(audit.get("trigger") or ""),
        outcome=str(audit.get("outcome") or ""),
        direction=str(audit.get("direction") or ""),
        writes=(
            *(f"conversation: {each}" for each in values_of(audit.get("updatedConversation"))),
            *(f"work-item: {each}" for each in values_of(audit.get("updatedWorkItem"))),
        ),
        reasons=tuple(
            f"{each.get('action')}, {each.get('code')}" for each in audit.get("reasons") or () if isinstance(each, dict)
        ),
    )


def values_of(values: Mapping[str, Any] | None) -> tuple[str, ...]:
    """`name: value` for each."""
    return tuple(f"{name}: {shown_value(value)}" for name, value in (values or {}).items())
