"""The worker's parts, put together in one place, and how they live and end together.

Nothing is read from the environment here and nothing connected: what reaches outside is given.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from msgspec import Struct

from commands.reason import ReasonCode
from handlers.batch_handler import BatchHandler
from handlers.events.event import Event
from handlers.events.parser import Limits
from handlers.options import Options, PolicyInUse
from handlers.outcome import HandledEvent
from handlers.planning.audit_records import failed
from handlers.ports import Chance, Clock, Ids, Store
from worker.consumer.in_flight import InFlight
from worker.consumer.lane_context import LaneContext
from worker.consumer.lanes import Lanes
from worker.consumer.queue_lag import QueueLag
from worker.consumer.receivers import ReceiverContext, Receivers
from worker.consumer.settlement import Settler
from worker.consumer.visibility import VisibilityExtender
from worker.errors import QueueAway
from worker.outbox.publisher import Publisher
from worker.outbox.relay import Relay, Rounds
from worker.ports import SQS_ENTRIES_MAX, MessageQueue, Outbox, QueueFacts, Topics, VisibilityChange, WaitingPairs
from worker.runtime.backoff import JitteredBackoff
from worker.runtime.shutdown_signal import ShutdownSignal
from worker.runtime.store_availability import StoreAvailability
from worker.settings import Settings
from worker.sweeps.gap_poll import GapPoll
from worker.sweeps.state_expiry import StateExpiry
from worker.telemetry.health import Health
from worker.telemetry.metrics import Telemetry

_HAND_BACK_SECONDS_MAX: Final = 5.0


class Adapters(Struct, frozen=True, kw_only=True):
    """What the pipeline reaches outside."""

    queue: MessageQueue
    facts: QueueFacts
    topics: Topics
    store: Store
    outbox: Outbox
    waiting: WaitingPairs
    clock: Clock
    ids: Ids
    chance: Chance


class Pipeline:
    """From the queue through the store and back out to the topics."""

    def __init__(self, *, settings: Settings, outside: Adapters, health: Health, telemetry: Telemetry) -> None:
        self._settings = settings
        self._queue = outside.queue
        self._health = health
        self._telemetry = telemetry
        self._in_flight = InFlight(
            count_max=settings.in_hand_max,
            visibility_timeout_s=outside.facts.visibility_timeout_s,
            clock=outside.clock,
        )
        self._visibility = VisibilityExtender(
            queue=outside.queue, in_flight=self._in_flight, clock=outside.clock, telemetry=telemetry
        )
        call_pause = JitteredBackoff(
            first_seconds=settings.call_retry_first_seconds,
            max_seconds=settings.call_retry_max_seconds,
            chance=outside.chance,
        )
        store_availability = StoreAvailability(clock=outside.clock, health=health, telemetry=telemetry)
        self._lag = QueueLag(outside.clock)
        self._options = Options(
            policy=settings.sync_policy,
            rollout=settings.rollout,
            state_from_events=settings.state_from_events,
            gap_seconds=settings.sync_gap_seconds,
            repair_foreign_syncs=settings.repair_foreign_syncs,
        )
        self._handler = BatchHandler(
            store=outside.store, clock=outside.clock, ids=outside.ids, chance=outside.chance, options=self._options
        )
        self._settler = self._settling(outside, call_pause)
        self._publisher = self._publishing(outside, call_pause)
        self._relay = self._relaying(outside, store_availability)
        self._gap_poll = self._polling(outside, store_availability)
        self._state_expiry = StateExpiry(
            pairs=outside.waiting,
            days=settings.state_days,
            store_availability=store_availability,
            clock=outside.clock,
            chance=outside.chance,
            telemetry=telemetry,
        )
        self._lanes = Lanes(
            count=settings.lanes, batch_max=settings.batch_max, parts=self._lane_context(outside, store_availability)
        )
        self._receivers = Receivers(
            count=settings.receivers,
            parts=ReceiverContext(
                queue=outside.queue,
                in_flight=self._in_flight,
                lanes=self._lanes,
                limits=Limits(bytes_max=settings.event_bytes_max, depth_max=settings.event_depth_max),
                store_availability=store_availability,
                lag=self._lag,
                health=health,
                pause=call_pause,
                clock=outside.clock,
                telemetry=telemetry,
            ),
        )

    def _settling(self, outside: Adapters, pause: JitteredBackoff) -> Settler:
        return Settler(
            queue=outside.queue,
            facts=outside.facts,
            in_flight=self._in_flight,
            clock=outside.clock,
            retry=JitteredBackoff(
                first_seconds=self._settings.retry_first_seconds,
                max_seconds=self._settings.retry_max_seconds,
                chance=outside.chance,
            ),
            pause=pause,
            telemetry=self._telemetry,
        )

    def _publishing(self, outside: Adapters, pause: JitteredBackoff) -> Publisher:
        settings = self._settings
        return Publisher(
            topics=outside.topics,
            arns={
                "conversation": settings.sns_conversation_topic_arn,
                "work-item": settings.sns_work_item_topic_arn,
            },
            outbox=outside.outbox,
            clock=outside.clock,
            pause=pause,
            telemetry=self._telemetry,
            waiting_max=settings.publish_waiting_max,
        )

    def _relaying(self, outside: Adapters, store_availability: StoreAvailability) -> Relay:
        settings = self._settings
        return Relay(
            outbox=outside.outbox,
            publisher=self._publisher,
            rounds=Rounds(interval_seconds=settings.relay_interval_seconds, age_seconds=settings.relay_age_seconds),
            store_availability=store_availability,
            clock=outside.clock,
            chance=outside.chance,
            telemetry=self._telemetry,
        )

    def _polling(self, outside: Adapters, store_availability: StoreAvailability) -> GapPoll:
        return GapPoll(
            pairs=outside.waiting,
            closer=self._handler,
            announcer=self._publisher,
            gap_seconds=self._settings.sync_gap_seconds,
            lag=self._lag,
            store_availability=store_availability,
            clock=outside.clock,
            chance=outside.chance,
            telemetry=self._telemetry,
        )

    def _lane_context(self, outside: Adapters, store_availability: StoreAvailability) -> LaneContext:
        settings, clock, options = self._settings, outside.clock, self._options

        def failed_end(event: Event, error: Exception) -> HandledEvent:
            return failed(event, ReasonCode.UNEXPECTED, type(error).__qualname__, now=clock.now(), options=options)

        return LaneContext(
            handler=self._handler,
            fifo=outside.facts.fifo,
            policy=settings.sync_policy.applied,
            failed=failed_end,
            settler=self._settler,
            announcer=self._publisher,
            store_availability=store_availability,
            lag=self._lag,
            store_pause=JitteredBackoff(
                first_seconds=settings.store_retry_first_seconds,
                max_seconds=settings.store_retry_max_seconds,
                chance=outside.chance,
            ),
            health=self._health,
            clock=clock,
            telemetry=self._telemetry,
        )

    async def run(self, stopping: ShutdownSignal) -> None:
        """Work until asked to stop, then finish in order. A part that dies of a fault in our code ends them all: an
        ExceptionGroup."""
        try:
            async with asyncio.TaskGroup() as tasks:
                services = [tasks.create_task(_endless(name, work)) for name, work in self._services()]
                lanes = tasks.create_task(_endless("lanes", self._lanes.run))
                receivers = tasks.create_task(_endless("receivers", self._receivers.run))
                self._health.mark_healthy("pipelines")
                await stopping.wait_until_requested()
                self._health.mark_unhealthy("pipelines", "stopping")
                await self._finish(receivers, lanes)
                for service in services:
                    service.cancel()
        except BaseExceptionGroup:
            await self._drop()
            raise

    def _services(self) -> Iterator[tuple[str, Callable[[], Awaitable[None]]]]:
        yield "heartbeat", self._visibility.run
        yield "settle", self._settler.run
        yield "publisher", self._publisher.run
        yield "relay", self._relay.run
        yield "forgetting", self._state_expiry.run
        if self._options.policy is PolicyInUse.CAUSAL:
            yield "gap poll", self._gap_poll.run

    async def _finish(self, receivers: "asyncio.Task[None]", lanes: "asyncio.Task[None]") -> None:
        """Receive no more, finish what is in hand, give back what cannot be finished in time, announce the rest."""
        total_seconds = self._settings.shutdown_seconds
        reserve_seconds = min(total_seconds / 4, _HAND_BACK_SECONDS_MAX)
        await self._receivers.stop()
        await _cancelled(receivers)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(total_seconds - reserve_seconds):
                await self._lanes.idle()
        await _cancelled(lanes)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(reserve_seconds):
                left = self._in_flight.messages
                if left:
                    self._telemetry.log.warning("not finished in time, handed back", count=len(left))
                    await self._settler.hand_back(left)
                await self._publisher.idle.wait()

    async def _drop(self) -> None:
        """Give back what is in hand, with what is left of the parts: the queue itself."""
        messages = self._in_flight.messages
        with contextlib.suppress(QueueAway, TimeoutError):
            async with asyncio.timeout(_HAND_BACK_SECONDS_MAX):
                for start in range(0, len(messages), SQS_ENTRIES_MAX):
                    some = messages[start : start + SQS_ENTRIES_MAX]
                    await self._queue.change_visibility_batch(
                        [VisibilityChange(receipt=message.receipt, timeout_s=0) for message in some]
                    )


async def _endless(name: str, work: Callable[[], Awaitable[None]]) -> None:
    await work()
    raise RuntimeError(f"{name} ended by itself")


async def _cancelled(task: "asyncio.Task[None]") -> None:
    task.cancel()
    await asyncio.wait([task])
