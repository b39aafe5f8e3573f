"""The planner: a conversation's pair and its events in, one plan and each event's ending out. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, assert_never

from msgspec import Struct
from msgspec.structs import replace

from handlers.documents.stored_forms import UnreadableDocument
from handlers.events.event import Event
from handlers.options import PlanningContext, PolicyInUse
from handlers.outcome import HandledEvent, PolledPair
from handlers.planning.drafts.pair_draft import PairDraft
from handlers.planning.kept_audit import is_kept, kept_records
from handlers.planning.planners.causal import CausalPlanner
from handlers.planning.planners.legacy import LegacyPlanner
from handlers.ports import Pair, Plan
from sync.audit import AuditRecord

_EPOCH: Final = datetime.min.replace(tzinfo=UTC)


class PlannedPair(Struct, frozen=True, kw_only=True):
    """One conversation's plan, and the endings of its events once the plan is committed."""

    plan: Plan
    handled: tuple[HandledEvent, ...]


def in_publication_order(events: Sequence[Event]) -> list[Event]:
    """Events in order of publication, ties by revision; events without a time of publication come first."""
    return sorted(events, key=lambda event: (event.published_at or _EPOCH, event.rev))


def plan_pair(conversation_id: str, pair: Pair, events: Sequence[Event], *, planning: PlanningContext) -> PlannedPair:
    """Plan all events of one conversation; `handled` is in the order of `in_publication_order(events)`.

    Raises UnreadableDocument.
    """
    draft = _draft(conversation_id, pair, planning)
    match planning.options.policy:
        case PolicyInUse.CAUSAL:
            handled = CausalPlanner(draft, planning).handle(in_publication_order(events))
        case PolicyInUse.LEGACY | PolicyInUse.SHADOW:
            handled = LegacyPlanner(draft, planning).handle(in_publication_order(events))
        case _:
            assert_never(planning.options.policy)
    if draft.gaps_given_up:
        handled[-1] = replace(handled[-1], gaps_given_up=draft.gaps_given_up)
    plan = draft.plan(now=planning.now)
    if planning.options.keeps_audit:
        plan = _with_audits(plan, draft, [each.audit for each in handled if is_kept(each)], planning)
    return PlannedPair(plan=plan, handled=tuple(handled))


def plan_gap(
    conversation_id: str, pair: Pair, *, watermark: datetime, planning: PlanningContext
) -> tuple[Plan, PolledPair | None]:
    """Plan a pair whose awaited event is lost: no event that was sent before `watermark` is still undelivered.

    The plan is empty if the pair waits since later, or not at all. The second value is None where there is nothing to
    report. Raises UnreadableDocument.
    """
    if pair.unreadable is not None:
        raise UnreadableDocument(pair.unreadable)
    waiting = pair.state.waiting
    if waiting is None or waiting.since >= watermark:
        return Plan(conversation_id=conversation_id), None
    draft = _draft(conversation_id, pair, planning)
    polled = CausalPlanner(draft, planning).close_gap()
    plan = draft.plan(now=planning.now)
    if planning.options.keeps_audit and polled is not None:
        plan = _with_audits(plan, draft, [polled.audit], planning)
    return plan, polled


def _with_audits(plan: Plan, draft: PairDraft, records: Sequence[AuditRecord], planning: PlanningContext) -> Plan:
    """The plan with the records that it keeps. A plan that writes nothing keeps none: it has no transaction."""
    if plan.empty or not records:
        return plan
    return replace(plan, audits=kept_records(plan.conversation_id, draft.org, records, planning=planning))


def _draft(conversation_id: str, pair: Pair, planning: PlanningContext) -> PairDraft:
    draft = PairDraft(conversation_id, pair)
    if pair.latest_work_item is not None:
        draft.drop_latest_unless_in_flight(planning)
    return draft
