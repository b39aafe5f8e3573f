"""The transaction limit: how many conversations are committed at once.

A transaction that takes longer than the store's deadline would take as long again, and its batch would be repeated for
ever: on slow disks, under other load, or where a small cache must make room for all that it changes. So the limit falls
to half of what was tried whenever the store answers a load and then not the commit. An outage in which the load fails,
or in which MongoDB refuses the commit, says nothing about the size: the limit stays.

A minute after its last change, the next batch that is handled doubles the limit, whatever its size. If a limit that has
grown times out, that minute becomes two, and so on up to an hour, because such an attempt stops its callers for a
deadline. Where the whole has stood as long without a time-out, it is a minute again.
"""

from typing import Final

from handlers.ports import COMMIT_MIN, Clock

_WAIT_S_FIRST: Final = 60.0
_WAIT_S_MAX: Final = 3_600.0


class TransactionLimit:
    """One for all lanes that commit, which share MongoDB; one for the gap poll, and one for the sweep.

    `conversations_max` is at first `whole`, and falls no lower than `COMMIT_MIN`.
    """

    def __init__(self, whole: int, clock: Clock) -> None:
        self.conversations_max = whole
        self.whole = whole
        self._clock = clock
        self._has_grown = False
        self._changed_at = 0.0
        self._wait_s = _WAIT_S_FIRST

    def timed_out(self, conversations: int, *, began_with: int) -> bool:
        """A commit of so many had no answer within the deadline; returns whether the limit is lower now.

        `began_with`: the limit when its batch began. Another lane may have lowered it since, in the same stall.
        """
        smaller = max(conversations // 2, COMMIT_MIN)
        if conversations <= COMMIT_MIN or began_with != self.conversations_max or smaller >= self.conversations_max:
            return False
        if self._has_grown:
            self._wait_s = min(self._wait_s * 2, _WAIT_S_MAX)
        self._has_grown = False
        self._change_to(smaller)
        return True

    def handled(self) -> bool:
        """A batch that needed the store is handled; returns whether the limit is whole again by it."""
        is_whole = self.conversations_max == self.whole
        if (is_whole and not self._has_grown) or self._clock.monotonic() - self._changed_at < self._wait_s:
            return False
        if is_whole:
            self._has_grown, self._wait_s = False, _WAIT_S_FIRST
            return False
        self._has_grown = True
        self._change_to(min(self.conversations_max * 2, self.whole))
        return self.conversations_max == self.whole

    def _change_to(self, conversations_max: int) -> None:
        self.conversations_max = conversations_max
        self._changed_at = self._clock.monotonic()
