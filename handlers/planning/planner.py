"""A pair and its events to one plan and an audit record each. Nothing is awaited and nothing written here."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import assert_never

from msgspec import Struct

from handlers.events.event import Event
from handlers.options import Options, PolicyInUse
from handlers.outcome import HandledEvent, PolledPair
from handlers.planning.causal_planner import CausalPlanner
from handlers.planning.legacy_planner import LegacyPlanner
from handlers.planning.pair_draft import PairDraft
from handlers.ports import Ids, Pair, Plan


class PlannedPair(Struct, frozen=True, kw_only=True):
    """One conversation's plan, and what becomes of each of its events once it is committed."""

    plan: Plan
    handled: tuple[HandledEvent, ...]


_EPOCH = datetime.min.replace(tzinfo=UTC)


def in_order(events: Sequence[Event]) -> list[Event]:
    """Events in order of publication; those that do not say come first, ties by revision."""
    return sorted(events, key=lambda event: (event.published_at or _EPOCH, event.rev))


def plan_pair(
    conversation_id: str, pair: Pair, events: Sequence[Event], *, now: datetime, ids: Ids, options: Options
) -> PlannedPair:
    """Decide all events of one conversation; `handled` is in the order of `in_order(events)`."""
    draft = PairDraft(conversation_id, pair)
    match options.policy:
        case PolicyInUse.CAUSAL:
            handled = CausalPlanner(draft, now=now, ids=ids, options=options).handle(in_order(events))
        case PolicyInUse.LEGACY | PolicyInUse.SHADOW:
            handled = LegacyPlanner(draft, now=now, ids=ids, options=options).handle(in_order(events))
        case _:
            assert_never(options.policy)
    draft.note_stored(now)
    return PlannedPair(plan=draft.plan(), handled=tuple(handled))


def plan_gap(
    conversation_id: str, pair: Pair, *, now: datetime, late: timedelta, ids: Ids, options: Options
) -> tuple[Plan, PolledPair | None]:
    """Decide a pair that has waited for an event that may never come: what is old news counts as observed. None where
    there is nothing to tell."""
    draft = PairDraft(conversation_id, pair)
    polled = CausalPlanner(draft, now=now, ids=ids, options=options).close_gap(late)
    draft.note_stored(now)
    return draft.plan(), polled
