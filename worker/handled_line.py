"""What the log and the metrics tell of a handled event, from its audit record."""

from commands.engine import Command
from handlers.event import Unsupported
from handlers.outcome import Handled, Polled
from sync.audit import Audit, Outcome
from sync.gates import Skip
from sync.rule import Policy
from worker.logs import write_audit
from worker.metrics import Metric, Metrics, event_tag
from worker.telemetry import Telemetry


def tell_handled(handled: Handled, telemetry: Telemetry) -> None:
    """One audit line, and its figures."""
    audit, metrics = handled.audit, telemetry.metrics
    event = event_tag(handled.event.name)
    _tell(audit, event, telemetry)
    if audit.lag_ms is not None:
        metrics.distribution(Metric.LAG, audit.lag_ms, event=event)
    if not handled.event.supported:
        metrics.count(Metric.UNSUPPORTED)
    if audit.shadow is not None:
        metrics.count(Metric.SHADOW_DIFFERS, event=event)


def tell_polled(polled: Polled, telemetry: Telemetry) -> None:
    """The same for a pair that no event asked about."""
    _tell(polled.audit, "none", telemetry)
    telemetry.metrics.count(Metric.GAP_CLOSED, outcome=polled.audit.outcome.value)


def tell_unsupported(event: Unsupported, policy: Policy, telemetry: Telemetry) -> None:
    """One audit line for an event that is none of ours: acknowledged, and nobody's trigger."""
    audit = Audit(
        event={"id": event.id, "name": event.name, "rev": None, "client": None, "isSync": None, "publishedAt": None},
        outcome=Outcome.SKIPPED,
        trigger="conversation",
        policy=policy,
        reasons=(Skip.UNSUPPORTED_EVENT.reason(),),
        conversation_id=None,
    )
    write_audit(telemetry.log, {**audit.as_wire(), "trigger": None})
    telemetry.metrics.count(Metric.UNSUPPORTED)


def _tell(audit: Audit, event: str, telemetry: Telemetry) -> None:
    metrics = telemetry.metrics
    write_audit(telemetry.log, audit.as_wire())
    if audit.command is not None:
        _tell_used(audit.command, metrics)
    if audit.outcome is Outcome.REFUSED:
        metrics.count(Metric.REFUSED, event=event)
    if audit.outcome is Outcome.APPLIED:
        for reason in audit.reasons:
            rule = reason.meta.get("rule")
            if isinstance(rule, str):
                metrics.count(Metric.APPLIED, direction=audit.direction or "none", rule=rule, event=event)
    for suppressed in audit.suppressed:
        metrics.count(Metric.SUPPRESSED, code=suppressed.code, field=suppressed.field)


def _tell_used(command: Command, metrics: Metrics) -> None:
    """Who sends which fields together, and how many: what a team must know before it limits them."""
    metrics.count(
        Metric.COMMAND_USED,
        fields="+".join(sorted(command.fields)),
        count=str(len(command.fields)),
        origin=command.origin.value,
        engine=command.engine.value,
        composed=str(command.composed).lower(),
    )
