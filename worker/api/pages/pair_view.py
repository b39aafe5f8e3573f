"""A pair's page as data: the pair's report, its past, and its last decisions."""

from datetime import datetime
from typing import Final

from msgspec import Struct

from handlers.ports import StoreAway
from worker.api.pages.pair_report import PairReport
from worker.api.pages.status_view import PageSources, last_decisions, last_drifts, pair_reports
from worker.errors import first_line
from worker.investigate.explain.explanation import explain
from worker.investigate.explain.stored_past import read_past
from worker.investigate.report.drawing import Drawing, draw
from worker.ports.status import FoundDrift, RecentDecision

_WORKERS_MAX = 50


_DECISIONS_MAX: Final = 100
"""The kept decisions of a pair that its page goes by; `routing-sync explain` goes by all."""
_REVISIONS_MAX: Final = 300


class PairPast(Struct, frozen=True, kw_only=True):
    """What is kept of a pair's past: the answer of `routing-sync explain` as a sentence, what it lacks, the drawing."""

    answer: str
    missing: tuple[str, ...]
    drawing: Drawing


class PairPageView(Struct, frozen=True, kw_only=True):
    """Everything that a pair's page shows. `away`: why the store cannot be read; the rest is then empty."""

    conversation_id: str
    at: datetime
    away: str | None = None
    report: PairReport | None = None
    past: PairPast | None = None
    decisions: tuple[RecentDecision, ...] = ()
    drifts: tuple[FoundDrift, ...] = ()

    @property
    def summary(self) -> str:
        """One sentence, which a screen reader speaks when it changes."""
        if self.report is None:
            return "MongoDB is away."
        differing = f": {', '.join(self.report.out_of_step)}" if self.report.out_of_step else ""
        since = self.report.waiting_since
        waiting = f", since {since:%H:%M:%S}" if since is not None else ""
        return f"{self.report.standing.value.capitalize()}{differing}{waiting}."


async def pair_page_view(conversation_id: str, sources: PageSources) -> PairPageView:
    """The view of this moment. It never raises StoreAway: the page then says so."""
    now = sources.clock.now()
    try:
        (report,) = await pair_reports([conversation_id], sources)
        stored = await read_past(
            conversation_id,
            store=sources.store,
            history=sources.history,
            audit_days=sources.audit_days,
            decisions_max=_DECISIONS_MAX,
        )
        fleet = await sources.status.fleet(_WORKERS_MAX)
    except StoreAway as away:
        return PairPageView(conversation_id=conversation_id, at=now, away=first_line(away))
    explained = explain(conversation_id, stored, None, now=now)
    drawing = draw(explained.timeline, steps_max=_REVISIONS_MAX)
    return PairPageView(
        conversation_id=conversation_id,
        at=now,
        report=report,
        past=PairPast(answer=_sentence(explained.answer.text), missing=explained.missing, drawing=drawing),
        decisions=last_decisions(fleet.reports, conversation_id),
        drifts=last_drifts(fleet.reports, conversation_id),
    )


def _sentence(text: str) -> str:
    """The text with a capital and a full stop. `str.capitalize` would make the letters of ids small."""
    return f"{text[:1].upper()}{text[1:]}."
