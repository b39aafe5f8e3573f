"""The planner of policy `causal`: a conversation's events are observed together and decided once.

The events whose gates are open trigger one decision. It belongs to the newest of them that may cause a sync. Every
event gets an audit record of its own. If the decision is applied or refused, the records of the other triggering
events name the event to which it belongs (`decidedWith`).
"""

from collections.abc import Sequence
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from commands.reason import Reason, ReasonAction, ReasonCode
from commands.work_item import WorkItem
from handlers.events.event import Event
from handlers.options import PlanningContext
from handlers.outcome import HandledEvent, PolledPair, Retry
from handlers.planning.announcements import AnnouncementCause
from handlers.planning.drafts.pair_draft import PairDraft
from handlers.planning.endings import (
    PairAsRead,
    decided_ending,
    failed_ending,
    outcome_of,
    polled_ending,
    routed_ending,
    routed_poll,
    skipped_ending,
)
from handlers.planning.pair_view import PairView, has_new_revision, is_passive
from handlers.planning.routing_step import route_pair
from handlers.planning.routing_writes import RoutedPair
from sync.audit import AuditOutcome
from sync.decision import Decision, PairDecision, skip_decision
from sync.gates import SkipCode
from sync.state.sync_state import SyncState

_NO_PAIR: Final = (ReasonCode.NO_CONVERSATION, ReasonCode.NO_ACTIVE_WORK_ITEM)


class ObservedEvent(Struct, kw_only=True):
    """An event after the draft observed it. `is_new_revision`: the stored state had not observed its revision before.
    `ending` None: the event is not decided yet."""

    event: Event
    is_new_revision: bool = False
    ending: HandledEvent | None = None


def observe_event(draft: PairDraft, event: Event, planning: PlanningContext) -> ObservedEvent:
    """Take the event's snapshot and revision into the draft.

    An event of a new work-item whose predecessor is still active is not observed: it ends with a retry, because a
    conversation has one active work-item in the store.
    """
    stores_snapshot = event.supported and planning.options.state_from_events
    if stores_snapshot and draft.awaits_predecessor(event):
        detail = "the work-item before it is still active"
        return ObservedEvent(
            event=event, ending=failed_ending(event, ReasonCode.AWAITING_PREDECESSOR, detail, planning=planning)
        )
    is_new_revision = has_new_revision(draft.state, event)
    draft.observe(event, store_snapshot=stores_snapshot)
    return ObservedEvent(event=event, is_new_revision=is_new_revision)


