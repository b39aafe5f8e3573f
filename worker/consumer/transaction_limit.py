"""The transaction limit: how many conversations the lanes commit at once.

A transaction keeps the pages that it changes in MongoDB's cache until it ends. Where they are more than the cache may
hold changed, mongod stalls, and the commit has no answer within the deadline. The same batch would stall it again. So
the limit falls to half of what was tried whenever the store answers a load and then not the commit. An outage in which
the load fails, or in which MongoDB refuses the commit, says nothing about the size: the limit stays.

The limit doubles after a commit of that many conversations, once the store has worked for a minute. If a doubled limit
times out, the next attempt comes after twice that time, and so on up to an hour, because an attempt that fails stops
the lanes for a deadline. The first commit at the whole limit that is as large as the last one that timed out resets the
time to a minute.
"""

from typing import Final

from worker.runtime.context import RuntimeContext

_WORKED_S_FIRST: Final = 60.0
_WORKED_S_MAX: Final = 3_600.0


class TransactionLimit:
    """One for all lanes of the process, which share MongoDB's cache. `conversations_max` is at first `whole`."""

    def __init__(self, whole: int, runtime: RuntimeContext) -> None:
        self.conversations_max = whole
        self._whole = whole
        self._log = runtime.telemetry.log
        self._store_availability = runtime.store_availability
        self._timed_out = 0
        self._worked_s = _WORKED_S_FIRST

    def timed_out(self, conversations: int, *, reason: str) -> None:
        """A commit of so many conversations had no answer within the deadline, `reason` in one line."""
        half = conversations // 2
        # A single conversation cannot be split. Where another lane timed out first, the limit is low already.
        if not half or half >= self.conversations_max:
            return
        has_grown = self.conversations_max > self._timed_out // 2
        if self._timed_out and has_grown:
            self._worked_s = min(self._worked_s * 2, _WORKED_S_MAX)
        self._log.warning(
            "smaller transactions: a commit timed out",
            conversations=half,
            before=self.conversations_max,
            timedOut=conversations,
            reason=reason,
        )
        self._timed_out = conversations
        self.conversations_max = half

    def committed(self, conversations: int) -> None:
        """A batch is committed; its largest commit held so many conversations."""
        if self.conversations_max == self._whole:
            if self._timed_out and conversations >= self._timed_out:
                self._timed_out, self._worked_s = 0, _WORKED_S_FIRST
        elif conversations >= self.conversations_max and self._store_availability.has_worked_for(self._worked_s):
            self.conversations_max = min(self.conversations_max * 2, self._whole)
            if self.conversations_max == self._whole:
                self._log.info("transactions whole again", conversations=self._whole)
