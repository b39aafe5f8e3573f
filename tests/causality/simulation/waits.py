"""How long the pairs of a run waited for events, by the story of their conversation."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

from handlers.ports import Plan
from sync.state.sync_state import Waiting
from tests.causality.simulation.tally import Tally
from tests.causality.virtual_time import VirtualTime

LEFT_MAX: Final = 5
"""Rounds of the poll that may leave a pair although the watermark has passed its time: each met another writer."""


class WaitLog:
    """The log of one run. It is told each committed plan. `calm`: nothing in the run keeps the watermark."""

    def __init__(self, time: VirtualTime, stories: Mapping[str, str], tally: Tally, *, calm: bool) -> None:
        self._time, self._stories, self._tally, self._calm = time, stories, tally, calm
        self._waits: dict[str, tuple[Waiting, float]] = {}
        self._left: Counter[tuple[str, float]] = Counter()

    @property
    def waiting(self) -> bool:
        """Whether any pair waits now."""
        return bool(self._waits)

    def is_waiting(self, key: str) -> bool:
        return key in self._waits

    def committed(self, plan: Plan) -> None:
        """Note that a pair began to wait, or that its wait ended."""
        if plan.state is None:
            return
        key, stamp = plan.conversation_id, plan.state.waiting
        began = self._waits.get(key)
        if began is not None and (stamp is None or began[0].since != stamp.since):
            del self._waits[key]
            self._ended(key, self._time.passed_s - began[1])
        if stamp is not None and key not in self._waits:
            self._waits[key] = stamp, self._time.passed_s

    def polled(self, keys: Iterable[str], waits_before: Mapping[str, float]) -> None:
        """Note a round of the poll on these pairs, which began to wait before the watermark."""
        for key in keys:
            began = self._waits.get(key)
            if began is not None and waits_before.get(key) == began[1]:
                self._left[key, began[1]] += 1

    def began(self) -> dict[str, float]:
        """When each pair that waits now began to, in seconds of the run."""
        return {key: began_s for key, (_, began_s) in self._waits.items()}

    @property
    def left_waiting(self) -> list[str]:
        """The pairs that too many rounds of the poll left waiting."""
        return [key for (key, _), times in self._left.items() if times > LEFT_MAX]

    def _ended(self, key: str, seconds: float) -> None:
        story = self._stories[key]
        self._tally.waited[story] += 1
        self._tally.note_longest(story, seconds, calm=self._calm)
