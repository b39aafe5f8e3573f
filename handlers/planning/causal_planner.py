"""Policy `causal`: one conversation's events are observed together and reconciled once; each gets its own audit record.

The decision belongs to the newest event that asks. The others that asked, too, say with whom they were decided.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from commands.execute import Applied, Refused
from commands.reason import Reason, ReasonAction, ReasonCode
from handlers.events.event import Event
from handlers.options import Options
from handlers.outcome import Done, HandledEvent, PolledPair
from handlers.planning.announcements import Cause, Writing
from handlers.planning.audit_records import PairRevisions, audit_of, failed, polled, skipped_end
from handlers.planning.event_batch import lateness
from handlers.planning.pair_draft import PairDraft
from handlers.planning.pair_view import PairView, is_news
from handlers.ports import Announcement, Ids
from sync.audit import AuditOutcome, AuditRecord
from sync.decision import Decision, skipped
from sync.gates import Side, SkipCode
from sync.policy_causal import CausalDecision


class CausalPlanner:
    """One conversation's events, or none: then the poll asks."""

    def __init__(self, draft: PairDraft, *, now: datetime, ids: Ids, options: Options) -> None:
        self._draft = draft
        self._now = now
        self._ids = ids
        self._options = options

    def handle(self, events: Sequence[Event]) -> list[HandledEvent]:
        """The ends of the events, in their order."""
        ends: dict[int, HandledEvent] = {}
        news: dict[int, bool] = {}
        for event in events:
            if awaits_predecessor(self._draft, event, self._options):
                ends[id(event)] = awaiting_predecessor(event, now=self._now, options=self._options)
                continue
            if event.supported and self._options.state_from_events:
                self._draft.take_in(event)
            news[id(event)] = is_news(self._draft, event)
            self._draft.observe(event)
        view = self._view(lateness(events, self._now))
        asking = []
        for event in events:
            if id(event) in ends:
                continue
            closed = view.closed(event, news=news[id(event)])
            if closed is None:
                asking.append(event)
            else:
                if closed in (ReasonCode.NO_CONVERSATION, ReasonCode.NO_ACTIVE_WORK_ITEM):
                    self._note_if_no_pair(view)
                ends[id(event)] = self._skipped(event, skipped(closed), view)
        if asking:
            self._reconcile(asking, events, view, ends)
        return [ends[id(event)] for event in events]

    def close_gap(self, late: timedelta) -> PolledPair | None:
        """What the poll finds, None where there is nothing to tell: no pair, or a field that still waits."""
        view = self._view(late)
        if view.closed(None) is not None:
            self._draft.note_no_pair()
            return None
        reconciled = view.decide(None, ())
        cause = Cause(conversation_id=self._draft.conversation_id)
        announcements, outcome, decision = self._write(reconciled, view, cause)
        if outcome is AuditOutcome.SKIPPED and self._draft.state.waiting_since is not None:
            return None
        audit = polled(
            self._draft.conversation_id,
            outcome,
            decision,
            trigger="gap",
            options=self._options,
            seen=_seen(None, view),
        )
        audit = _with_writes(audit, reconciled, view)
        return PolledPair(audit=audit, announcements=announcements)

    def _reconcile(
        self, asking: Sequence[Event], events: Sequence[Event], view: PairView, ends: dict[int, HandledEvent]
    ) -> None:
        active = [event for event in asking if not view.is_passive(event)]
        decider = (active or asking)[-1]
        reconciled = view.decide(decider if active else None, events)
        announcements, outcome, decision = self._write(reconciled, view, Cause.of(decider))
        wrote = outcome is not AuditOutcome.SKIPPED
        for event in asking:
            if event is decider and wrote:
                seen = _seen(event, view)
                audit = audit_of(event, outcome, decision, now=self._now, options=self._options, seen=seen)
                audit = _with_writes(audit, reconciled, view)
                reason = "APPLIED" if outcome is AuditOutcome.APPLIED else decision.reasons[-1].code
                end = HandledEvent(event=event, outcome=Done(reason=reason), audit=audit, announcements=announcements)
            else:
                end = self._skipped(event, self._bystander(event, decider, decision, view, wrote=wrote), view)
            ends[id(event)] = end

    def _bystander(self, event: Event, decider: Event, decision: Decision, view: PairView, *, wrote: bool) -> Decision:
        """The decision as an event sees it that wrote nothing."""
        if view.is_passive(event):
            skip: SkipCode = ReasonCode.IS_SYNC if event.supported else ReasonCode.UNSUPPORTED_EVENT
            return replace(skipped(skip), suppressed=() if wrote else decision.suppressed)
        if not wrote:
            return decision
        with_decider = Reason(action=ReasonAction.SKIP_SYNC, code=ReasonCode.IN_SYNC, meta={"decidedWith": decider.id})
        return replace(skipped(ReasonCode.IN_SYNC), reasons=(with_decider,))

    def _write(
        self, reconciled: CausalDecision, view: PairView, cause: Cause
    ) -> tuple[tuple[Announcement, ...], AuditOutcome, Decision]:
        """Both sides' writes into the draft: the work-item's first, as they were decided."""
        assert view.item is not None
        decision, item = reconciled.decision, view.item
        writing = Writing(draft=self._draft, cause=cause, now=self._now, ids=self._ids)
        wrote: list[Side] = []
        announcements: list[Announcement] = []
        outcome = AuditOutcome.SKIPPED
        if isinstance(reconciled.forward, Applied):
            reasons = tuple(reason for reason in decision.reasons if reason.action is ReasonAction.SYNC_WORK_ITEM)
            announcements.append(writing.work_item(item, reconciled.forward, reasons))
            wrote.append("work-item")
            item, outcome = reconciled.forward.after, AuditOutcome.APPLIED
        elif isinstance(reconciled.forward, Refused):
            refusal = reconciled.forward.refusal
            told = Reason(action=ReasonAction.UPDATE_COMMAND, code=refusal.code, meta={"message": refusal.message})
            decision = replace(decision, reasons=(*decision.reasons, told))
            outcome = AuditOutcome.REFUSED
        if decision.conversation_fields is not None:
            reasons = tuple(reason for reason in decision.reasons if reason.action is ReasonAction.SYNC_CONVERSATION)
            announcements.append(writing.conversation(decision.conversation_fields, reasons))
            wrote.append("conversation")
            outcome = AuditOutcome.APPLIED
        self._draft.note_reconciled(
            item, now=self._now, wrote=wrote, asked=reconciled.asked, undecided=reconciled.undecided
        )
        return tuple(announcements), outcome, decision

    def _skipped(self, event: Event, decision: Decision, view: PairView) -> HandledEvent:
        return skipped_end(event, decision, now=self._now, options=self._options, seen=_seen(event, view))

    def _view(self, late: timedelta) -> PairView:
        return PairView.of(self._draft, now=self._now, late=late, options=self._options)

    def _note_if_no_pair(self, view: PairView) -> None:
        if view.closed(None) is not None:
            self._draft.note_no_pair()


