"""The store as one worker of the simulation sees it: behind a network that fails before and after a commit."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from random import Random
from typing import Any, Protocol

from msgspec.structs import replace

from handlers.ports import CommitResult, LoadRequest, Pair, Plan, PlanRejected, StoreAway
from tests.causality.simulation.tally import SimulationSettings, Tally
from worker.store.memory.store import MemoryStore


class StoreUser(Protocol):
    """The worker that calls the store."""

    def store_away(self) -> bool:
        """True during an outage of the store for this worker."""
        ...

    def pause(self) -> Coroutine[Any, Any, None]:
        """Take the time of a part of a call, and stand still where the process does."""
        ...


class ToldStore:
    """A store that never fails. `committed` is called with each committed plan."""

    def __init__(self, inner: MemoryStore, committed: Callable[[Plan], None]) -> None:
        self._inner, self._committed = inner, committed

    async def load(self, requests: Sequence[LoadRequest]) -> Mapping[str, Pair]:
        return await self._inner.load(requests)

    async def commit(self, plans: Sequence[Plan]) -> Sequence[CommitResult | PlanRejected]:
        results = await self._inner.commit(plans)
        for plan, result in zip(plans, results, strict=True):
            if result is CommitResult.COMMITTED:
                self._committed(plan)
        return results


class ShakyStore:
    """A store whose calls take time, so that other calls come in between; some fail before, some after their work.

    `committed` is called with each committed plan.
    """

    def __init__(
        self,
        inner: MemoryStore,
        user: StoreUser,
        *,
        settings: SimulationSettings,
        random: Random,
        tally: Tally,
        committed: Callable[[Plan], None],
    ) -> None:
        self._inner, self._user, self._tally = inner, user, tally
        self._settings, self._random, self._committed = settings, random, committed

    async def load(self, requests: Sequence[LoadRequest]) -> Mapping[str, Pair]:
        await self._user.pause()
        self._fail(self._settings.away_before)
        pairs = await self._inner.load(requests)
        await self._user.pause()
        # The documents are read after the states: other writes may come in between.
        documents = await self._inner.load(requests)
        await self._user.pause()
        return {key: replace(pair, state=pairs[key].state) for key, pair in documents.items()}

    async def commit(self, plans: Sequence[Plan]) -> Sequence[CommitResult | PlanRejected]:
        await self._user.pause()
        self._fail(self._settings.away_before)
        results = await self._inner.commit(plans)
        for plan, result in zip(plans, results, strict=True):
            self._tally.conflicts += result is CommitResult.CONFLICT
            if result is CommitResult.COMMITTED:
                self._committed(plan)
        await self._user.pause()
        self._fail(self._settings.away_after)
        return results

    def _fail(self, chance: float) -> None:
        if self._user.store_away() or self._random.random() < chance:
            self._tally.away += 1
            raise StoreAway("drawn")
