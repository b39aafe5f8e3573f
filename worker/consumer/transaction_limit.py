"""The transaction limit: how many conversations the lanes commit at once.

A transaction that takes longer than the store's deadline would take as long again, and its batch would be repeated for
ever: on slow disks, under other load, or where a small cache must make room for all that it changes. So the limit falls
to half of what was tried whenever the store answers a load and then not the commit. An outage in which the load fails,
or in which MongoDB refuses the commit, says nothing about the size: the limit stays.

A minute after its last change, the next batch that is handled doubles the limit, whatever its size. If a limit that has
grown times out, that minute becomes two, and so on up to an hour, because such an attempt stops the lanes for a
deadline. A commit of as many conversations as the last that timed out ends this: it is a minute again.
"""

from typing import Final

from worker.runtime.context import RuntimeContext

_WAIT_S_FIRST: Final = 60.0
_WAIT_S_MAX: Final = 3_600.0

_CONVERSATIONS_MIN: Final = 10
"""A commit of so few that times out has another cause than its size, so it is ignored, and the limit falls no lower.
Commits of 125 pass where MongoDB's cache is the smallest that it can have (docs/growth.md)."""


class TransactionLimit:
    """One for all lanes that commit, which share MongoDB. `conversations_max` is at first `whole`."""

    def __init__(self, whole: int, runtime: RuntimeContext) -> None:
        self.conversations_max = whole
        self._whole = whole
        self._clock = runtime.clock
        self._log = runtime.telemetry.log
        self._timed_out = 0
        self._changed_at = 0.0
        self._wait_s = _WAIT_S_FIRST

    def timed_out(self, conversations: int, *, reason: str) -> None:
        """A commit of so many conversations had no answer within the deadline, `reason` in one line."""
        half = _half_of(conversations)
        # Where another lane timed out first, the limit is low already.
        if conversations <= _CONVERSATIONS_MIN or half >= self.conversations_max:
            return
        if self._timed_out and self.conversations_max > _half_of(self._timed_out):
            self._wait_s = min(self._wait_s * 2, _WAIT_S_MAX)
        self._log.warning(
            "smaller transactions: a commit timed out",
            conversations=half,
            before=self.conversations_max,
            timedOut=conversations,
            reason=reason,
        )
        self._timed_out = conversations
        self._change_to(half)

    def committed(self, conversations: int) -> None:
        """A batch is handled; something was written of so many conversations at once, at most.

        A write conflict may have divided their commit: then a smaller one counts as that of all of them.
        """
        if self._timed_out and conversations >= self._timed_out:
            self._timed_out, self._wait_s = 0, _WAIT_S_FIRST
        if self.conversations_max < self._whole and self._clock.monotonic() - self._changed_at >= self._wait_s:
            self._change_to(min(self.conversations_max * 2, self._whole))
            if self.conversations_max == self._whole:
                self._log.info("transactions whole again", conversations=self._whole)

    def _change_to(self, conversations_max: int) -> None:
        self.conversations_max = conversations_max
        self._changed_at = self._clock.monotonic()


def _half_of(conversations: int) -> int:
    return max(conversations // 2, _CONVERSATIONS_MIN)
