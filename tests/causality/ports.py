"""The ports of the exhaustive check: no call waits, and the time does not change."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from msgspec.structs import replace

from handlers.ports import CommitResult, LoadRequest, Pair, Plan, PlanRejected
from tests.causality.outside import NOW
from worker.store.memory.store import MemoryStore

T = TypeVar("T")


class FixedClock:
    """A clock that does not move: no document of a run grows old."""

    def __init__(self, at: datetime = NOW) -> None:
        self.at = at

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return 0.0

    async def sleep(self, seconds: float) -> None:
        """Return at once."""


class AnyIds:
    """Ids of any value, after so many given before. A worker that creates work-items must not give one twice."""

    def __init__(self, given: int = 0) -> None:
        self._given = given

    def new(self) -> str:
        self._given += 1
        return f"{self._given:024x}"


class NoJitter:
    """A conflict is tried again at once."""

    def random(self) -> float:
        return 0.0


class InterruptedStore:
    """A store on which another step happens once, a second worker's commit or an outside write: between the reads of
    the sync state and of the documents, or between the load and the commit."""

    def __init__(self, inner: MemoryStore, happens: Callable[[], None], *, within_load: bool) -> None:
        self._inner = inner
        self._happens: Callable[[], None] | None = happens
        self._within_load = within_load

    async def load(self, requests: Sequence[LoadRequest]) -> Mapping[str, Pair]:
        pairs = await self._inner.load(requests)
        if not self._within_load or self._happens is None:
            return pairs
        self._now()
        return {key: replace(pair, state=pairs[key].state) for key, pair in (await self._inner.load(requests)).items()}

    async def commit(self, plans: Sequence[Plan]) -> Sequence[CommitResult | PlanRejected]:
        self._now()
        return await self._inner.commit(plans)

    def _now(self) -> None:
        happens, self._happens = self._happens, None
        if happens is not None:
            happens()


def run_to_end(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]  # a coroutine's result has no type here
    raise AssertionError("the in-memory store waits for nothing")
