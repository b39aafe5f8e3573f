"""Pairs that wait for an event, and states that nobody needs any more: the sync states as the poll sees them.

States are written by `Store.commit` alone. Leaves out deciding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingBacklog:
    """How many pairs have a field that waits, and since when the oldest does."""

    count: int
    oldest: datetime | None


class WaitingPairs(Protocol):
    """Every call raises `StoreAway` where the store is away, and may be repeated."""

    async def waiting_longer(self, than: datetime, limit: int) -> Sequence[str]:
        """The conversations of at most `limit` (1 or more) pairs that wait since before `than`, oldest first."""
        ...

    async def waiting_backlog(self) -> WaitingBacklog:
        """All that wait now."""
        ...

    async def forget(self, before: datetime, limit: int) -> int:
        """Remove the states of at most `limit` (1 or more) pairs that finished before `before`; how many went.

        One that is written meanwhile stays if it is finished no more; if it goes, the writer meets a conflict.
        """
        ...
