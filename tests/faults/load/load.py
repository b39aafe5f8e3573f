"""The load of a fault run: outside services and their events, in a thread beside the test that injects faults."""

import asyncio
import threading
import time
from collections.abc import Callable
from random import Random

from tests.e2e.stage import Stage
from tests.faults.load.event_delivery import EventDelivery
from tests.faults.load.written_pair import LoadServices

_END_S = 60.0


class WriteLoad:
    """Writes from `start` until `stop`."""

    def __init__(self, stage: Stage, *, uri: str, seed: int, services: Callable[..., LoadServices]) -> None:
        """`uri`: MongoDB itself. The outside services do not pass through a proxy of the worker.

        `services` makes them of `uri`, `database`, `delivery` and `random`.
        """
        chance = Random(seed)
        self.delivery = EventDelivery(stage=stage, random=Random(chance.random()))
        self.services = services(
            uri=uri,
            database=stage.variables["MONGODB_DATABASE"],
            delivery=self.delivery,
            random=Random(chance.random()),
        )
        self._failed: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def published(self) -> int:
        """The number of messages published so far. Raises AssertionError where the load itself failed."""
        if self._failed is not None:
            raise AssertionError("the load itself failed") from self._failed
        return self.delivery.published

    def stop(self) -> None:
        """Ends the load. Every write is published when this returns."""
        self.services.stopping = True
        self._thread.join(_END_S)
        assert not self._thread.is_alive(), f"the load did not end within {_END_S:.0f} s"
        assert self.published > 0

    def abandon(self) -> None:
        """Ends the load of a failed run, without publishing the rest."""
        self.services.stopping = True
        self.delivery.abandoned = True
        if self._thread.is_alive():
            self._thread.join(_END_S)

    def wait_published(self, count: int, *, within_s: float) -> None:
        """Waits until `count` messages are published."""
        deadline = time.monotonic() + within_s
        while self.published < count:
            assert time.monotonic() < deadline, f"{self.published} of {count} messages published within {within_s} s"
            time.sleep(0.05)

    def _run(self) -> None:
        try:
            asyncio.run(self._work())
        except BaseException as error:  # noqa: BLE001 - raised again by `published`, in the thread of the test
            self._failed = error

    async def _work(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.delivery.run())
            await self.services.run()
            self.delivery.ended = True
