"""The planner of policies `legacy` and `shadow`: each event by itself, in order of publication.

Under `shadow` policy `causal` also decides the same pair. Its decision is not applied; the audit record shows it if the
two differ.
"""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from commands.execute import Unchanged
from handlers.events.event import Event
from handlers.options import PlanningContext, PolicyInUse
from handlers.outcome import HandledEvent
from handlers.planning.announcements import AnnouncementCause
from handlers.planning.causal_planner import ObservedEvent, observe_event
from handlers.planning.endings import PairAsRead, decided_ending
from handlers.planning.pair_draft import PairDraft
from handlers.planning.pair_view import PairView, is_passive
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
        return ending if shadow is None else replace(ending, audit=replace(ending.audit, shadow=shadow))

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
