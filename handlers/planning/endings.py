"""Endings of events: each event's outcome with its audit record (docs/events.md, *The audit line*)."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from msgspec import Struct
from msgspec.structs import replace

from commands.execute import Applied, Refused
from commands.reason import Reason, ReasonAction, ReasonCode
from commands.timings import elapsed_ms
from commands.work_item import WorkItem
from handlers.events.event import Event, OwnSync, UnsupportedEvent
from handlers.options import Options, PlanningContext
from handlers.outcome import Done, HandledEvent, PolledPair, Retry
from handlers.planning.routing_writes import RoutedPair
from handlers.ports import Announcement
from sync.audit import AuditOutcome, AuditRecord, AuditTrigger, values_before
from sync.conversation import Conversation
from sync.decision import Decision, Direction, PairDecision, skip_decision
from sync.gates import Policy


class PairAsRead(Struct, frozen=True, kw_only=True):
    """The pair as read before the decision; None for a record that is missing, or that is not the event's pair's."""

    conversation: Conversation | None = None
    item: WorkItem | None = None

    @property
    def conversation_rev(self) -> int | None:
        """The conversation's revision."""
        return None if self.conversation is None else self.conversation.rev

    @property
    def work_item_id(self) -> str | None:
        """The work-item's id."""
        return None if self.item is None else self.item.id

    @property
    def work_item_rev(self) -> int | None:
        """The work-item's revision."""
        return None if self.item is None else self.item.rev


_NOT_READ: Final = PairAsRead()
_IS_SYNC: Final = skip_decision(ReasonCode.IS_SYNC)


def own_sync_ending(event: Event, *, planning: PlanningContext) -> HandledEvent:
    """The ending of the worker's own sync. Nothing is left to do for its event: the transaction of the write has stored
    the document and observed the revision."""
    return skipped_ending(event, _IS_SYNC, planning=planning)


def own_sync_audit(sync: OwnSync, *, policy: Policy, now: datetime) -> AuditRecord:
    """The record of the same ending, where no more of the event was read than it needs."""
    return AuditRecord(
        event=sync.as_audit(),
        outcome=AuditOutcome.SKIPPED,
        trigger=sync.side,
        policy=policy,
        reasons=_IS_SYNC.reasons,
        conversation_id=sync.conversation_id,
        work_item_id=sync.document_id if sync.side == "work-item" else None,
        lag_ms=elapsed_ms(sync.published_at, now) if sync.published_at else None,
        trace=sync.trace,
    )


def skipped_ending(
    event: Event, decision: Decision, *, planning: PlanningContext, pair: PairAsRead = _NOT_READ
) -> HandledEvent:
    """The ending of an event that led to no write. `decision` has one reason."""
    audit = _event_audit(event, AuditOutcome.SKIPPED, decision, planning=planning, pair=pair)
    return HandledEvent(event=event, outcome=Done(reason=decision.reasons[0].code), audit=audit)


def decided_ending(
    event: Event,
    decided: PairDecision,
    announcements: tuple[Announcement, ...],
    *,
    planning: PlanningContext,
    pair: PairAsRead,
) -> HandledEvent:
    """The ending of the event to which the decision of the pair belongs."""
    outcome = outcome_of(decided)
    audit = _event_audit(event, outcome, decided.audited, planning=planning, pair=pair)
    # A refusal of the commands is the last reason, after those of the rules that fired.
    reason = "APPLIED" if outcome is AuditOutcome.APPLIED else decided.audited.reasons[-1].code
    return HandledEvent(
        event=event,
        outcome=Done(reason=reason),
        audit=_with_writes(audit, decided, announcements, pair),
        announcements=announcements,
    )


def failed_ending(event: Event, code: ReasonCode, detail: str, *, planning: PlanningContext) -> HandledEvent:
    """The ending of an event that could not be handled: the message is returned to the queue. `code` and `detail`
    become the reason."""
    audit = _event_audit(event, AuditOutcome.FAILED, _failed_decision(code, detail), planning=planning, pair=_NOT_READ)
    return HandledEvent(event=event, outcome=Retry(reason=code), audit=audit)


