"""The ports of the outbox, every call of which may be repeated, and of the publisher beside it."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Protocol

from msgspec import Struct

from handlers.ports import Announcement


class OutboxBacklog(Struct, frozen=True, kw_only=True):
    """The present number of waiting entries, the creation time of the oldest, and the number of entries set aside."""

    count: int
    oldest: datetime | None
    set_aside: int


class Outbox(Protocol):
    """The announcements that the store's transactions left to be published."""

    async def waiting_entries(
        self, older_than: datetime, limit: int, *, skip: int = 0, or_after: datetime | None = None
    ) -> Sequence[Announcement]:
        """At most `limit` (1 or more) waiting entries, oldest first, without the oldest `skip` of them.

        An entry counts if it was created before `older_than`, or after `or_after`: a writer whose clock was ahead gave
        it a time in the future.
        """
        ...

    async def remove_entries(self, ids: Iterable[str]) -> None:
        """Remove published entries; an id without an entry is ignored."""
        ...

    async def set_aside(self, entry_id: str, reason: str) -> None:
        """Set the entry aside with the reason: it is kept and no longer waits. An id without an entry is ignored."""
        ...

    async def backlog(self) -> OutboxBacklog:
        """The present backlog."""
        ...


class Announcer(Protocol):
    """Publishes the announcements of settled events."""

    def offer(self, announcements: Sequence[Announcement]) -> None:
        """Accept the announcements or leave them to the relay; never waits."""
        ...
