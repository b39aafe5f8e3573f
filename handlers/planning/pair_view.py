"""A pair in the draft as policy `causal` sees it: its gates, its evidence, its decision. Nothing is written here."""

from collections.abc import Iterable
from datetime import datetime, timedelta

from msgspec import Struct

from commands.work_item import WorkItem
from handlers.events.event import Event
from handlers.options import Options
from handlers.planning.pair_draft import PairDraft
from sync.conversation import Conversation, Field
from sync.evidence import DocumentAges, Trigger, evidence
from sync.gates import SkipCode, first_closed
from sync.policy_causal import CausalDecision, decide_causal
from sync.revision_runs import contains
from sync.rule import Policy


def is_news(draft: PairDraft, event: Event) -> bool:
    """True where a state existed that has not observed the event. To be asked before it is observed."""
    state = draft.state
    if state.version == 0:
        return False
    if event.side == "conversation":
        return not contains(state.conversation_observed, event.rev)
    return event.document_id != state.work_item or not contains(state.work_item_observed, event.rev)


class PairView(Struct, frozen=True, kw_only=True):
    """The pair as it stands once the events at hand are taken in and observed."""

    draft: PairDraft
    conversation: Conversation | None
    item: WorkItem | None
    ages: DocumentAges
    now: datetime
    options: Options

    @classmethod
    def of(cls, draft: PairDraft, *, now: datetime, late: timedelta, options: Options) -> "PairView":
        """Look at the draft. `late`: how long events are under way at the moment."""
        conversation, item = draft.conversation(), draft.pair_item()
        # What was written while events were held up has its event behind them.
        written_before = now - late - timedelta(seconds=options.gap_seconds)
        ages = DocumentAges(
            conversation=conversation is not None and _is_old(conversation.updated_at, written_before),
            work_item=item is not None and _is_old(item.updated_at, written_before),
        )
        return cls(draft=draft, conversation=conversation, item=item, ages=ages, now=now, options=options)

    def is_passive(self, event: Event) -> bool:
        """True for an event that causes no sync, though it may release a field that waits for it."""
        return not event.supported or (event.is_sync and not self._is_repaired(event))

    def closed(self, event: Event | None, *, news: bool = False) -> SkipCode | None:
        """The first closed gate for the event, or for the poll."""
        if event is None:
            return self._first_closed(event, supported=True, is_sync=False, news=False)
        # A document that is old news has nothing in flight: its event comes again, or from long ago.
        news = news and not (self.ages.conversation if event.side == "conversation" else self.ages.work_item)
        is_sync = event.is_sync and not self._is_repaired(event)
        return self._first_closed(event, supported=event.supported, is_sync=is_sync, news=news)

    def decide(self, asking: Event | None, events: Iterable[Event]) -> CausalDecision:
        """Both tables' decision; every gate was open. `asking` None: the poll asks, or an event that only releases."""
        assert self.conversation is not None
        assert self.item is not None
        spoken = frozenset[Field]().union(
            *(_spoken(event) for event in events if asking is not None and event.side == asking.side)
        )
        seen = evidence(
            self.draft.state,
            self.conversation,
            self.item,
            ages=self.ages,
            asking=None if asking is None else Trigger(side=asking.side, rev=asking.rev, spoken=spoken),
        )
        self.draft.state = seen.state
        return decide_causal(seen, context=self.draft.context, now=self.now, rollout=self.options.rollout)

    def _first_closed(self, event: Event | None, *, supported: bool, is_sync: bool, news: bool) -> SkipCode | None:
        item = self.item
        if event is not None and event.side == "work-item" and item is not None and item.id != event.document_id:
            item = None
        return first_closed(
            supported=supported,
            is_sync=is_sync,
            trigger="conversation" if event is None else event.side,
            rev=None if event is None else event.rev,
            conversation=self.conversation,
            item=item,
            policy=Policy.CAUSAL,
            releases=self.draft.state.waiting_since is not None,
            news=news,
        )

    def _is_repaired(self, event: Event) -> bool:
        return self.options.repair_foreign_syncs and not event.ours


def _spoken(event: Event) -> frozenset[Field]:
    silent = event.is_sync or (event.side == "work-item" and event.knew is None)
    return frozenset() if silent else event.fields


def _is_old(updated_at: datetime | None, written_before: datetime) -> bool:
    return updated_at is None or updated_at < written_before