def unsupported_audit(event: UnsupportedEvent, policy: Policy) -> AuditRecord:
    """The record of an event that the worker does not handle."""
    return AuditRecord(
        event={"id": event.id, "name": event.name, "rev": None, "client": None, "isSync": None, "publishedAt": None},
        outcome=AuditOutcome.SKIPPED,
        trigger=None,
        policy=policy,
        reasons=skip_decision(ReasonCode.UNSUPPORTED_EVENT).reasons,
        conversation_id=None,
    )


def polled_ending(
    conversation_id: str,
    decided: PairDecision,
    announcements: tuple[Announcement, ...],
    *,
    options: Options,
    pair: PairAsRead,
) -> PolledPair:
    """The ending of a pair that the gap poll decided."""
    audit = eventless_audit(conversation_id, decided, announcements, trigger="gap", options=options, pair=pair)
    return PolledPair(audit=audit, announcements=announcements)


def eventless_audit(
    conversation_id: str,
    decided: PairDecision,
    announcements: tuple[Announcement, ...],
    *,
    trigger: AuditTrigger,
    options: Options,
    pair: PairAsRead,
) -> AuditRecord:
    """The record of a decision that no event triggered."""
    audit = _eventless_audit(
        conversation_id, outcome_of(decided), decided.audited, trigger=trigger, options=options, pair=pair
    )
    return _with_writes(audit, decided, announcements, pair)


def routed_ending(ending: HandledEvent, routed: RoutedPair) -> HandledEvent:
    """The ending with the outside writes of routing, which the event has caused."""
    return replace(
        ending,
        outcome=Done(reason="APPLIED"),
        audit=_with_routing(ending.audit, routed),
        announcements=(*ending.announcements, *routed.announcements),
    )


def routed_poll(
    conversation_id: str, polled: PolledPair | None, routed: RoutedPair, *, options: Options, pair: PairAsRead
) -> PolledPair:
    """The ending of a polled pair with the outside writes of routing. `polled` None: there was no pair to decide."""
    audit = None if polled is None else polled.audit
    announcements = () if polled is None else polled.announcements
    return PolledPair(
        audit=routed_audit(conversation_id, audit, routed, trigger="gap", options=options, pair=pair),
        announcements=(*announcements, *routed.announcements),
    )


def routed_audit(
    conversation_id: str,
    audit: AuditRecord | None,
    routed: RoutedPair,
    *,
    trigger: AuditTrigger,
    options: Options,
    pair: PairAsRead,
) -> AuditRecord:
    """The record of a pair that no event triggered, with the outside writes of routing. `audit` None: there was no pair
    to decide."""
    if audit is None:
        no_pair = skip_decision(ReasonCode.NO_ACTIVE_WORK_ITEM)
        audit = _eventless_audit(
            conversation_id, AuditOutcome.SKIPPED, no_pair, trigger=trigger, options=options, pair=pair
        )
    return _with_routing(audit, routed)


def failed_poll_ending(conversation_id: str, code: ReasonCode, detail: str, *, options: Options) -> PolledPair:
    """The ending of a pair that the gap poll could not handle: the next poll tries again."""
    decision = _failed_decision(code, detail)
    audit = _eventless_audit(
        conversation_id, AuditOutcome.FAILED, decision, trigger="gap", options=options, pair=_NOT_READ
    )
    return PolledPair(audit=audit)


def outcome_of(decided: PairDecision) -> AuditOutcome:
    """APPLIED if the decision writes a side; else REFUSED if the commands refused the update; else SKIPPED."""
    if isinstance(decided.command, Applied) or decided.decision.conversation_fields is not None:
        return AuditOutcome.APPLIED
    return AuditOutcome.REFUSED if isinstance(decided.command, Refused) else AuditOutcome.SKIPPED


def _event_audit(
    event: Event, outcome: AuditOutcome, decision: Decision, *, planning: PlanningContext, pair: PairAsRead
) -> AuditRecord:
    return AuditRecord(
        event=event.as_audit(),
        outcome=outcome,
        trigger=event.side,
        policy=planning.options.policy.applied,
        direction=decision.direction,
        reasons=decision.reasons,
        suppressed=decision.suppressed,
        conversation_id=event.conversation_id,
        work_item_id=event.document_id if event.side == "work-item" else pair.work_item_id,
        conversation_rev=pair.conversation_rev,
        work_item_rev=pair.work_item_rev,
        lag_ms=elapsed_ms(event.published_at, planning.now) if event.published_at else None,
        trace=event.trace,
    )


