"""The load of a fault run: the services outside and their post, in a thread beside the test that does the harm."""

import asyncio
import threading
import time
from random import Random

from tests.e2e.stage import Stage
from tests.faults.load.event_delivery import EventDelivery
from tests.faults.load.outside_services import OutsideServices

_END_S = 60.0


class Load:
    """Writes from `start` until `stop`, `per_second` of them at most."""

    def __init__(self, stage: Stage, *, uri: str, seed: int, pairs: int, per_second: float) -> None:
        """`uri`: straight to MongoDB. The services outside stand beside the worker, not behind its faults."""
        chance = Random(seed)
        self.delivery = EventDelivery(stage=stage, random=Random(chance.random()))
        self.services = OutsideServices(
            uri=uri,
            database=stage.variables["MONGODB_DATABASE"],
            delivery=self.delivery,
            random=Random(chance.random()),
            per_second=per_second,
            pairs=pairs,
        )
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def published(self) -> int:
        """Messages published so far; raises what the load failed of."""
        if self._failed is not None:
            raise AssertionError("the load itself failed") from self._failed
        return self.delivery.published

    def stop(self) -> None:
        """Write no more; all that was written is published when this returns."""
        self.services.stopping = True
        self._thread.join(_END_S)
        assert not self._thread.is_alive(), f"the load did not end within {_END_S:.0f} s"
        assert self.published > 0

    def abandon(self) -> None:
        """End it where the run has failed: what is written meanwhile counts no more."""
        self.services.stopping = True
        self.delivery.abandoned = True
        if self._thread.is_alive():
            self._thread.join(_END_S)

    def wait_published(self, count: int, *, within_s: float) -> None:
        """Until so many messages are published."""
        deadline = time.monotonic() + within_s
        while self.published < count:
            assert time.monotonic() < deadline, f"{self.published} of {count} messages published within {within_s} s"
            time.sleep(0.05)

    def _run(self) -> None:
        try:
            asyncio.run(self._work())
        except BaseException as error:  # noqa: BLE001 - of another thread: told by `published`
            self._failed = error

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.delivery.run())
            await self.services.run()
            self.delivery.ended = True
