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
from handlers.events.event import Event
from handlers.options import PlanningContext
from handlers.outcome import HandledEvent, PolledPair
from handlers.planning.announcements import AnnouncementCause
from handlers.planning.endings import (
    PairAsRead,
    decided_ending,
    failed_ending,
    outcome_of,
    polled_ending,
    skipped_ending,
)
from handlers.planning.pair_draft import PairDraft
from handlers.planning.pair_view import PairView, has_new_revision, is_passive
from sync.audit import AuditOutcome
from sync.decision import Decision, skip_decision
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
        if triggering:
            self._decide(triggering, events, view)
        return [one.ending for one in observed if one.ending is not None]

    def close_gap(self) -> PolledPair | None:
        """Decide the waiting pair for the gap poll: its events will not come any more. None if there is no pair. The
        pair may wait anew, for revisions that were stored since."""
        before = self._draft.state
        self._draft.end_waiting()
        view = self._view(before)
        if view.closed_gate(None) is not None:
            self._draft.note_no_pair()
            return None
        decided = view.decide(None, ())
        conversation_id = self._draft.conversation_id
        cause = AnnouncementCause(conversation_id=conversation_id)
        announcements = self._draft.apply(decided, view.item, cause, self._planning)
        pair = PairAsRead(conversation=view.conversation, item=view.item)
        return polled_ending(conversation_id, decided, announcements, options=self._planning.options, pair=pair)

    def _decide(self, triggering: Sequence[ObservedEvent], events: Sequence[Event], view: PairView) -> None:
        """Decide the pair once and end the events that triggered the decision."""
        causes = [one.event for one in triggering if not is_passive(one.event)]
        decider = causes[-1] if causes else triggering[-1].event
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

    def _skipped(self, event: Event, decision: Decision, view: PairView) -> HandledEvent:
        return skipped_ending(event, decision, planning=self._planning, pair=_pair_of(event, view))

    def _view(self, before: SyncState) -> PairView:
        return PairView.of(self._draft, before=before, planning=self._planning)


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
