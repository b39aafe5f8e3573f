"""One worker of the simulation: the worker's own handlers, watermark and in-flight registry, with clocks of its own.

A receiver, a lane, the poll, the sweep and the watermark's look run side by side, as in the pipeline.
"""

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from io import BytesIO
from random import Random
from typing import Final

from handlers.batch_handler import BatchHandler
from handlers.drift import DriftEnd, SweepLimits
from handlers.options import FIRST_SIGHT_GAPS, Options
from handlers.outcome import HandledEvent, Retry
from handlers.planning.event_batch import EventBatch
from handlers.ports import LoadRequest, Plan, StoreAway
from handlers.routing.queue_rules import QueueRules
from tests.causality.ports import AnyIds
from tests.causality.simulation.shaky_store import ShakyStore
from tests.causality.simulation.simulated_queue import SimulatedMessage, SimulatedQueue
from tests.causality.simulation.tally import SimulationSettings, Tally
from tests.causality.simulation.waits import WaitLog
from tests.causality.simulation.weather import Trouble, Weather
from tests.causality.virtual_time import VirtualTime
from worker.consumer.in_flight import InFlight
from worker.consumer.watermark import QueueWatermark
from worker.ports.message_queue import Message, ReceiveResponse
from worker.runtime.context import RuntimeContext
from worker.store.documents import Collection
from worker.store.memory.store import MemoryStore
from worker.telemetry.health import Health
from worker.telemetry.logs import LogIdentity, open_log
from worker.telemetry.metrics import NoMetrics, Telemetry

POLL_S: Final = 15.0
"""Between two rounds of the poll."""
_SWEEP_S: Final = 40.0
_LOOK_S: Final = 5.0
_RECEIVE_MAX: Final = 10


@dataclass(slots=True)
class WorkerClock:
    """A worker's clock: its wall clock is wrong by so much, its monotonic clock is right."""

    time: VirtualTime
    wrong_by: timedelta

    def now(self) -> datetime:
        return self.time.now() + self.wrong_by

    def monotonic(self) -> float:
        return self.time.passed_s

    async def sleep(self, seconds: float) -> None:
        await self.time.sleep(seconds)


@dataclass(slots=True, kw_only=True)
class WorkerContext:
    """What the worker with this number needs of its run. `lowest_watermark`: of the fleet. `over`: whether the run has
    ended. `committed` is told each committed plan, `handled` each batch's endings, and `crashed` that the worker
    crashed."""

    number: int
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
    queue_rules: QueueRules | None
    committed: Callable[[Plan], None]
    handled: Callable[[Sequence[HandledEvent]], None]
    lowest_watermark: Callable[[], datetime | None]
    over: Callable[[], bool]
    crashed: Callable[[], None]


