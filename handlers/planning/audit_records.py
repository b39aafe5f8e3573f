"""How an event ends: its outcome and its audit record, put together in one place."""

from datetime import datetime
from typing import Final, Literal

from msgspec import Struct

from commands.reason import Reason, ReasonAction, ReasonCode
from commands.timings import elapsed_ms
from handlers.events.event import Event, UnsupportedEvent
from handlers.options import Options
from handlers.outcome import Done, HandledEvent, PolledPair, Retry
from sync.audit import AuditOutcome, AuditRecord
from sync.decision import Decision, skipped
from sync.rule import Policy


class PairRevisions(Struct, frozen=True, kw_only=True):
    """The pair as it was read, as far as an audit tells of it."""

    work_item_id: str | None = None
    conversation_rev: int | None = None
    work_item_rev: int | None = None


_UNSEEN: Final = PairRevisions()


def skip_own(event: Event, *, now: datetime, options: Options) -> HandledEvent:
    """Our own sync, come back: stored and observed by the transaction that made it, and the cause of nothing."""
    return skipped_end(event, skipped(ReasonCode.IS_SYNC), now=now, options=options)


def skipped_end(
    event: Event, decision: Decision, *, now: datetime, options: Options, seen: PairRevisions = _UNSEEN
) -> HandledEvent:
    """The end of an event that led to no write."""
    audit = audit_of(event, AuditOutcome.SKIPPED, decision, now=now, options=options, seen=seen)
    return HandledEvent(event=event, outcome=Done(reason=decision.reasons[0].code), audit=audit)


def unsupported(event: UnsupportedEvent, policy: Policy) -> AuditRecord:
    """The record of an event that is none of ours: acknowledged, and nobody's trigger."""
    return AuditRecord(
        event={"id": event.id, "name": event.name, "rev": None, "client": None, "isSync": None, "publishedAt": None},
        outcome=AuditOutcome.SKIPPED,
        trigger=None,
        policy=policy,
        reasons=skipped(ReasonCode.UNSUPPORTED_EVENT).reasons,
        conversation_id=None,
    )


def failed(event: Event, code: ReasonCode, detail: str, *, now: datetime, options: Options) -> HandledEvent:
    """A fault: the message is tried again."""
    audit = audit_of(event, AuditOutcome.FAILED, _fault(code, detail), now=now, options=options)
    return HandledEvent(event=event, outcome=Retry(reason=code), audit=audit)


def audit_of(
    event: Event,
    outcome: AuditOutcome,
    decision: Decision,
    *,
    now: datetime,
    options: Options,
    seen: PairRevisions = _UNSEEN,
) -> AuditRecord:
    """What is known of an event and its decision; writes are for the caller to add."""
    return AuditRecord(
        event=event.as_audit(),
        outcome=outcome,
        trigger=event.side,
        policy=options.policy.applied,
        direction=decision.direction,
        reasons=decision.reasons,
        suppressed=decision.suppressed,
        conversation_id=event.conversation_id,
        work_item_id=event.document_id if event.side == "work-item" else seen.work_item_id,
        conversation_rev=seen.conversation_rev,
        work_item_rev=seen.work_item_rev,
        lag_ms=elapsed_ms(event.published_at, now) if event.published_at else None,
        trace=event.trace,
    )


def failed_poll(conversation_id: str, code: ReasonCode, detail: str, *, options: Options) -> PolledPair:
    """A fault that the poll met: it looks again."""
    decision = _fault(code, detail)
    return PolledPair(audit=polled(conversation_id, AuditOutcome.FAILED, decision, trigger="gap", options=options))


def polled(
    conversation_id: str,
    outcome: AuditOutcome,
    decision: Decision,
    *,
    trigger: Literal["gap", "sweep"],
    options: Options,
    seen: PairRevisions = _UNSEEN,
) -> AuditRecord:
    """The record of a decision that no event asked for."""
    return AuditRecord(
        event=None,
        outcome=outcome,
        trigger=trigger,
        policy=options.policy.applied,
        direction=decision.direction,
        reasons=decision.reasons,
        suppressed=decision.suppressed,
        conversation_id=conversation_id,
        work_item_id=seen.work_item_id,
        conversation_rev=seen.conversation_rev,
        work_item_rev=seen.work_item_rev,
    )


def _fault(code: ReasonCode, detail: str) -> Decision:
    reason = Reason(action=ReasonAction.FAULT, code=code, meta={"detail": detail})
    return Decision(direction=None, conversation_fields=None, work_item_fields=None, reasons=(reason,))