class CausalPlanner:
    """Plans one conversation: its events, or its waiting fields for the gap poll."""

    def __init__(self, draft: PairDraft, planning: PlanningContext) -> None:
        self._draft = draft
        self._planning = planning

    def handle(self, events: Sequence[Event]) -> list[HandledEvent]:
        """The endings of the events, in their order."""
        before = self._draft.state
        observed = [observe_event(self._draft, event, self._planning) for event in events]
        view = self._view(before)
        triggering: list[ObservedEvent] = []
        for one in observed:
            if one.ending is not None:
                continue
            closed = view.closed_gate(one.event, is_new_revision=one.is_new_revision)
            if closed is None:
                triggering.append(one)
                continue
            one.ending = self._skipped(one.event, skip_decision(closed), view)
            if closed in _NO_PAIR and view.closed_gate(None) is not None:
                self._draft.note_no_pair()
                view = self._view(before)
        decider = self._decide(triggering, events, view) if triggering else None
        if self._planning.options.routes:
            self._route(observed, decider, view)
        return [one.ending for one in observed if one.ending is not None]

    def close_gap(self) -> PolledPair | None:
        """Decide the waiting pair for the gap poll: its events will not come any more. None if there is no pair. The
        pair may wait anew, for revisions that were stored since."""
        before = self._draft.state
        self._draft.end_waiting()
        view = self._view(before)
        conversation_id, options = self._draft.conversation_id, self._planning.options
        cause = AnnouncementCause(conversation_id=conversation_id)
        pair = PairAsRead(conversation=view.conversation, item=view.item)
        polled = None
        if view.closed_gate(None) is not None:
            self._draft.note_no_pair()
        else:
            decided = view.decide(None, ())
            announcements = self._draft.apply(decided, view.item, cause, self._planning)
            polled = polled_ending(conversation_id, decided, announcements, options=options, pair=pair)
        if options.routes and self._may_route(polled):
            routed = self._routed(cause, view)
            if routed is not None:
                polled = routed_poll(conversation_id, polled, routed, options=options, pair=pair)
        return polled

    def _route(self, observed: Sequence[ObservedEvent], decider: ObservedEvent | None, view: PairView) -> None:
        """Plan the outside writes of routing, and note them in the record of the event that causes them."""
        cause = decider or self._routing_cause(observed, view)
        if cause is None or cause.ending is None or not self._may_route(cause.ending):
            return
        routed = self._routed(AnnouncementCause.of(cause.event), view)
        if routed is not None:
            cause.ending = routed_ending(cause.ending, routed)

    def _routing_cause(self, observed: Sequence[ObservedEvent], view: PairView) -> ObservedEvent | None:
        """The event that causes the routing of a conversation that has no pair to decide: the latest event of the
        conversation that may cause a sync, else the latest event of all if it ended the waiting."""
        ended = [one for one in observed if one.ending is not None and not isinstance(one.ending.outcome, Retry)]
        for one in reversed(ended):
            if one.event.side == "conversation" and not is_passive(one.event) and not _is_stale(one, view):
                return one
        return ended[-1] if ended and view.before.waiting is not None else None

    def _may_route(self, ending: HandledEvent | PolledPair | None) -> bool:
        """False while a field waits, and where the commands refused to reconcile the pair."""
        refused = ending is not None and ending.audit.outcome is AuditOutcome.REFUSED
        return self._draft.state.waiting is None and not refused

    def _routed(self, cause: AnnouncementCause, view: PairView) -> RoutedPair | None:
        def decide_again() -> tuple[PairDecision, WorkItem | None]:
            after = self._view(view.before)
            return after.decide(None, ()), after.item

        return route_pair(self._draft, cause, state=view.state, planning=self._planning, decide_again=decide_again)

    def _decide(self, triggering: Sequence[ObservedEvent], events: Sequence[Event], view: PairView) -> ObservedEvent:
        """Decide the pair once and end the events that triggered the decision. Returns the one to which the decision
        belongs."""
        causes = [one for one in triggering if not is_passive(one.event)]
        deciding = causes[-1] if causes else triggering[-1]
        decider = deciding.event
        decided = view.decide(decider if causes else None, events)
        announcements = self._draft.apply(decided, view.item, AnnouncementCause.of(decider), self._planning)
        wrote = outcome_of(decided) is not AuditOutcome.SKIPPED
        for one in triggering:
            if one.event is decider and wrote:
                pair = _pair_of(one.event, view)
                one.ending = decided_ending(one.event, decided, announcements, planning=self._planning, pair=pair)
            else:
                decision = _decision_beside(one.event, decider, decided.decision, wrote=wrote)
                one.ending = self._skipped(one.event, decision, view)
        return deciding

    def _skipped(self, event: Event, decision: Decision, view: PairView) -> HandledEvent:
        return skipped_ending(event, decision, planning=self._planning, pair=_pair_of(event, view))

    def _view(self, before: SyncState) -> PairView:
        return PairView.of(self._draft, before=before, planning=self._planning)


def _is_stale(one: ObservedEvent, view: PairView) -> bool:
    """Whether the conversation's event is older than the stored document, and no news."""
    return view.conversation is not None and one.event.rev < view.conversation.rev and not one.is_new_revision


def _decision_beside(event: Event, decider: Event, decision: Decision, *, wrote: bool) -> Decision:
    """The decision for the audit record of an event beside `decider`, the event to which `decision` belongs."""
    if is_passive(event):
        code: SkipCode = ReasonCode.IS_SYNC if event.supported else ReasonCode.UNSUPPORTED_EVENT
        return replace(skip_decision(code), suppressed=() if wrote else decision.suppressed)
    if not wrote:
        return decision
    with_decider = Reason(action=ReasonAction.SKIP_SYNC, code=ReasonCode.IN_SYNC, meta={"decidedWith": decider.id})
    return replace(skip_decision(ReasonCode.IN_SYNC), reasons=(with_decider,))


def _pair_of(event: Event, view: PairView) -> PairAsRead:
    """The pair as read; without the work-item if the event is of another work-item."""
    item = view.item
    is_other = event.side == "work-item" and item is not None and item.id != event.document_id
    return PairAsRead(conversation=view.conversation, item=None if is_other else item)
