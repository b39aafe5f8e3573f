"""How late events come at the moment: what a queue that is behind does to the poll.

While events are held up, a pair that waits for one must not be decided without it. Kept for a minute, so that one quick
event in a late crowd does not hide it.
"""

from datetime import datetime, timedelta
from typing import Final

from handlers.lateness import IN_TIME
from handlers.ports import Clock

_REMEMBERED: Final = timedelta(minutes=1)


class BacklogLag:
    """One for the process: the lanes note, the poll asks."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._most = IN_TIME
        self._noted_at: datetime | None = None

    def note(self, late: timedelta) -> None:
        """A batch whose latest event was so long under way."""
        if late >= self.now():
            self._most, self._noted_at = late, self._clock.now()

    def now(self) -> timedelta:
        """The most within the last minute."""
        if self._noted_at is None or self._clock.now() - self._noted_at > _REMEMBERED:
            return IN_TIME
        return self._most
