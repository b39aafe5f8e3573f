"""The view of an observed pair by policy `causal`: its gates, its evidence, its decision. Pure."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec import Struct

from commands.context import CommandContext
from commands.work_item import WorkItem
from handlers.events.event import Event
from handlers.options import PlanningContext
from handlers.planning.pair_draft import PairDraft
from sync.conversation import Conversation, Field
from sync.decision import PairDecision
from sync.evidence import OldDocuments, TriggerEvents, evidence_of
from sync.gates import Policy, SkipCode, first_closed_gate
from sync.policy_causal import decide_causal
from sync.revision_runs import contains
from sync.state import SyncState


def has_new_revision(state: SyncState, event: Event) -> bool:
    """True if a state is stored that has not observed the event's revision. `state` is the state before the event."""
    if state.version == 0:
        return False
    if event.side == "conversation":
        return not contains(state.conversation_observed, event.rev)
    return event.document_id != state.work_item or not contains(state.work_item_observed, event.rev)


class PairView(Struct, frozen=True, kw_only=True):
    """The pair after the events of a batch were observed."""

    state: SyncState
    context: CommandContext
    conversation: Conversation | None
    item: WorkItem | None
    old: OldDocuments
    planning: PlanningContext

    @classmethod
    def of(cls, draft: PairDraft, *, late: timedelta, planning: PlanningContext) -> "PairView":
        """The view of the draft's current content. `late`: how long an event takes from publication to its handling."""
        conversation, item = draft.conversation(), draft.pair_item()
        # The event of a write arrives up to `late` after it, so a document must be older by as much.
        written_before = planning.now - late - timedelta(seconds=planning.options.gap_seconds)
        old = OldDocuments(
            conversation=conversation is not None and _is_old(conversation.updated_at, written_before),
            work_item=item is not None and _is_old(item.updated_at, written_before),
        )
        return cls(
            state=draft.state,
            context=draft.context,
            conversation=conversation,
            item=item,
            old=old,
            planning=planning,
        )

    def is_passive(self, event: Event) -> bool:
        """True for an event that causes no sync. It may still end the waiting of a field."""
        return not event.supported or (event.is_sync and not self._is_repaired(event))

    def closed_gate(self, event: Event | None, *, is_new_revision: bool = False) -> SkipCode | None:
        """The first closed gate for the event; None where all are open. `event` None: the gap poll's decision."""
        if event is None:
            return self._first_closed_gate(event, supported=True, is_sync=False, is_new_revision=False)
        # An old document has no event in flight, so this event is a repeat or comes from a capture.
        is_new_revision = is_new_revision and not (
            self.old.conversation if event.side == "conversation" else self.old.work_item
        )
        is_sync = event.is_sync and not self._is_repaired(event)
        return self._first_closed_gate(
            event, supported=event.supported, is_sync=is_sync, is_new_revision=is_new_revision
        )

    def decide(self, event: Event | None, events: Iterable[Event]) -> PairDecision:
        """The decision of both rule tables; every gate must be open.

        `event` triggers the decision, and `events` are all of its batch. `event` None: the gap poll triggers it, or an
        event that can only end a field's waiting.
        """
        assert self.conversation is not None, "a gate is closed without a conversation"
        assert self.item is not None, "a gate is closed without a work-item"
        trigger = None if event is None else _trigger(event, events)
        evidence = evidence_of(self.state, self.conversation, self.item, old=self.old, trigger=trigger)
        now, rollout = self.planning.now, self.planning.options.rollout
        return decide_causal(evidence, context=self.context, now=now, rollout=rollout)

    def _first_closed_gate(
        self, event: Event | None, *, supported: bool, is_sync: bool, is_new_revision: bool
    ) -> SkipCode | None:
        item = self.item
        if event is not None and event.side == "work-item" and item is not None and item.id != event.document_id:
            item = None
        return first_closed_gate(
            supported=supported,
            is_sync=is_sync,
            side="conversation" if event is None else event.side,
            rev=None if event is None else event.rev,
            conversation=self.conversation,
            item=item,
            policy=Policy.CAUSAL,
            has_waiting_field=self.state.waiting_since is not None,
            is_new_revision=is_new_revision,
        )

    def _is_repaired(self, event: Event) -> bool:
        return self.planning.options.repair_foreign_syncs and not event.is_own_sync


def _trigger(event: Event, events: Iterable[Event]) -> TriggerEvents:
    declared = (_declared_fields(each) for each in events if each.side == event.side)
    return TriggerEvents(side=event.side, rev=event.rev, declared_fields=frozenset[Field]().union(*declared))


def _declared_fields(event: Event) -> frozenset[Field]:
    undeclared = event.is_sync or (event.side == "work-item" and event.known_conversation_rev is None)
    return frozenset() if undeclared else event.changed_fields


def _is_old(updated_at: datetime | None, written_before: datetime) -> bool:
    return updated_at is None or updated_at < written_before