class SimulatedWorker:
    """A process. Its messages come again after their visibility timeout once it has ended."""

    def __init__(self, context: WorkerContext) -> None:
        self._context = context
        self._settings, self._time, self._queue = context.settings, context.time, context.queue
        self.alive = True
        self._sleeps_until_s = 0.0
        self._store_is_away = False
        self._received: list[SimulatedMessage] = []
        self._inbox: list[SimulatedMessage] = []
        self._handled: list[SimulatedMessage] = []
        wrong_s = context.weather.worker_clock_s
        clock = WorkerClock(context.time, timedelta(seconds=context.random.uniform(-wrong_s, wrong_s)))
        self._in_flight = InFlight(
            count_max=10_000,
            bytes_max=1_000_000_000,
            visibility_timeout_s=int(context.settings.visibility_s),
            clock=clock,
        )
        self.watermark = QueueWatermark(
            gap_s=context.settings.gap_s, in_flight=self._in_flight, runtime=_runtime(clock, context.random)
        )
        self._last_watermark: datetime | None = None
        store = ShakyStore(
            context.store,
            self,
            settings=context.settings,
            random=context.random,
            tally=context.tally,
            committed=context.committed,
        )
        self._handler = BatchHandler(
            store=store,
            clock=clock,
            queue_clock=self.watermark,
            ids=context.ids,
            chance=context.random,
            options=context.options,
            queue_rules=context.queue_rules,
        )

    def last_watermark(self) -> datetime | None:
        """The watermark that it leaves for the sweep: the present one, or the last one."""
        self._last_watermark = self.watermark.current() or self._last_watermark
        return self._last_watermark

    def start(self) -> None:
        """Start its parts."""
        self._time.begin(self._lane(), crashed=self._crashes)
        for part in (self._receiver(), self._poll(), self._sweep(), self._looks()):
            self._time.begin(part, crashed=lambda: not self.alive)

    def end(self) -> None:
        """End the process."""
        if self.alive:
            self.alive = False
            self._queue.give_back(self._held)

    @property
    def _held(self) -> list[SimulatedMessage]:
        return [*self._received, *self._inbox, *self._handled]

    # Standing still, and crashing

    def store_away(self) -> bool:
        return self._context.weather.store_is_away(self._context.number, self._time.passed_s)

    async def pause(self) -> None:
        await self._time.sleep(self._context.random.random() * self._settings.call_s)
        if self._draws(Trouble.SLEEPS, self._settings.sleep) and self._queue.may_be_hidden(self._held):
            # A process that stands still does not extend the visibility of its messages.
            self._context.tally.sleeps += 1
            self._queue.give_back(self._held)
            self._sleeps_until_s = self._time.passed_s + self._context.random.uniform(5, 3 * self._settings.gap_s)
        await self._awake()

    async def _awake(self) -> None:
        while self._sleeps_until_s > self._time.passed_s:
            await self._time.sleep(self._sleeps_until_s - self._time.passed_s)

    def _draws(self, trouble: Trouble, chance: float) -> bool:
        weather = self._context.weather
        calm = self._time.passed_s >= weather.calm_from_s
        return not calm and weather.has(trouble) and self._context.random.random() < chance

    def _crashes(self) -> bool:
        """Draw whether the worker crashes now."""
        if not self.alive:
            return True
        if not self._draws(Trouble.CRASHES, self._settings.crash) or not self._queue.may_be_hidden(self._held):
            return False
        self._context.tally.crashes += 1
        self.end()
        self._context.crashed()
        return True

    # Receiving

    async def _receiver(self) -> None:
        while not self._context.over():
            await self._awake()
            if self._store_is_away:
                await self._time.sleep(0.5)
                continue
            await self._in_flight.reserve(_RECEIVE_MAX)
            began_at = self.watermark.call_began()
            messages = await self._queue.receive(self._context.random.randint(1, _RECEIVE_MAX))
            self._received = messages or []
            if self._sleeps_until_s > self._time.passed_s:
                # The response waits for a process that stands still, and SQS shows the messages to others in time.
                self._queue.give_back(self._received)
            await self._awake()
            if messages is None:
                await self._in_flight.cancel_reservation(_RECEIVE_MAX)
                self.watermark.call_ended(began_at, None)
                await self._time.sleep(1 + self._context.random.random())
                continue
            received = [self._delivery(message) for message in messages]
            await self._in_flight.add(received, reserved=_RECEIVE_MAX)
            response = ReceiveResponse(messages=received, date=self._queue_date())
            self.watermark.call_ended(began_at, response)
            self._received = []
            self._inbox += messages

    def _delivery(self, message: SimulatedMessage) -> Message:
        now = self._time.now()
        return Message(
            id=message.id,
            receipt=message.id,
            body="",
            attributes={},
            receive_count=message.receives,
            sent_at=message.sent_at or now,
            received_at=now,
        )

    def _queue_date(self) -> datetime:
        return self._time.now().astimezone(UTC).replace(microsecond=0)

    # Handling

    async def _lane(self) -> None:
        while not self._context.over():
            await self._awake()
            if not self._inbox:
                await self._time.sleep(0.3 + 0.6 * self._context.random.random())
                continue
            most = self._context.random.randint(1, self._settings.batch_max)
            self._handled, self._inbox = self._inbox[:most], self._inbox[most:]
            await self._handle()

    async def _handle(self) -> None:
        """Handle a batch; each message is deleted, or visible again, afterwards."""
        messages = {id(message.event): message for message in self._handled}
        events = [message.event for message in self._handled if message.event is not None]
        self._context.tally.deliveries += len(events)
        batch = EventBatch(events)
        began_s = self._time.passed_s
        while batch.open:
            try:
                await self._handler.handle_batch(batch)
                for contended in batch.open_by_conversation().values():
                    batch.end(await self._handler.handle_contended(contended))
                self._store_is_away = False
            except StoreAway:
                self._store_is_away = True
                await self._time.sleep(1)
                if self.store_away() and self._time.passed_s - began_s > self._settings.gap_s / 2:
                    break
        self._context.handled(batch.handled)
        again = [messages[id(event)] for event in batch.open]
        retried = [messages[id(one.event)] for one in batch.handled if isinstance(one.outcome, Retry)]
        done = [message for message in self._handled if message not in again and message not in retried]
        # Deleting the messages is a step of its own: after a crash before it the events come again.
        await self._time.sleep(0.01)
        self._queue.delete(done)
        await self._hand_back(retried, after_s=1 + self._context.random.random())
        await self._hand_back(again, after_s=0)
        await self._in_flight.release([message.id for message in done])
        self._handled = []
        await self._store_back()

    async def _store_back(self) -> None:
        """During an outage of the store, hand back what waits, once, and wait for its end."""
        if self._store_is_away and self.store_away():
            waiting, self._inbox = self._inbox, []
            await self._hand_back(waiting, after_s=0)
            while self.store_away():
                await self._time.sleep(1)
        self._store_is_away = False

    async def _hand_back(self, messages: list[SimulatedMessage], *, after_s: float) -> None:
        self._queue.give_back(messages, after_s=after_s)
        await self._in_flight.release([message.id for message in messages])

    # The poll and the watermark

    async def _poll(self) -> None:
        while not self._context.over():
            await self._time.sleep(POLL_S * (0.5 + self._context.random.random()))
            await self._awake()
            watermark = self.watermark.current()
            if watermark is not None:
                waiting = await self._context.store.waiting_since_before(watermark, 1_000)
                began = self._context.waits.began()
                with contextlib.suppress(StoreAway):
                    self._context.tally.closed += len((await self._handler.close_gaps(waiting, watermark)).pairs)
                    self._context.waits.polled(waiting, began)

    async def _sweep(self) -> None:
        """Sweep everything while the weather lasts, by the documents' times of writing, whose clocks may be wrong."""
        while self._time.passed_s < self._context.weather.calm_from_s:
            await self._time.sleep(_SWEEP_S * (0.5 + self._context.random.random()))
            await self._awake()
            watermark = self._context.lowest_watermark()
            if watermark is None or self._time.passed_s >= self._context.weather.calm_from_s:
                continue
            certain = timedelta(seconds=FIRST_SIGHT_GAPS * self._settings.gap_s)
            limits = SweepLimits(watermark=watermark, certain_before=watermark - certain, repair=True)
            documents = self._context.store.documents(Collection.CONVERSATIONS)
            requests = [LoadRequest(conversation_id=each["_id"]) for each in documents]
            with contextlib.suppress(StoreAway):
                page = await self._handler.sweep_pairs(requests, limits)
                waits = [each for each in page.pairs if each.drift.end is DriftEnd.WAITS]
                self._context.tally.swept_waits += len(waits)
                self._context.tally.swept_early += len(page.pairs) - len(waits)

    async def _looks(self) -> None:
        while not self._context.over():
            await self._time.sleep(_LOOK_S)
            await self._awake()
            self.watermark.look()
            self.last_watermark()


def _runtime(clock: WorkerClock, chance: Random) -> RuntimeContext:
    log = open_log(level="error", identity=LogIdentity(), clock=clock, to=BytesIO())
    telemetry = Telemetry(metrics=NoMetrics(), log=log)
    health = Health(clock=clock, silence_s_max=90)
    return RuntimeContext.create(clock=clock, chance=chance, telemetry=telemetry, health=health)
