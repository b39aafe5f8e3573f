"""A store that keeps its callers waiting."""

import asyncio
from collections.abc import Mapping, Sequence

from handlers.ports import LoadRequest, Pair, Store
from tests.handlers.world import WrappedStore


class SlowStore(WrappedStore):
    """A store whose loads wait until `go` is set, and then raise `fault`, where there is one."""

    def __init__(self, inner: Store) -> None:
        super().__init__(inner)
        self.go = asyncio.Event()
        self.waiting = asyncio.Event()
        self.fault: Exception | None = None

    async def load(self, wants: Sequence[LoadRequest]) -> Mapping[str, Pair]:
        self.waiting.set()
        await self.go.wait()
        if self.fault is not None:
            raise self.fault
        return await super().load(wants)
