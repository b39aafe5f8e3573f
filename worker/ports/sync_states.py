"""The port of the sync states by age. Every call may be repeated."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct


class WaitingBacklog(Struct, frozen=True, kw_only=True):
    """The number of pairs with a waiting field, and the time since which the oldest waits."""

    count: int
    oldest: datetime | None


class SyncStatesByAge(Protocol):
    """Finds and removes sync states by age: of pairs with a waiting field, and of finished pairs."""

    async def waiting_since_before(self, instant: datetime, limit: int) -> Sequence[str]:
        """The conversation ids of at most `limit` (1 or more) pairs that have waited since before `instant`, oldest
        first."""
        ...

    async def waiting_backlog(self) -> WaitingBacklog:
        """The present backlog of waiting pairs."""
        ...

    async def remove_finished(self, before: datetime, limit: int) -> int:
        """Remove the states of at most `limit` (1 or more) pairs that finished before `before`; returns how many.

        A state that another writer changes meanwhile stays if its pair is no longer finished. If the state is removed
        first, the other writer meets a conflict.
        """
        ...
