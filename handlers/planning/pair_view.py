"""The view of an observed pair by policy `causal`: its gates, its evidence, its decision. Pure."""

from collections.abc import Iterable

from msgspec import Struct

from commands.context import CommandContext
from commands.work_item import WorkItem
from handlers.events.event import Event
from handlers.options import PlanningContext
from handlers.planning.drafts.pair_draft import PairDraft
from sync.conversation import Conversation, Field
from sync.decision import PairDecision
from sync.evidence import FirstSight, evidence_of, unknown_fields
from sync.gates import Policy, SkipCode, first_closed_gate
from sync.policy_causal import decide_causal
from sync.state.revision_runs import contains
from sync.state.sync_state import SyncState


def has_new_revision(state: SyncState, event: Event) -> bool:
    """True if there is a state that has not observed the event's revision. `state` is the state before the event, which
    an earlier event of the same batch may have begun."""
    if state.version == 0 and not state.conversation_observed and state.work_item is None:
        return False
    if event.side == "conversation":
        return not contains(state.conversation_observed, event.rev)
    return event.document_id != state.work_item or not contains(state.work_item_observed, event.rev)


class PairView(Struct, frozen=True, kw_only=True):
    """The pair after the events of a batch were observed. `before`: the sync state before they were."""

    state: SyncState
    before: SyncState
    context: CommandContext
    conversation: Conversation | None
    item: WorkItem | None
    planning: PlanningContext

    @classmethod
    def of(cls, draft: PairDraft, *, before: SyncState, planning: PlanningContext) -> "PairView":
        """The view of the draft's current content."""
        return cls(
            state=draft.state,
            before=before,
            context=draft.context,
            conversation=draft.conversation(),
            item=draft.pair_item(),
            planning=planning,
        )

    def closed_gate(self, event: Event | None, *, is_new_revision: bool = False) -> SkipCode | None:
        """The first closed gate for the event; None where all are open. `event` None: the gap poll's decision."""
        item = self.item
        if event is not None and event.side == "work-item" and item is not None and item.id != event.document_id:
            item = None
        return first_closed_gate(
            supported=event is None or event.supported,
            is_sync=event is not None and event.is_sync,
            side="conversation" if event is None else event.side,
            rev=None if event is None else event.rev,
            conversation=self.conversation,
            item=item,
            policy=Policy.CAUSAL,
            has_waiting_field=self.state.waiting is not None,
            is_new_revision=is_new_revision,
        )

    def decide(self, event: Event | None, events: Iterable[Event]) -> PairDecision:
        """The decision of both rule tables; every gate must be open.

        `event` triggers the decision, and `events` are all of its batch. `event` None: the gap poll triggers it, or an
        event that can only end a field's waiting.
        """
        assert self.conversation is not None, "a gate is closed without a conversation"
        assert self.item is not None, "a gate is closed without a work-item"
        first_sight = None if event is None else self._first_sight(event, events, self.conversation, self.item)
        evidence = evidence_of(self.state, self.conversation, self.item, first_sight=first_sight)
        planning = self.planning
        return decide_causal(
            evidence,
            context=self.context,
            now=planning.now,
            queue_now=planning.queue_now,
            rollout=planning.options.rollout,
        )

    def _first_sight(
        self, event: Event, events: Iterable[Event], conversation: Conversation, item: WorkItem
    ) -> FirstSight | None:
        """The first sight, if no event of the other document can be in flight; None where it is none."""
        fields = unknown_fields(self.before, item.id)
        if not fields:
            return None
        other_written_at = item.updated_at if event.side == "conversation" else conversation.updated_at
        if not self.planning.options.is_long_before_deployment(other_written_at):
            return None
        declared = (_declared_fields(each) for each in events if each.side == event.side)
        return FirstSight(
            side=event.side,
            rev=event.rev,
            fields=fields,
            declared_fields=frozenset[Field]().union(*declared),
        )


def is_passive(event: Event) -> bool:
    """True for an event that causes no sync. It may still end the waiting of a field."""
    return not event.supported or event.is_sync


def _declared_fields(event: Event) -> frozenset[Field]:
    undeclared = event.is_sync or (event.side == "work-item" and event.known_conversation_rev is None)
    return frozenset() if undeclared else event.changed_fields or frozenset()
