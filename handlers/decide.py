"""A pair and its events to one plan and an audit record each. Nothing is awaited and nothing written here.

For each event, in order of publication: take its snapshot in, observe it, ask the policy, carry out what it wants.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from commands.engine import Applied, Refused, Unchanged, execute
from commands.reason import Reason
from commands.refusal import Refusal
from commands.timings import elapsed_ms
from commands.update import parse_update
from commands.way import COMPOSED, Way
from commands.work_item import WorkItem
from handlers.draft import Draft
from handlers.event import Event
from handlers.outbound import announce
from handlers.outcome import Done, Handled, Retry
from handlers.ports import Announcement, Ids, Pair, Plan
from sync.audit import Audit, Outcome
from sync.conversation import Conversation
from sync.gates import Skip
from sync.reconcile import Decision, decide_legacy, skipped
from sync.rule import Policy

AWAITING_PREDECESSOR = "AWAITING_PREDECESSOR"
"""Why a new work-item's event comes back: the conversation's work-item before it is not completed here yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How decisions are made. `own_syncs_stored`: our own syncs come back from our own store, so they need no look."""

    policy: Policy = Policy.LEGACY
    way: Way = COMPOSED
    state_from_events: bool = True
    own_syncs_stored: bool = True
    conflict_attempts_max: int = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One conversation's plan, and what becomes of each of its events once it is committed."""

    plan: Plan
    handled: tuple[Handled, ...]


_EPOCH = datetime.min.replace(tzinfo=UTC)


def in_order(events: Sequence[Event]) -> list[Event]:
    """Events in order of publication; those that do not say come first, ties by revision."""
    return sorted(events, key=lambda event: (event.published_at or _EPOCH, event.rev))


def plan_pair(
    conversation_id: str, pair: Pair, events: Sequence[Event], *, now: datetime, ids: Ids, options: Options
) -> Planned:
    """Decide all events of one conversation; `handled` is in the order of `in_order(events)`."""
    draft = Draft(conversation_id, pair)
    handled = [_Deciding(draft, event, now, ids, options).handle() for event in in_order(events)]
    return Planned(plan=draft.plan(), handled=tuple(handled))


def skip_own(event: Event, *, now: datetime, options: Options) -> Handled:
    """Our own sync, come back: stored and observed by the transaction that made it, and the cause of nothing."""
    return handled_of(event, now, options, skipped(Skip.IS_SYNC))


def failed(event: Event, code: str, detail: str, *, now: datetime, options: Options) -> Handled:
    """A fault: the message is tried again."""
    reason = Reason(action="FAULT", code=code, meta={"detail": detail})
    audit = _audit(event, now, options, Outcome.FAILED, (reason,))
    return Handled(event=event, outcome=Retry(reason=code), audit=audit)


def handled_of(event: Event, now: datetime, options: Options, decision: Decision) -> Handled:
    """A skipped event's end."""
    audit = _audit(event, now, options, Outcome.SKIPPED, decision.reasons)
    return Handled(event=event, outcome=Done(reason=decision.reasons[0].code), audit=audit)


