"""Queue lateness: how late events reach the worker at present.

The gap poll must not decide a pair without an event that is still in the queue. The lateness of the events received
within the last minute shows how far the queue is behind. While the queue does not respond, the lateness is unknown.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from handlers.events.event import Event
from handlers.ports import Clock

_REMEMBERED_S: Final = 60
IN_TIME: Final = timedelta()
"""The lateness of events that are not late."""
_RETENTION_MAX: Final = timedelta(days=14)
"""No queue keeps a message for longer (SQS, `MessageRetentionPeriod`): an older event comes from a capture."""


def lateness(events: Iterable[Event], now: datetime) -> timedelta:
    """The longest time from an event's publication to `now`.

    An event without a time of publication counts as in time, and so does one older than any queue's retention.
    """
    ages = (now - event.published_at for event in events if event.published_at is not None)
    return max((age for age in ages if IN_TIME < age <= _RETENTION_MAX), default=IN_TIME)


class QueueLatenessTracker:
    """The port `QueueLateness`, one for the process. Receivers and lanes report to it, and the gap poll reads it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lateness = IN_TIME
        # Monotonic clock, seconds.
        self._noted_at: float | None = None
        self._responded_at: float | None = None

    def note_response(self) -> None:
        """Note that the queue responded to a receive call, with or without messages."""
        now = self._clock.monotonic()
        silence_s = 0.0 if self._responded_at is None else now - self._responded_at
        if self._noted_at is not None and silence_s > _REMEMBERED_S:
            # The lateness from before the silence keeps the rest of its minute.
            self._noted_at += silence_s
        self._responded_at = now

    def note_lateness(self, lateness: timedelta) -> None:
        """Note the lateness of the latest event of a batch."""
        if lateness >= self._remembered():
            self._lateness, self._noted_at = lateness, self._clock.monotonic()

    def current(self) -> timedelta | None:
        """The greatest lateness of the last minute; None if the queue has not responded for a minute, or never."""
        if self._responded_at is None or self._clock.monotonic() - self._responded_at > _REMEMBERED_S:
            return None
        return self._remembered()

    def _remembered(self) -> timedelta:
        if self._noted_at is None or self._clock.monotonic() - self._noted_at > _REMEMBERED_S:
            return IN_TIME
        return self._lateness
