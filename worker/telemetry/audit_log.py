"""The audit log: the audit line and the metrics of each handled event, from its audit record (docs/events.md, *The
audit line*)."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from commands.execute import CommandRecord
from commands.reason import ReasonAction
from handlers.drift import SweptPair
from handlers.events.event import OwnSync, UnsupportedEvent
from handlers.outcome import HandledEvent, PolledPair
from handlers.planning.endings import own_sync_audit, unsupported_audit
from sync.audit import AuditOutcome, AuditRecord
from sync.gates import Policy
from worker.telemetry.logs import write_audit_lines
from worker.telemetry.metrics import Metric, Metrics, Telemetry, event_tag

_ROUTING: Final = frozenset(
    {ReasonAction.CREATE_WORK_ITEM, ReasonAction.UNASSIGN_CONVERSATION, ReasonAction.QUEUE_WORK_ITEM}
)


def log_handled(handled: Sequence[HandledEvent], telemetry: Telemetry) -> None:
    """Write the audit lines of handled events and count them."""
    if handled:
        write_audit_lines(telemetry.log, (ending.audit.as_wire() for ending in handled))
    if telemetry.decisions is not None:
        telemetry.decisions.note(ending.audit for ending in handled)
    metrics = telemetry.metrics
    for ending in handled:
        audit, event = ending.audit, event_tag(ending.event.name)
        _count_decision(audit, event, metrics)
        if audit.lag_ms is not None:
            metrics.distribution(Metric.LAG, audit.lag_ms, event=event)
        if not ending.event.supported:
            metrics.count(Metric.UNSUPPORTED)
        if ending.gaps_given_up:
            metrics.count(Metric.GAP_GIVEN_UP, ending.gaps_given_up)
        if audit.shadow is not None:
            metrics.count(Metric.SHADOW_DIFFERS, event=event)


def log_own_syncs(syncs: Sequence[OwnSync], policy: Policy, now: datetime, telemetry: Telemetry) -> None:
    """Write the audit lines of the worker's own syncs, and count them. None of them is a decision to be shown."""
    audits = [own_sync_audit(sync, policy=policy, now=now) for sync in syncs]
    if audits:
        write_audit_lines(telemetry.log, (audit.as_wire() for audit in audits))
    for sync, audit in zip(syncs, audits, strict=True):
        if audit.lag_ms is not None:
            telemetry.metrics.distribution(Metric.LAG, audit.lag_ms, event=event_tag(sync.name))


def log_polled(polled: PolledPair, telemetry: Telemetry) -> None:
    """Write the audit line of a pair that the gap poll decided, and count it."""
    write_audit_lines(telemetry.log, [polled.audit.as_wire()])
    if telemetry.decisions is not None:
        telemetry.decisions.note([polled.audit])
    _count_decision(polled.audit, "none", telemetry.metrics)
    telemetry.metrics.count(Metric.GAP_CLOSED, outcome=polled.audit.outcome.value)


def log_updated(audit: AuditRecord, telemetry: Telemetry) -> None:
    """Write the audit line of an update that a client of the API sent, and count it."""
    write_audit_lines(telemetry.log, [audit.as_wire()])
    _count_decision(audit, "none", telemetry.metrics)


def log_swept(swept: Sequence[SweptPair], telemetry: Telemetry) -> None:
    """Write the audit lines of pairs that the sweep decided, and count them."""
    audits = [pair.audit for pair in swept if pair.audit is not None]
    if audits:
        write_audit_lines(telemetry.log, (audit.as_wire() for audit in audits))
    if telemetry.decisions is not None:
        telemetry.decisions.note(audits)
        telemetry.decisions.note_drifts(pair.drift for pair in swept)
    for audit in audits:
        _count_decision(audit, "none", telemetry.metrics)


def log_unsupported(events: Sequence[UnsupportedEvent], policy: Policy, telemetry: Telemetry) -> None:
    """Write the audit lines of well-formed events that the worker does not sync, and count them."""
    if events:
        write_audit_lines(telemetry.log, (unsupported_audit(event, policy).as_wire() for event in events))
        telemetry.metrics.count(Metric.UNSUPPORTED, len(events))


def _count_decision(audit: AuditRecord, event: str, metrics: Metrics) -> None:
    if audit.command is not None:
        _count_command(audit.command, metrics)
    if audit.outcome is AuditOutcome.REFUSED:
        metrics.count(Metric.REFUSED, event=event)
    if audit.outcome is AuditOutcome.APPLIED:
        for reason in audit.reasons:
            if reason.action in _ROUTING:
                metrics.count(Metric.ROUTED, action=reason.action.lower(), code=reason.code.lower(), event=event)
            rule = reason.meta.get("rule")
            if isinstance(rule, str):
                metrics.count(Metric.APPLIED, direction=audit.direction or "none", rule=rule, event=event)
    for suppressed in audit.suppressed:
        metrics.count(Metric.SUPPRESSED, code=suppressed.code, field=suppressed.field)


def _count_command(command: CommandRecord, metrics: Metrics) -> None:
    """Count the update by its fields: an operator reads these counts before setting MAX_FIELDS."""
    metrics.count(
        Metric.COMMAND_USED,
        fields="+".join(sorted(command.fields)),
        count=str(len(command.fields)),
        origin=command.origin.value,
        engine=command.engine.value,
        composed=str(command.composed).lower(),
    )
