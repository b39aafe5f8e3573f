"""What a sweep has left alone: the pairs that differ and were not judged, for its summary."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final, assert_never

from handlers.drift import LeftAlone, LeftPair
from worker.sweeps.drift.sweep_run import shown_time

_KNOWN_MAX: Final = 100_000
"""Pairs that are remembered, so that one that a full sweep meets in several stages counts once."""
_SHOWN_MAX: Final = 3
_LISTED_MAX: Final = 100


class NotJudged:
    """The pairs of one sweep that differ and were left alone.

    `times`: how often one was met; `watermark`: the sweep's, None before it begins.
    """

    def __init__(self) -> None:
        self.watermark: datetime | None = None
        self.times = 0
        self._known: dict[str, None] = {}
        self._counts: Counter[LeftAlone] = Counter()

    def add(self, pairs: Sequence[LeftPair]) -> None:
        """Count the pairs that were not met before."""
        self.times += len(pairs)
        for pair in pairs:
            if pair.conversation_id in self._known:
                continue
            self._counts[pair.why] += 1
            if len(self._known) < _KNOWN_MAX:
                self._known[pair.conversation_id] = None

    def text(self) -> str:
        """How many, why, and what to do; empty where every pair was judged."""
        count = self._counts.total()
        if not count:
            return ""
        which = ", ".join(list(self._known)[:_SHOWN_MAX]) + (", …" if count > _SHOWN_MAX else "")
        why = ", ".join(self._reason(each) for each in LeftAlone if self._counts[each])
        verbs = "differs and was" if count == 1 else "differ and were"
        remedy = "sweep again later, or with --quiet-queue if nothing is in the queue"
        return f"{count} {verbs} not judged ({which}): {why}; {remedy}"

    def as_wire(self) -> dict[str, Any]:
        """The keys of the summary that `--json` prints."""
        reasons = [{"reason": each.value, "count": self._counts[each]} for each in LeftAlone if self._counts[each]]
        pairs = {"count": self._counts.total(), "reasons": reasons, "conversationIds": list(self._known)[:_LISTED_MAX]}
        return {"watermark": shown_time(self.watermark), "notJudged": pairs}

    def _reason(self, why: LeftAlone) -> str:
        count = self._counts[why]
        match why:
            case LeftAlone.WRITTEN:
                return f"{count} written since {shown_time(self.watermark)} (the watermark)"
            case LeftAlone.WAITS:
                return f"{count} waits for an event" if count == 1 else f"{count} wait for an event"
            case LeftAlone.CONFLICTS:
                return f"{count} being written by others"
            case _:
                assert_never(why)
