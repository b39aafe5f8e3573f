"""A pair and its events to one plan and an audit record each. Nothing is awaited and nothing written here."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import assert_never

from commands.record import record
from handlers.events.event import Event
from handlers.options import Options, PolicyInUse
from handlers.outcome import Handled, Polled
from handlers.planning.causal_planner import Together
from handlers.planning.legacy_planner import OneByOne
from handlers.planning.pair_draft import Draft
from handlers.ports import Ids, Pair, Plan


@record
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
    match options.policy:
        case PolicyInUse.CAUSAL:
            handled = Together(draft, now=now, ids=ids, options=options).handle(in_order(events))
        case PolicyInUse.LEGACY | PolicyInUse.SHADOW:
            handled = OneByOne(draft, now=now, ids=ids, options=options).handle(in_order(events))
        case _:
            assert_never(options.policy)
    draft.note_stored(now)
    return Planned(plan=draft.plan(), handled=tuple(handled))


def plan_gap(
    conversation_id: str, pair: Pair, *, now: datetime, late: timedelta, ids: Ids, options: Options
) -> tuple[Plan, Polled | None]:
    """Decide a pair that has waited for an event that may never come: what is old news counts as observed. None where
    there is nothing to tell."""
    draft = Draft(conversation_id, pair)
    polled = Together(draft, now=now, ids=ids, options=options).close_gap(late)
    draft.note_stored(now)
    return draft.plan(), polled
