"""The ports of waiting times and of the queues of work-items. Every call may be repeated."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final, Protocol

from msgspec import Struct

LATEST_WAIT_WITHIN: Final = timedelta(days=1)
"""The latest wait of a queue is the one that ended last, if it ended no longer ago than this. A clock that is ahead may
have it end later than now, by as much at most: an event with a time years ahead would hide every other wait."""


class EndedWait(Struct, frozen=True, kw_only=True):
    """A work-item's wait in a queue that has ended (handlers/routing/waiting_times.py)."""

    work_item: str
    ended_at: datetime
    duration_ms: int

    @property
    def seconds(self) -> int:
        """The whole seconds of the wait, rounded down."""
        return self.duration_ms // 1_000


class WaitingTimes(Protocol):
    """The waits of work-items in queues: those that ended, and how many work-items wait now. A queue without any is
    left out of every answer. Of two waits that ended in the same millisecond, the one with the higher id of its record
    ended last."""

    async def latest(self, queue_ids: Sequence[str], *, now: datetime) -> Mapping[str, EndedWait]:
        """By queue: the wait that ended last of those that ended within `LATEST_WAIT_WITHIN` before or after `now`."""
        ...

    async def latest_in(
        self, begin: datetime, end: datetime, *, queue_ids: Sequence[str] | None, org: str | None
    ) -> Mapping[str, EndedWait]:
        """By queue: the wait that ended last from `begin` to `end`, both included.

        `queue_ids` None: every queue in which a wait of the org ended. `org` None: of any org. With both, only the
        waits of that org in those queues.
        """
        ...

    async def waiting(self, queue_ids: Sequence[str]) -> Mapping[str, int]:
        """By queue: how many work-items wait in it now, that is, have the status queued."""
        ...


class QueueDescription(Struct, frozen=True, kw_only=True):
    """A queue's name and org, where its document has them."""

    id: str
    name: str | None = None
    org: str | None = None


class QueueDirectory(Protocol):
    """The queues of work-items, as the service that owns them stores them."""

    async def described(self, queue_ids: Sequence[str]) -> Mapping[str, QueueDescription]:
        """The queues by id; an unknown id is left out."""
        ...

    async def first(self, limit: int) -> Sequence[str]:
        """The ids of at most `limit` queues, the lowest ids first."""
        ...
