"""How late events come at the moment: what a queue that is behind does to the poll.

While events are held up, a pair that waits for one must not be decided without it. The queue's own answers say so: the
latest event within the last minute of them; and while it does not answer at all, nobody knows.
"""

from datetime import timedelta
from typing import Final

from handlers.planning.event_batch import IN_TIME
from handlers.ports import Clock

_REMEMBERED_SECONDS: Final = 60


class QueueLag:
    """One for the process: the receivers and the lanes note, the poll asks."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._most = IN_TIME
        # By the clock that nobody sets.
        self._noted_at: float | None = None
        self._heard_at: float | None = None

    def note_answer(self) -> None:
        """The queue answered, with messages or without."""
        now = self._clock.monotonic()
        silence = 0.0 if self._heard_at is None else now - self._heard_at
        if self._noted_at is not None and silence > _REMEMBERED_SECONDS:
            # What was noted before the silence is as true as it was then.
            self._noted_at += silence
        self._heard_at = now

    def note_lateness(self, late: timedelta) -> None:
        """A batch whose latest event was so long under way."""
        if late >= self._recent():
            self._most, self._noted_at = late, self._clock.monotonic()

    def current(self) -> timedelta | None:
        """The most within the last minute; None while the queue is silent, or was not heard of yet."""
        if self._heard_at is None or self._clock.monotonic() - self._heard_at > _REMEMBERED_SECONDS:
            return None
        return self._recent()

    def _recent(self) -> timedelta:
        if self._noted_at is None or self._clock.monotonic() - self._noted_at > _REMEMBERED_SECONDS:
            return IN_TIME
        return self._most
