"""What the log and the metrics tell of a handled event, from its audit record."""

from collections.abc import Sequence

from commands.execute import CommandRecord
from handlers.events.event import UnsupportedEvent
from handlers.outcome import HandledEvent, PolledPair
from handlers.planning.audit_records import unsupported
from sync.audit import AuditOutcome, AuditRecord
from sync.rule import Policy
from worker.telemetry.logs import write_audits
from worker.telemetry.metrics import Metric, Metrics, Telemetry, event_tag


def log_handled(handled: Sequence[HandledEvent], telemetry: Telemetry) -> None:
    """One audit line each, and their figures."""
    if handled:
        write_audits(telemetry.log, (one.audit.as_wire() for one in handled))
    metrics = telemetry.metrics
    for one in handled:
        audit, event = one.audit, event_tag(one.event.name)
        _count(audit, event, metrics)
        if audit.lag_ms is not None:
            metrics.distribution(Metric.LAG, audit.lag_ms, event=event)
        if not one.event.supported:
            metrics.count(Metric.UNSUPPORTED)
        if audit.shadow is not None:
            metrics.count(Metric.SHADOW_DIFFERS, event=event)


def log_polled(polled: PolledPair, telemetry: Telemetry) -> None:
    """The same for a pair that no event asked about."""
    write_audits(telemetry.log, [polled.audit.as_wire()])
    _count(polled.audit, "none", telemetry.metrics)
    telemetry.metrics.count(Metric.GAP_CLOSED, outcome=polled.audit.outcome.value)


def log_unsupported(events: Sequence[UnsupportedEvent], policy: Policy, telemetry: Telemetry) -> None:
    """One audit line each for events that are none of ours: acknowledged, and nobody's trigger."""
    if events:
        write_audits(telemetry.log, (unsupported(event, policy).as_wire() for event in events))
        telemetry.metrics.count(Metric.UNSUPPORTED, len(events))


def _count(audit: AuditRecord, event: str, metrics: Metrics) -> None:
    if audit.command is not None:
        _tell_used(audit.command, metrics)
    if audit.outcome is AuditOutcome.REFUSED:
        metrics.count(Metric.REFUSED, event=event)
    if audit.outcome is AuditOutcome.APPLIED:
        for reason in audit.reasons:
            rule = reason.meta.get("rule")
            if isinstance(rule, str):
                metrics.count(Metric.APPLIED, direction=audit.direction or "none", rule=rule, event=event)
    for suppressed in audit.suppressed:
        metrics.count(Metric.SUPPRESSED, code=suppressed.code, field=suppressed.field)


def _tell_used(command: CommandRecord, metrics: Metrics) -> None:
    """Who sends which fields together, and how many: what a team must know before it limits them."""
    metrics.count(
        Metric.COMMAND_USED,
        fields="+".join(sorted(command.fields)),
        count=str(len(command.fields)),
        origin=command.origin.value,
        engine=command.engine.value,
        composed=str(command.composed).lower(),
    )
