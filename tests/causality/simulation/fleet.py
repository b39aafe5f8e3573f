"""The fleet of the simulation: workers that start, crash, are stopped and start again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random

from handlers.options import Options
from handlers.outcome import HandledEvent
from handlers.ports import Plan
from handlers.routing.queue_rules import QueueRules
from tests.causality.ports import AnyIds
from tests.causality.simulation.simulated_queue import SimulatedQueue
from tests.causality.simulation.simulated_worker import SimulatedWorker, WorkerContext
from tests.causality.simulation.tally import SimulationSettings, Tally
from tests.causality.simulation.waits import WaitLog
from tests.causality.simulation.weather import Weather
from tests.causality.virtual_time import VirtualTime
from worker.store.memory.store import MemoryStore


@dataclass(slots=True, kw_only=True)
class SimulatedFleet:
    """All workers of a run. `over`: the run has ended, and the workers end with it."""

    settings: SimulationSettings
    weather: Weather
    random: Random
    time: VirtualTime
    store: MemoryStore
    queue: SimulatedQueue
    options: Options
    ids: AnyIds
    waits: WaitLog
    tally: Tally
    workers: dict[int, SimulatedWorker]
    committed: Callable[[Plan], None]
    handled: Callable[[Sequence[HandledEvent]], None]
    queue_rules: QueueRules | None = None
    over: bool = False

    def start(self) -> None:
        """Start the workers, and what stops them."""
        for number in range(self.weather.workers):
            self._hire(number)
        for window in self.weather.fleet_stopped:
            self.time.begin(self._stop(), after_s=window.begin_s)
            self.time.begin(self._restart(), after_s=window.end_s)

    def _hire(self, number: int) -> None:
        context = WorkerContext(
            number=number,
            settings=self.settings,
            weather=self.weather,
            random=self.random,
            time=self.time,
            store=self.store,
            queue=self.queue,
            options=self.options,
            ids=self.ids,
            waits=self.waits,
            tally=self.tally,
            queue_rules=self.queue_rules,
            committed=self.committed,
            handled=self.handled,
            lowest_watermark=self._lowest_watermark,
            over=lambda: self.over,
            crashed=lambda: self._crashed(number),
        )
        worker = self.workers[number] = SimulatedWorker(context)
        worker.start()

    def _lowest_watermark(self) -> datetime | None:
        """The lowest of the last watermarks of the live workers; None while one of them had none yet."""
        marks = [worker.last_watermark() for worker in self.workers.values() if worker.alive]
        known = [mark for mark in marks if mark is not None]
        return min(known) if known and len(known) == len(marks) else None

    def _crashed(self, number: int) -> None:
        again_s = self.random.random() * self.settings.visibility_s
        self.time.begin(self._replace(number), after_s=again_s)

    async def _replace(self, number: int) -> None:
        """Start a new worker in the place of one that crashed, unless the fleet is stopped."""
        stopped = any(window.holds(self.time.passed_s) for window in self.weather.fleet_stopped)
        if not stopped and not self.workers[number].alive:
            self._hire(number)

    async def _stop(self) -> None:
        for worker in self.workers.values():
            worker.end()

    async def _restart(self) -> None:
        for number in range(self.weather.workers):
            self._hire(number)
