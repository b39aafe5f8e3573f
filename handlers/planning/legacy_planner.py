"""Policy `legacy`: each event by itself, in order of publication, its own direction only. Under `shadow` causal is
computed beside it, on the same pair, and told where it differs.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from commands.execute import Applied, Refused, Unchanged, execute
from commands.reason import Reason, ReasonAction, ReasonCode
from commands.refusal import Refusal
from commands.update import parse_update
from commands.work_item import WorkItem
from handlers.events.event import Event
from handlers.options import Options, PolicyInUse
from handlers.outcome import Done, HandledEvent
from handlers.planning.announcements import Cause, Writing
from handlers.planning.audit_records import audit_of, skipped_end
from handlers.planning.causal_planner import awaiting_predecessor, awaits_predecessor
from handlers.planning.event_batch import lateness
from handlers.planning.pair_draft import PairDraft
from handlers.planning.pair_view import PairView, is_news
from handlers.ports import Announcement, Ids
from sync.audit import AuditOutcome, AuditRecord
from sync.conversation import Conversation
from sync.decision import Decision, skipped
from sync.policy_legacy import decide_legacy


class LegacyPlanner:
    """One conversation's events."""

    def __init__(self, draft: PairDraft, *, now: datetime, ids: Ids, options: Options) -> None:
        self._draft = draft
        self._now = now
        self._ids = ids
        self._options = options

    def handle(self, events: Sequence[Event]) -> list[HandledEvent]:
        """The ends of the events, in their order."""
        return [self._handle(event) for event in events]

    def _handle(self, event: Event) -> HandledEvent:
        draft = self._draft
        if awaits_predecessor(draft, event, self._options):
            return awaiting_predecessor(event, now=self._now, options=self._options)
        if event.supported and self._options.state_from_events:
            draft.take_in(event)
        news = is_news(draft, event)
        draft.observe(event)
        conversation, item = draft.conversation(), draft.work_item(event)
        decision = decide_legacy(
            trigger=event.side,
            conversation=conversation,
            item=item,
            rev=event.rev,
            is_sync=event.is_sync,
            supported=event.supported,
        )
        causal = self._causal(event, news=news) if self._options.policy is PolicyInUse.SHADOW else None
        end = self._carry_out(event, decision, conversation, item)
        audit = replace(
            end.audit,
            work_item_id=item.id if item else end.audit.work_item_id,
            conversation_rev=conversation.rev if conversation else None,
            work_item_rev=item.rev if item else None,
            shadow=None if causal is None else _difference(decision, causal),
        )
        return replace(end, audit=audit)

    def _causal(self, event: Event, *, news: bool) -> Decision:
        """What causal would decide, of which nothing is kept."""
        state = self._draft.state
        late = lateness((event,), self._now)
        view = PairView.of(self._draft, now=self._now, late=late, options=self._options)
        closed = view.closed(event, news=news)
        if closed is not None:
            return skipped(closed)
        asking = None if view.is_passive(event) else event
        decision = view.decide(asking, (event,)).decision
        self._draft.state = state
        return decision

    def _carry_out(
        self, event: Event, decision: Decision, conversation: Conversation | None, item: WorkItem | None
    ) -> HandledEvent:
        if conversation is None or item is None:
            return self._skipped(event, decision)
        writing = Writing(draft=self._draft, cause=Cause.of(event), now=self._now, ids=self._ids)
        if decision.conversation_fields is not None:
            announcement = writing.conversation(decision.conversation_fields, decision.reasons)
            self._draft.note_reconciled(item, now=self._now, wrote=["conversation"])
            written = {**decision.conversation_fields, "rev": conversation.rev}
            return self._applied(event, decision, announcement, updated_conversation=written)
        if decision.work_item_fields is not None:
            return self._forward(event, decision, writing, conversation.rev, item)
        if decision.reasons[0].code is ReasonCode.IN_SYNC:
            self._draft.note_reconciled(item, now=self._now)
        return self._skipped(event, decision)

    def _forward(self, event: Event, decision: Decision, writing: Writing, knew: int, item: WorkItem) -> HandledEvent:
        fields = decision.work_item_fields or {}
        update = parse_update(fields, from_sync=True)
        assert not isinstance(update, Refusal), f"rules B ask only for what the commands read: {update}"
        result = execute(
            item, update, context=self._draft.context, now=self._now, resource_rev=knew, rollout=self._options.rollout
        )
        asked = {**fields, "rev": item.rev}
        match result:
            case Refused(refusal=refusal, command=command):
                reason = Reason(
                    action=ReasonAction.UPDATE_COMMAND, code=refusal.code, meta={"message": refusal.message}
                )
                told = replace(decision, reasons=(*decision.reasons, reason))
                audit = self._audit(event, AuditOutcome.REFUSED, told)
                audit = replace(audit, updated_work_item=asked, command=command)
                return HandledEvent(event=event, outcome=Done(reason=refusal.code.value), audit=audit)
            case Unchanged(command=command):
                self._draft.note_reconciled(item, now=self._now)
                end = self._skipped(event, skipped(ReasonCode.IN_SYNC))
                return replace(end, audit=replace(end.audit, command=command))
            case Applied(after=changed, command=command):
                announcement = writing.work_item(item, result, decision.reasons)
                self._draft.note_reconciled(changed, now=self._now, wrote=["work-item"])
                return self._applied(event, decision, announcement, updated_work_item=asked, command=command)

    def _applied(self, event: Event, decision: Decision, announcement: Announcement, **written: Any) -> HandledEvent:
        audit = replace(self._audit(event, AuditOutcome.APPLIED, decision), **written)
        return HandledEvent(event=event, outcome=Done(reason="APPLIED"), audit=audit, announcements=(announcement,))

    def _skipped(self, event: Event, decision: Decision) -> HandledEvent:
        return skipped_end(event, decision, now=self._now, options=self._options)

    def _audit(self, event: Event, outcome: AuditOutcome, decision: Decision) -> AuditRecord:
        return audit_of(event, outcome, decision, now=self._now, options=self._options)


def _difference(legacy: Decision, causal: Decision) -> dict[str, Any] | None:
    """What causal would have done, in the audit's names; None where it would have written the same."""
    same = (
        legacy.conversation_fields == causal.conversation_fields and legacy.work_item_fields == causal.work_item_fields
    )
    return None if same else causal.as_wire()
