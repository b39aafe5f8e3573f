"""The planner of policies `legacy` and `shadow`: each event by itself, in order of publication.

Under `shadow` policy `causal` also decides the same pair. Its decision is not applied; the audit record shows it if the
two differ.
"""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from commands.execute import Refused, Unchanged
from commands.reason import ReasonCode
from commands.work_item import WorkItem
from handlers.events.event import Event
from handlers.options import PlanningContext, PolicyInUse
from handlers.outcome import HandledEvent
from handlers.planning.announcements import AnnouncementCause
from handlers.planning.drafts.pair_draft import PairDraft
from handlers.planning.endings import PairAsRead, decided_ending, routed_ending
from handlers.planning.pair_view import PairView, is_passive
from handlers.planning.planners.causal import ObservedEvent, observe_event
from handlers.planning.routing_step import route_pair
from sync.conversation import Conversation
from sync.decision import Decision, PairDecision, skip_decision
from sync.policy_legacy import decide_legacy
from sync.state.sync_state import SyncState


class LegacyPlanner:
    """Plans one conversation's events."""

    def __init__(self, draft: PairDraft, planning: PlanningContext) -> None:
        self._draft = draft
        self._planning = planning

    def handle(self, events: Sequence[Event]) -> list[HandledEvent]:
        """The endings of the events, in their order."""
        return [self._handle(event) for event in events]

    def _handle(self, event: Event) -> HandledEvent:
        draft, planning = self._draft, self._planning
        before = draft.state
        observed = observe_event(draft, event, planning)
        if observed.ending is not None:
            return observed.ending
        conversation, item = draft.conversation(), draft.work_item(event)
        decided = decide_legacy(
            draft.state,
            side=event.side,
            conversation=conversation,
            item=item,
            rev=event.rev,
            is_sync=event.is_sync,
            supported=event.supported,
            context=draft.context,
            now=planning.now,
            queue_now=planning.queue_now,
            rollout=planning.options.rollout,
        )
        shadow = self._shadow(observed, decided, before) if planning.options.policy is PolicyInUse.SHADOW else None
        announcements = draft.apply(decided, item, AnnouncementCause.of(event), planning)
        pair = PairAsRead(conversation=conversation, item=item)
        ending = decided_ending(event, decided, announcements, planning=planning, pair=pair)
        if planning.options.routes and self._may_route(event, decided, conversation):
            ending = self._routed(ending, draft.state)
        return ending if shadow is None else replace(ending, audit=replace(ending.audit, shadow=shadow))

    def _may_route(self, event: Event, decided: PairDecision, conversation: Conversation | None) -> bool:
        """Whether the event may cause routing: no sync, not stale, of the pair, and its update was not refused."""
        if is_passive(event) or conversation is None or isinstance(decided.command, Refused):
            return False
        if event.side == "conversation":
            return event.rev >= conversation.rev
        return decided.decision.applies or decided.decision.reasons[0].code is ReasonCode.IN_SYNC

    def _routed(self, ending: HandledEvent, state: SyncState) -> HandledEvent:
        """The ending with the outside writes of routing, and with the decision that their events will cause."""
        draft, planning = self._draft, self._planning

        def decide_again() -> tuple[PairDecision, WorkItem | None]:
            item = draft.pair_item()
            assert item is not None, "routing has just written the work-item"
            decided = decide_legacy(
                draft.state,
                side="work-item",
                conversation=draft.conversation(),
                item=item,
                rev=item.rev,
                is_sync=False,
                supported=True,
                context=draft.context,
                now=planning.now,
                queue_now=planning.queue_now,
                rollout=planning.options.rollout,
            )
            return decided, item

        cause = AnnouncementCause.of(ending.event)
        routed = route_pair(draft, cause, state=state, planning=planning, decide_again=decide_again)
        return ending if routed is None else routed_ending(ending, routed)

    def _shadow(self, observed: ObservedEvent, legacy: PairDecision, before: SyncState) -> dict[str, Any] | None:
        """The decision of policy `causal` in the audit's names; None where it writes what `legacy` writes."""
        causal = self._causal(observed, before)
        same = (
            causal.conversation_fields == legacy.decision.conversation_fields
            and causal.work_item_fields == legacy.decision.work_item_fields
            # If the commands found nothing to change, the rules of `legacy` had still asked for an update. That counts
            # as a difference, too.
            and not isinstance(legacy.command, Unchanged)
        )
        return None if same else causal.as_wire()

    def _causal(self, observed: ObservedEvent, before: SyncState) -> Decision:
        """The decision of policy `causal` for the draft before the decision of `legacy` is applied. `before`: the sync
        state before the event was observed."""
        event = observed.event
        view = PairView.of(self._draft, before=before, planning=self._planning)
        closed = view.closed_gate(event, is_new_revision=observed.is_new_revision)
        if closed is not None:
            return skip_decision(closed)
        return view.decide(None if is_passive(event) else event, (event,)).decision
