"""Fields that changed away and back: `BOUNCE`.

Two writes by one service, neither of them a sync, are no bounce: that service changed its mind.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from sync.conversation import FIELDS, Field
from worker.investigate.timeline.entry import TimelineEntry
from worker.investigate.timeline.findings.facts import TimelineFacts, lapse, shown_value
from worker.investigate.timeline.timeline import FindingKind, TimelineFinding, TimelineLimits, cite

_SHOWN_MAX: Final = 9
"""How many changes a finding names."""


def bounces(facts: TimelineFacts, limits: TimelineLimits) -> Iterator[TimelineFinding]:
    """The findings of each record and field. A field that goes to and fro several times is one finding."""
    for document_id in (facts.timeline.conversation_id, *facts.timeline.work_items):
        for field in FIELDS:
            places = facts.changes_of(document_id, field)
            changes = [facts.entries[place] for place in places if not facts.entries[place].creation]
            for chain in _chains(changes, field, limits):
                yield _finding(facts, chain, field)


def _chains(
    changes: Sequence[TimelineEntry], field: Field, limits: TimelineLimits
) -> Iterator[Sequence[TimelineEntry]]:
    """The longest runs of changes in which each one takes back the one before it."""
    chain: list[TimelineEntry] = []
    for change in changes:
        if chain and _takes_back(chain[-1], change, field, limits):
            chain.append(change)
            continue
        if len(chain) > 1:
            yield chain
        chain = [change]
    if len(chain) > 1:
        yield chain


def _takes_back(away: TimelineEntry, back: TimelineEntry, field: Field, limits: TimelineLimits) -> bool:
    states = (away.before, away.state, back.before, back.state)
    if any(state is None for state in states):
        return False
    was, there, still_there, now = [state.value(field) for state in states if state is not None]
    if was != now or there != still_there:
        return False
    if back.follows_from_closing(field):
        return False
    if not away.is_sync and not back.is_sync and away.client == back.client:
        return False
    if away.at is None or back.at is None:
        return False
    return (back.at - away.at).total_seconds() <= limits.bounce_s


def _finding(facts: TimelineFacts, chain: Sequence[TimelineEntry], field: Field) -> TimelineFinding:
    first, last = chain[0], chain[-1]
    shown = chain if len(chain) <= _SHOWN_MAX else [*chain[: _SHOWN_MAX - 1], last]
    steps = ", ".join(f"{facts.named(each)} to {shown_value(field, each)}" for each in shown)
    more = f" ({len(chain)} times, the first and the last are named)" if len(shown) < len(chain) else ""
    away = _value(field, first)
    gap = facts.missing_between(first.document_id, first.rev, last.rev)
    return TimelineFinding(
        kind=FindingKind.BOUNCE,
        text=f"{field} of the {first.side} changed away and back within {lapse(first.at, last.at)}{more}: {steps}.",
        field=field,
        since=first.at,
        until=last.at,
        evidence=tuple(cite(each, "away" if _value(field, each) == away else "back") for each in shown),
        missing=() if gap is None else (gap,),
    )


def _value(field: Field, entry: TimelineEntry) -> object:
    return None if entry.state is None else entry.state.value(field)
