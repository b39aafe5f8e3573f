"""The dead letters of this process by code and reason, kept in memory for the worker's report.

The status page has no right on SQS. So it shows what the workers count: the messages that they dead-lettered, and those
that they gave back after the last delivery that the queue's redrive policy allows, which SQS then moves.
"""

import re
from collections import OrderedDict
from typing import Final

from handlers.ports import Clock
from worker.ports.message_queue import NO_CODE
from worker.ports.status import DEAD_LETTERS_MAX, DeadLetterCount

OTHER_REASONS: Final = "other reasons"
OTHER_EVENT: Final = "other"
"""As `event_tag` names an event that the worker does not handle, or a message that it cannot read."""
_REASON_MAX: Final = 200
_SIZE: Final = re.compile(r"\b\d+ bytes")


def reason_class(reason: str) -> str:
    """The reason without the sizes in it, which differ from message to message while the fault is the same."""
    return _SIZE.sub("N bytes", reason)


class DeadLetterCounts:
    """Counts since the process started, at most `DEAD_LETTERS_MAX` and one for each code: of more, the one that grew
    least recently makes room, and its count goes to `OTHER_REASONS` of its code."""

    def __init__(self, clock: Clock) -> None:
        """None yet."""
        self._clock = clock
        self._counts: OrderedDict[tuple[str, str, str], DeadLetterCount] = OrderedDict()

    def note(self, code: str, reason: str, event: str) -> None:
        """Count a message that was dead-lettered. `event`: as `event_tag` names it."""
        self._add(code, reason_class(reason)[:_REASON_MAX], event, 1)

    def note_given_up(self, reason: str, event: str) -> None:
        """Count a message that was given back after its last delivery. `reason`: why it was given back."""
        self.note(NO_CODE, f"{reason} at each delivery", event)

    def counts(self) -> tuple[DeadLetterCount, ...]:
        """The counts; the one that grew last comes last."""
        return tuple(self._counts.values())

    def _add(self, code: str, reason: str, event: str, count: int) -> None:
        key = (code, reason, event)
        before = self._counts.pop(key, None)
        self._counts[key] = DeadLetterCount(
            code=code,
            reason=reason,
            event=event,
            count=count + (before.count if before else 0),
            last=self._clock.now(),
        )
        if len(self._counts) > DEAD_LETTERS_MAX:
            self._make_room()

    def _make_room(self) -> None:
        key = next(key for key in self._counts if key[1] != OTHER_REASONS)
        gone = self._counts.pop(key)
        rest = (gone.code, OTHER_REASONS, OTHER_EVENT)
        known = self._counts.pop(rest, None)
        count = gone.count + (known.count if known else 0)
        self._counts[rest] = DeadLetterCount(
            code=gone.code, reason=OTHER_REASONS, event=OTHER_EVENT, count=count, last=gone.last
        )
