"""One run of the sweep: over the pairs that were written in a span of time, or over everything, in pages, paced.

A page is loaded, decided and committed like a batch. It works beside the lanes of all workers without locks: the
conditions of the store's writes decide which one wins.
"""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from datetime import datetime
from typing import Final, Protocol, assert_never

from commands.instant import format_instant
from handlers.drift import Drift, DriftClass, DriftEnd, LeftPair, SweepLimits, SweptPair, is_settled
from handlers.ports import Clock, CommitTimeout, LoadRequest
from worker.ports.outbox import Announcer, Outbox
from worker.ports.sweeps import LostItem, PairSweeper, StoredPairs, SweepPosition, SweepStage
from worker.runtime.transaction_limit import TransactionLimit
from worker.runtime.unexpected import UnexpectedError, catch_unexpected

PAGE_SIZE: Final = 200
"""Documents of one page."""
BUSY_SHARE: Final = 0.5
"""The sweep works for this share of the time, so that events find the database free."""
_PAUSE_S_MAX: Final = 5.0
_TOLD_MAX: Final = 100_000
"""Pairs that one sweep remembers to have told, so that it tells a pair once although it meets it in several stages."""


GoesOn = Callable[[], Awaitable[bool]]


async def _always() -> bool:
    return True


class SweepObserver(Protocol):
    """Takes what a run finds."""

    def swept(self, pairs: Sequence[SweptPair]) -> None:
        """These pairs had drift."""
        ...

    def looked_at(self, count: int) -> None:
        """One page of so many pairs is done."""
        ...

    def left_alone(self, pairs: Sequence[LeftPair]) -> None:
        """These pairs differ and were not judged. One may come again at another stage of a full sweep."""
        ...

    def unexpected(self, conversation_ids: Sequence[str], unexpected: UnexpectedError) -> None:
        """The page met an error in our code."""
        ...

    def smaller(self, repairs_max: int, *, timed_out: int) -> None:
        """So many repairs at once had no answer in time: the page is swept again, with `repairs_max` at once."""
        ...