class _Deciding:
    """One event on its way through the draft."""

    def __init__(self, draft: Draft, event: Event, now: datetime, ids: Ids, options: Options) -> None:
        self.draft, self.event, self.now, self.ids, self.options = draft, event, now, ids, options

    def handle(self) -> Handled:
        event, draft = self.event, self.draft
        if event.supported and self.options.state_from_events:
            if draft.awaits_predecessor(event):
                active = "the work-item before it is still active"
                return failed(event, AWAITING_PREDECESSOR, active, now=self.now, options=self.options)
            draft.take_in(event)
        draft.observe(event)
        conversation, item = draft.conversation(), draft.work_item(event)
        decision = self._decide(conversation, item)
        end = self._carry_out(decision, conversation, item)
        audit = replace(
            end.audit,
            work_item_id=item.id if item else end.audit.work_item_id,
            conversation_rev=conversation.rev if conversation else None,
            work_item_rev=item.rev if item else None,
        )
        return replace(end, audit=audit)

    def _decide(self, conversation: Conversation | None, item: WorkItem | None) -> Decision:
        event = self.event
        return decide_legacy(
            trigger=event.side,
            conversation=conversation,
            item=item,
            rev=event.rev,
            is_sync=event.is_sync,
            supported=event.supported,
        )

    def _carry_out(self, decision: Decision, conversation: Conversation | None, item: WorkItem | None) -> Handled:
        if conversation is None or item is None:
            return handled_of(self.event, self.now, self.options, decision)
        if decision.conversation_fields is not None:
            return self._reverse(decision, decision.conversation_fields, conversation, item)
        if decision.work_item_fields is not None:
            return self._forward(decision, decision.work_item_fields, conversation, item)
        if decision.reasons[0].code == Skip.IN_SYNC:
            self.draft.note_reconciled(conversation, item)
        return handled_of(self.event, self.now, self.options, decision)

    def _reverse(self, decision: Decision, fields: Any, conversation: Conversation, item: WorkItem) -> Handled:
        before, after = self.draft.write_conversation(fields, self.now)
        announcement = announce(
            "conversation",
            before=before,
            after=after,
            reasons=decision.reasons,
            cause=self.event,
            now=self.now,
            ids=self.ids,
        )
        written = self.draft.conversation()
        assert written is not None
        self.draft.note_reconciled(written, item, wrote="conversation")
        audit = self._applied(decision, updated_conversation={**fields, "rev": conversation.rev})
        return self._done(announcement, audit)

    def _forward(self, decision: Decision, fields: Any, conversation: Conversation, item: WorkItem) -> Handled:
        update = parse_update(fields, from_sync=True)
        assert not isinstance(update, Refusal), f"rules B ask only for what the commands read: {update}"
        result = execute(
            item, update, around=self.draft.around, now=self.now, knew=conversation.rev, way=self.options.way
        )
        asked = {**fields, "rev": item.rev}
        match result:
            case Refused(refusal=refusal, command=command):
                reason = Reason(action="UPDATE_COMMAND", code=refusal.code.value, meta={"message": refusal.message})
                audit = self._audit(Outcome.REFUSED, (*decision.reasons, reason))
                audit = replace(audit, direction=decision.direction, updated_work_item=asked, command=command)
                return Handled(event=self.event, outcome=Done(reason=refusal.code.value), audit=audit)
            case Unchanged(command=command):
                self.draft.note_reconciled(conversation, item)
                end = handled_of(self.event, self.now, self.options, skipped(Skip.IN_SYNC))
                return replace(end, audit=replace(end.audit, command=command))
            case Applied(after=changed, command=command, reason=asked_for):
                before, after = self.draft.write_work_item(item, result)
                announcement = announce(
                    "work-item",
                    before=before,
                    after=after,
                    reasons=(*decision.reasons, asked_for),
                    cause=self.event,
                    now=self.now,
                    ids=self.ids,
                )
                self.draft.note_reconciled(conversation, changed, wrote="work-item")
                audit = replace(self._applied(decision, updated_work_item=asked), command=command)
                return self._done(announcement, audit)

    def _done(self, announcement: Announcement, audit: Audit) -> Handled:
        self.draft.announce(announcement)
        return Handled(event=self.event, outcome=Done(reason="APPLIED"), audit=audit, announcements=(announcement,))

    def _applied(self, decision: Decision, **written: Any) -> Audit:
        return replace(self._audit(Outcome.APPLIED, decision.reasons), direction=decision.direction, **written)

    def _audit(self, outcome: Outcome, reasons: tuple[Reason, ...]) -> Audit:
        return _audit(self.event, self.now, self.options, outcome, reasons)


def _audit(event: Event, now: datetime, options: Options, outcome: Outcome, reasons: tuple[Reason, ...]) -> Audit:
    return Audit(
        event=event.as_audit(),
        outcome=outcome,
        trigger=event.side,
        policy=options.policy,
        reasons=reasons,
        conversation_id=event.conversation_id,
        work_item_id=event.document_id if event.side == "work-item" else None,
        lag_ms=elapsed_ms(event.published_at, now) if event.published_at else None,
        trace=event.trace,
    )