def awaits_predecessor(draft: PairDraft, event: Event, options: Options) -> bool:
    """True where the event's snapshot cannot be stored yet: one active work-item a conversation."""
    return event.supported and options.state_from_events and draft.awaits_predecessor(event)


def awaiting_predecessor(event: Event, *, now: datetime, options: Options) -> HandledEvent:
    """The end of such an event: it comes again."""
    detail = "the work-item before it is still active"
    return failed(event, ReasonCode.AWAITING_PREDECESSOR, detail, now=now, options=options)


def _seen(event: Event | None, view: PairView) -> PairRevisions:
    conversation, item = view.conversation, view.item
    other = event is not None and event.side == "work-item" and (item is None or event.document_id != item.id)
    return PairRevisions(
        work_item_id=item.id if item else None,
        conversation_rev=conversation.rev if conversation else None,
        work_item_rev=item.rev if item and not other else None,
    )


def _with_writes(audit: AuditRecord, reconciled: CausalDecision, view: PairView) -> AuditRecord:
    assert view.conversation is not None
    assert view.item is not None
    decision = reconciled.decision
    of_conversation, of_item = decision.conversation_fields, decision.work_item_fields
    return replace(
        audit,
        updated_conversation=None if of_conversation is None else {**of_conversation, "rev": view.conversation.rev},
        updated_work_item=None if of_item is None else {**of_item, "rev": view.item.rev},
        command=None if reconciled.forward is None else reconciled.forward.command,
    )