class SweepRun:
    """Sweeps pages of pairs. Between its calls it keeps the pairs of which it has told."""

    def __init__(
        self,
        *,
        pairs: StoredPairs,
        sweeper: PairSweeper,
        outbox: Outbox,
        announcer: Announcer | None,
        observer: SweepObserver,
        clock: Clock,
        busy_share: float = BUSY_SHARE,
    ) -> None:
        """`announcer` None: the announcements are left to the relays."""
        self._pairs = pairs
        self._sweeper = sweeper
        self._outbox = outbox
        self._announcer = announcer
        self._observer = observer
        self._clock = clock
        self._pause_ratio = (1 - busy_share) / busy_share
        self._limit = TransactionLimit(PAGE_SIZE, clock)
        self._told: set[str | None] = set()

    async def sweep_written(
        self, since: datetime, until: datetime, limits: SweepLimits, *, in_ivr: bool = False, goes_on: GoesOn = _always
    ) -> bool:
        """Sweep the pairs of which a document was written in this time; `in_ivr`: only those in ivr.

        `goes_on` is asked after each page; returns False where it ended the sweep. Raises StoreAway.
        """
        self._told.clear()
        async with aclosing(self._pairs.written_between(since, until, in_ivr=in_ivr)) as pages:
            async for page in pages:
                await self._sweep_paced(page, limits)
                if not await goes_on():
                    return False
        return True

    async def sweep_page(self, position: SweepPosition, limits: SweepLimits) -> SweepPosition | None:
        """Sweep the page behind this position of a full sweep; the position after it, None at the end. Raises
        StoreAway."""
        if position == SweepPosition():
            self._told.clear()
        began = self._clock.monotonic()
        page = await self._pairs.page_after(position, PAGE_SIZE)
        await self._sweep(page.requests, limits)
        if page.lost:
            self._observer.swept([_told_of_lost(each) for each in page.lost])
        await self._pause(began)
        if page.last is not None:
            return SweepPosition(stage=position.stage, after=page.last)
        following = _following(position.stage)
        return None if following is None else SweepPosition(stage=following)

    async def look_at_outbox(self, watermark: datetime) -> None:
        """Tell of announcements that have waited since before the watermark, and of those that were set aside."""
        backlog = await self._outbox.backlog()
        is_left = backlog.oldest is not None and backlog.oldest < watermark
        if not is_left and not backlog.set_aside:
            return
        waiting = f"{backlog.count} wait" if is_left else "none waits for long"
        drift = Drift(
            kind=DriftClass.LEFT_IN_OUTBOX,
            end=DriftEnd.TOLD,
            conversation_id=None,
            since=backlog.oldest if is_left else None,
            detail=f"{waiting}, {backlog.set_aside} are set aside",
        )
        self._observer.swept([SweptPair(drift=drift)])

    async def _sweep_paced(self, page: Sequence[LoadRequest], limits: SweepLimits) -> None:
        began = self._clock.monotonic()
        await self._sweep(page, limits)
        await self._pause(began)

    async def _sweep(self, page: Sequence[LoadRequest], limits: SweepLimits) -> None:
        while page and await self._is_to_be_swept_again(page, limits):
            # With fewer repairs at once: the next round would begin with the same page.
            pass

    async def _is_to_be_swept_again(self, page: Sequence[LoadRequest], limits: SweepLimits) -> bool:
        """Sweep the page; returns whether the store was too slow for so many repairs at once. Raises StoreAway."""
        repairs_max = self._limit.conversations_max
        try:
            done = await catch_unexpected(
                self._sweeper.sweep_pairs(page, limits, repairs_max=repairs_max, took=self._take)
            )
        except CommitTimeout as timeout:
            if not self._limit.timed_out(timeout.conversations, began_with=repairs_max):
                raise
            self._observer.smaller(self._limit.conversations_max, timed_out=timeout.conversations)
            return True
        if isinstance(done, UnexpectedError):
            self._observer.unexpected([request.conversation_id for request in page], done)
            # Each pair alone, so that only the pair with the error is left.
            for request in page if len(page) > 1 else ():
                await self._sweep([request], limits)
            return False
        self._observer.looked_at(len(page))
        if done.left_alone:
            self._observer.left_alone(done.left_alone)
        if done.repairs:
            self._limit.handled()
        return False

    def _take(self, pairs: Sequence[SweptPair]) -> None:
        """Tell of what one commit did, before the next: a stop loses nothing of it. The audit lines are written before
        the events are published, so a kill in between loses none of them."""
        self._observer.swept([pair for pair in pairs if self._is_news(pair)])
        if self._announcer is not None:
            self._announcer.offer([each for pair in pairs for each in pair.announcements])

    def _is_news(self, pair: SweptPair) -> bool:
        """Whether the sweep has not told of this pair before. What it did is always news."""
        conversation_id = pair.drift.conversation_id
        if is_settled(pair.drift.end):
            return True
        is_new = conversation_id not in self._told
        if len(self._told) < _TOLD_MAX:
            self._told.add(conversation_id)
        return is_new

    async def _pause(self, began: float) -> None:
        busy_s = self._clock.monotonic() - began
        await self._clock.sleep(min(busy_s * self._pause_ratio, _PAUSE_S_MAX))


def _told_of_lost(lost: LostItem) -> SweptPair:
    drift = Drift(
        kind=DriftClass.SESSION_PLACE,
        end=DriftEnd.TOLD,
        conversation_id=None,
        work_item_id=lost.work_item_id,
        detail=f"the session {lost.session_id} of {lost.user} holds it, and the store has no such work-item",
    )
    return SweptPair(drift=drift)


def shown_position(position: SweepPosition) -> str:
    """The position in words, for a person."""
    return position.stage.value if position.after is None else f"{position.stage.value} after {position.after}"


def shown_time(instant: datetime | None) -> str | None:
    """The time as text; None for none."""
    return None if instant is None else format_instant(instant)


def _following(stage: SweepStage) -> SweepStage | None:
    match stage:
        case SweepStage.CONVERSATIONS:
            return SweepStage.WORK_ITEMS
        case SweepStage.WORK_ITEMS:
            return SweepStage.SESSIONS
        case SweepStage.SESSIONS:
            return None
        case _:
            assert_never(stage)
