"""The outbox as the publisher and the relay see it: what a transaction left to be announced, until it was.

Entries come into it only by `Store.commit`. Leaves out publishing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from handlers.ports import Announcement


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What is left in the outbox: how many wait, since when the oldest, and how many were set aside."""

    count: int
    oldest: datetime | None
    set_aside: int


class Outbox(Protocol):
    """The entries left to publish. Every call raises `StoreAway` where the store is away, and may be repeated."""

    async def waiting(
        self, older_than: datetime, limit: int, *, skip: int = 0, or_after: datetime | None = None
    ) -> Sequence[Announcement]:
        """At most `limit` (1 or more) entries created before `older_than` (or after `or_after`, by a clock that was
        ahead), oldest first, none that was set aside; the oldest `skip` of them are left out."""
        ...

    async def sent(self, ids: Iterable[str]) -> None:
        """Remove them; one that is gone already is gone."""
        ...

    async def set_aside(self, entry_id: str, reason: str) -> None:
        """Keep it, with the reason, and let it wait no more; nothing happens if it is gone."""
        ...

    async def backlog(self) -> Backlog:
        """What is left now."""
        ...
