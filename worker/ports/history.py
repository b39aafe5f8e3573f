"""The port of a pair's history: what the store still says of its past (docs/explain.md).

| of the past | is kept by | for |
|---|---|---|
| decisions, with what their events changed | `sync_audit`, where `AUDIT_DAYS` is not 0 | `AUDIT_DAYS` |
| timings of the worker's own writes of a work-item | `work_item_revisions` | `REVISION_DAYS` |

Which revisions were observed, and both records as they are now, `handlers.ports.Store.load` returns. The values of
other revisions are in no collection: their events have them, and the log.

Adapters: `worker/mongo/adapters/pair_history.py`, `worker/store/memory/pair_history.py`.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Generic, Protocol, TypeVar

from msgspec import Struct

PAGE_MAX: Final = 500
"""The records of one page."""


class TimeWindow(Struct, frozen=True, kw_only=True):
    """From `begin` to before `end`; None: open."""

    begin: datetime | None = None
    end: datetime | None = None


ALWAYS: Final = TimeWindow()


class PageMark(Struct, frozen=True, kw_only=True):
    """Where the next page begins: behind the record of this time and id."""

    at: datetime
    id: str


class KeptDecision(Struct, frozen=True, kw_only=True):
    """A kept audit record. `record`: as in the audit line, without the line's envelope (docs/events.md)."""

    id: str
    at: datetime
    conversation_id: str
    record: Mapping[str, Any]


class KeptTiming(Struct, frozen=True, kw_only=True):
    """The timings of a work-item's pass through its queue at one revision that the worker wrote."""

    id: str
    at: datetime
    conversation_id: str
    work_item_id: str
    rev: int
    last_revision: Mapping[str, Any]


Kept = TypeVar("Kept", KeptDecision, KeptTiming)


class HistoryPage(Struct, Generic[Kept], frozen=True, kw_only=True):
    """Records, the latest first. `next`: the mark of the next page; None: this is the last one.

    `unreadable`: why records of this page cannot be read, each with its id and field; they are left out.
    """

    records: Sequence[Kept] = ()
    next: PageMark | None = None
    unreadable: Sequence[str] = ()


class PairHistory(Protocol):
    """What the store says of a conversation's past. Each call reads at most `limit` records and raises StoreAway.

    `org` None: of every org. Else a record of another org, or of none, is not found.
    """

    async def decisions(
        self,
        conversation_id: str,
        *,
        org: str | None = None,
        window: TimeWindow = ALWAYS,
        limit: int = PAGE_MAX,
        after: PageMark | None = None,
    ) -> HistoryPage[KeptDecision]:
        """The kept decisions within the window. `after`: the mark of the page before."""
        ...

    async def timings(
        self,
        work_item_ids: Sequence[str],
        *,
        org: str | None = None,
        window: TimeWindow = ALWAYS,
        limit: int = PAGE_MAX,
        after: PageMark | None = None,
    ) -> HistoryPage[KeptTiming]:
        """The kept timings of these work-items within the window. `after`: the mark of the page before."""
        ...