def _eventless_audit(
    conversation_id: str,
    outcome: AuditOutcome,
    decision: Decision,
    *,
    trigger: AuditTrigger,
    options: Options,
    pair: PairAsRead,
) -> AuditRecord:
    return AuditRecord(
        event=None,
        outcome=outcome,
        trigger=trigger,
        policy=options.policy.applied,
        direction=decision.direction,
        reasons=decision.reasons,
        suppressed=decision.suppressed,
        conversation_id=conversation_id,
        work_item_id=pair.work_item_id,
        conversation_rev=pair.conversation_rev,
        work_item_rev=pair.work_item_rev,
    )


def writes_of(announcements: Iterable[Announcement]) -> tuple[Mapping[str, Any], ...]:
    """The audit record's `written`."""
    return tuple(each.write for each in announcements if each.write is not None)


def _with_writes(
    audit: AuditRecord, decided: PairDecision, announcements: tuple[Announcement, ...], pair: PairAsRead
) -> AuditRecord:
    # `rev` is the revision before the write, on which the write is conditional.
    of_conversation, of_item = decided.decision.conversation_fields, decided.decision.work_item_fields
    before = None
    if pair.conversation is not None and pair.item is not None:
        before = values_before(
            pair.conversation,
            pair.item,
            conversation_fields=of_conversation,
            work_item_fields=of_item if isinstance(decided.command, Applied) else None,
        )
    return replace(
        audit,
        updated_conversation=None if of_conversation is None else {**of_conversation, "rev": audit.conversation_rev},
        updated_work_item=None if of_item is None else {**of_item, "rev": audit.work_item_rev},
        before=before,
        written=writes_of(announcements),
        command=None if decided.command is None else decided.command.command,
    )


def _with_routing(audit: AuditRecord, routed: RoutedPair) -> AuditRecord:
    """The record with the outside writes. A reason for writing nothing is no longer true."""
    was_applied = audit.outcome is AuditOutcome.APPLIED
    decided = routed.decided if routed.decided and routed.decided.decision.applies else None
    of_conversation = _merged(
        audit.updated_conversation,
        routed.conversation_fields,
        None if decided is None else decided.decision.conversation_fields,
        rev=audit.conversation_rev,
    )
    of_item = _merged(
        audit.updated_work_item,
        routed.work_item_fields,
        None if decided is None else decided.decision.work_item_fields,
        rev=routed.work_item_rev or 0,
    )
    before = audit.before or {}
    return replace(
        audit,
        outcome=AuditOutcome.APPLIED,
        direction=_both(
            audit.direction if was_applied else None, None if decided is None else decided.decision.direction
        ),
        reasons=(
            *(audit.reasons if was_applied else ()),
            *routed.reasons,
            *(() if decided is None else decided.decision.reasons),
        ),
        work_item_id=routed.work_item_id or audit.work_item_id,
        updated_conversation=of_conversation,
        updated_work_item=of_item,
        before={
            "conversation": _merged(before.get("conversation"), routed.conversation_before),
            "workItem": _merged(routed.work_item_before, before.get("workItem")),
        },
        written=(*audit.written, *writes_of(routed.announcements)),
        command=routed.command or audit.command,
    )


def _merged(*parts: Mapping[str, Any] | None, rev: int | None = None) -> dict[str, Any] | None:
    """The fields of all parts, and `rev` last if it is given; None if there is no part."""
    merged: dict[str, Any] = {}
    for part in parts:
        merged.update(part or {})
    if not merged:
        return None
    if rev is not None:
        merged.pop("rev", None)
        merged["rev"] = rev
    return merged


def _both(first: Direction | None, second: Direction | None) -> Direction | None:
    if first is None or second is None or first == second:
        return first or second
    return "both"


def _failed_decision(code: ReasonCode, detail: str) -> Decision:
    reason = Reason(action=ReasonAction.FAULT, code=code, meta={"detail": detail})
    return Decision(direction=None, conversation_fields=None, work_item_fields=None, reasons=(reason,))
