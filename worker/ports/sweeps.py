"""The ports of the drift sweep: what is stored, by time of writing and by id, and what the fleet keeps for the sweep.

| port | adapter | raises |
|---|---|---|
| `StoredPairs` | `mongo/adapters/stored_pairs.py`, `store/memory/stored_pairs.py` | `StoreAway` |
| `SweepFleet` | `mongo/adapters/fleet.py`, `store/memory/fleet.py` | `StoreAway` |
| `PairSweeper` | `handlers/batch_handler.py` | `StoreAway` |
"""

from collections.abc import AsyncGenerator, Callable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from msgspec import Struct

from handlers.drift import SweepLimits, SweptPage, SweptPair
from handlers.ports import LoadRequest


class SweepStage(StrEnum):
    """The stages of a full sweep, in their order."""

    CONVERSATIONS = "conversations"
    """The pairs of all conversations."""
    WORK_ITEMS = "work-items"
    """The pairs that have no conversation, or a completed work-item that the sync state does not know."""
    SESSIONS = "sessions"
    """The pairs of the work-items that active sessions hold."""


class SweepPosition(Struct, frozen=True, kw_only=True):
    """How far a full sweep has come: the stage, and the last key of it that was swept; None: none yet."""

    stage: SweepStage = SweepStage.CONVERSATIONS
    after: str | None = None


class SweepBookmark(Struct, frozen=True, kw_only=True):
    """What the fleet has swept.

    - `written_until`: every document that was written before it; None: no sweep by time of writing has ended yet.
    - `full_ended_at`: the end of the last full sweep, by the database's clock; None: none has ended.
    - `position`: how far the full sweep under way has come; None: none is under way.
    """

    written_until: datetime | None = None
    full_ended_at: datetime | None = None
    position: SweepPosition | None = None


class FleetWatermark(Struct, frozen=True, kw_only=True):
    """The number of live workers, and the lowest of their watermarks; None: there is no worker, or one has none.

    `now`: the time by the database's clock.
    """

    workers: int
    lowest: datetime | None
    now: datetime


class LostItem(Struct, frozen=True, kw_only=True):
    """An active session of this user holds a work-item that is not stored."""

    work_item_id: str
    session_id: str
    user: str


class StoredPage(Struct, frozen=True, kw_only=True):
    """A page of a stage: what to load, and the last key; None: the stage ends here. `lost`: in the order of the ids."""

    requests: Sequence[LoadRequest]
    last: str | None
    lost: tuple[LostItem, ...] = ()


class StoredPairs(Protocol):
    """The pairs in the store, found by their documents. Each page asks for a conversation once."""

    def written_between(
        self, since: datetime, until: datetime, *, in_ivr: bool = False
    ) -> AsyncGenerator[Sequence[LoadRequest], None]:
        """Pages of the pairs of which a document has a time of writing from `since` to before `until`, in any order.

        A time is a date, or ISO text in UTC; a text in another zone may be missed. `in_ivr`: only active work-items
        in ivr.
        """
        ...

    async def page_after(self, position: SweepPosition, limit: int) -> StoredPage:
        """The next page of the position's stage, of about `limit` documents, in the order of the keys."""
        ...


class SweepFleet(Protocol):
    """What the workers of one deployment keep for the sweep. Lifetimes are by the database's clock."""

    async def leave_watermark(self, holder: str, watermark: datetime | None, seconds: float) -> None:
        """Note that the worker `holder` lives for the next `seconds`, with this watermark; None: it has none."""
        ...

    async def fleet_watermark(self) -> FleetWatermark:
        """The live workers and their lowest watermark."""
        ...

    async def first_start(self) -> datetime | None:
        """When the first worker of the deployment started; None: none has started yet."""
        ...

    async def sweep_bookmark(self) -> SweepBookmark:
        """The bookmark that was kept last; an empty one before."""
        ...

    async def keep_sweep_bookmark(self, bookmark: SweepBookmark) -> None:
        """Keep the bookmark. Two sweeps at once may each keep its own: what it says was swept."""
        ...


class PairSweeper(Protocol):
    """Looks for drift in pairs and repairs it."""

    async def sweep_pairs(
        self,
        requests: Sequence[LoadRequest],
        limits: SweepLimits,
        *,
        repairs_max: int | None,
        took: Callable[[Sequence[SweptPair]], None],
    ) -> SweptPage:
        """The pairs with drift, and those that differ and were left alone. `repairs_max`: how many repairs are
        committed at once. `took` gets the pairs with drift of each commit. Raises CommitTimeout where fewer repairs at
        once may succeed."""
        ...
