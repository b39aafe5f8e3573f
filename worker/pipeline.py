"""The pipeline: makes the parts of the worker from the settings and the adapters, runs them, and shuts them down.

It opens no connection and reads no environment variable: `process.py` does both. The shutdown after a stop signal:

1. No more heartbeats are published. The receivers start no more calls. Calls younger than 1 s may still end; then the
   receivers are cancelled.
2. The lanes finish the messages in flight, for 3/4 of SHUTDOWN_SECONDS (all but 5 s of it, if that is longer). Then the
   lanes are cancelled.
3. In the rest of SHUTDOWN_SECONDS the messages that are left are handed back to the queue, and the publisher publishes
   the announcements that wait. The outbox keeps an announcement for which the time is too short.
4. The services (`_services`) are cancelled, the last report says that the worker has stopped, and `process.py` closes
   the clients.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from datetime import datetime
from typing import Final

from msgspec import Struct

from commands.reason import ReasonCode
from handlers.batch_handler import BatchHandler
from handlers.events.envelope import Limits
from handlers.events.event import Event
from handlers.options import Options, PlanningContext, PolicyInUse
from handlers.outcome import HandledEvent
from handlers.planning.endings import failed_ending
from handlers.ports import Ids, Store
from handlers.routing.queue_rules import QueueRules
from worker.consumer.in_flight import InFlight
from worker.consumer.lane_context import LaneContext
from worker.consumer.lanes import Lanes
from worker.consumer.receivers import ReceiverContext, Receivers
from worker.consumer.settlement import Settler
from worker.consumer.visibility import VisibilityExtender
from worker.consumer.watermark import QueueWatermark
from worker.errors import QueueAway
from worker.outbox.heartbeat import Heartbeat
from worker.outbox.publisher import Publisher
from worker.outbox.relay import Relay, RelaySchedule
from worker.ports.fleet import Fleet
from worker.ports.message_queue import SQS_ENTRIES_MAX, MessageQueue, QueueAttributes, VisibilityChange
from worker.ports.outbox import Outbox
from worker.ports.status import StatusBoard
from worker.ports.sweeps import StoredPairs, SweepFleet
from worker.ports.sync_states import SyncStatesByAge
from worker.ports.topics import DeliveryInspection, Topics
from worker.ports.waiting_times import QueueDirectory, WaitingTimes
from worker.runtime.backoff import JitteredBackoff
from worker.runtime.cached_queue_rules import CachedQueueRules
from worker.runtime.context import RuntimeContext
from worker.runtime.shutdown_signal import ShutdownSignal
from worker.settings.settings import Settings
from worker.sweeps.delivery_watch import DeliveryWatch
from worker.sweeps.drift.drift_sweep import drift_sweep
from worker.sweeps.drift.watermark_report import WatermarkReport
from worker.sweeps.gap_poll import GapPoll
from worker.sweeps.queue_metrics import QueueMetrics
from worker.sweeps.state_expiry import StateExpiry
from worker.sweeps.status_report import StatusReporter

HEARTBEAT: Final = "heartbeat"
"""The name of the service that publishes heartbeats."""
_HAND_BACK_S_MAX: Final = 5.0


class Adapters(Struct, frozen=True, kw_only=True):
    """The pipeline's connections to SQS, SNS and MongoDB, and its source of ids.

    `deployed_at` is what `fleet.started_at` returned; None: unknown. `worker`: the name of this process in its reports.
    `queue_rules` None: there are none. `delivery` None: it is not watched.
    """

    queue: MessageQueue
    queue_attributes: QueueAttributes
    topics: Topics
    store: Store
    outbox: Outbox
    sync_states: SyncStatesByAge
    fleet: Fleet
    status_board: StatusBoard
    worker: str
    sweep_fleet: SweepFleet
    stored_pairs: StoredPairs
    deployed_at: datetime | None
    ids: Ids
    queues: QueueDirectory
    waiting_times: WaitingTimes
    queue_rules: QueueRules | None = None
    delivery: DeliveryInspection | None = None


class Pipeline:
    """All parts of the worker, from the queue through the store to the topics. A pipeline runs once."""

    def __init__(self, *, settings: Settings, adapters: Adapters, runtime: RuntimeContext) -> None:
        self._settings = settings
        self._queue = adapters.queue
        self._ids = adapters.ids
        self._runtime = runtime
        self._options = Options(
            policy=settings.sync_policy,
            rollout=settings.rollout,
            state_from_events=settings.state_from_events,
            waiting_times=settings.waiting_times,
            gap_seconds=settings.sync_gap_seconds,
            ivr_seconds=settings.ivr_seconds,
            deployed_at=adapters.deployed_at,
            create_work_items=settings.create_work_items,
            unassign_on_unavailable=settings.unassign_on_unavailable,
            queue_rules=settings.queue_rules,
            keeps_audit=settings.audit_days > 0,
        )
        self._call_pause = self._backoff(settings.call_retry_first_seconds, settings.call_retry_max_seconds)
        self._in_flight = InFlight(
            count_max=settings.in_hand_max,
            bytes_max=settings.in_hand_bytes_max,
            visibility_timeout_s=adapters.queue_attributes.visibility_timeout_s,
            clock=runtime.clock,
        )
        self._watermark = QueueWatermark(gap_s=settings.sync_gap_seconds, in_flight=self._in_flight, runtime=runtime)
        self._handler = BatchHandler(
            store=adapters.store,
            clock=runtime.clock,
            queue_clock=self._watermark,
            ids=adapters.ids,
            chance=runtime.chance,
            options=self._options,
            queue_rules=self._cached_queue_rules(adapters.queue_rules),
        )
        self._extender = VisibilityExtender(
            queue=adapters.queue,
            queue_attributes=adapters.queue_attributes,
            in_flight=self._in_flight,
            gap_s=settings.sync_gap_seconds,
            runtime=runtime,
        )
        self._make_outbox_parts(adapters)
        self._make_sweeps(adapters)
        self._make_consumer(adapters)

    def _cached_queue_rules(self, stored: QueueRules | None) -> QueueRules | None:
        if stored is None:
            return None
        runtime = self._runtime
        return CachedQueueRules(
            stored, seconds=self._settings.rules_seconds, clock=runtime.clock, telemetry=runtime.telemetry
        )

    def _make_outbox_parts(self, adapters: Adapters) -> None:
        settings = self._settings
        self._publisher = Publisher(
            topics=adapters.topics,
            arns={"conversation": settings.sns_conversation_topic_arn, "work-item": settings.sns_work_item_topic_arn},
            outbox=adapters.outbox,
            pause=self._call_pause,
            waiting_max=settings.publish_waiting_max,
            runtime=self._runtime,
        )
        self._relay = Relay(
            outbox=adapters.outbox,
            publisher=self._publisher,
            schedule=RelaySchedule(interval_s=settings.relay_interval_seconds, age_s=settings.relay_age_seconds),
            runtime=self._runtime,
        )
        self._heartbeat = Heartbeat(
            fleet=adapters.fleet,
            topics=adapters.topics,
            arn=settings.sns_conversation_topic_arn,
            ids=adapters.ids,
            interval_s=settings.heartbeat_seconds,
            runtime=self._runtime,
        )

    def _make_sweeps(self, adapters: Adapters) -> None:
        self._gap_poll = GapPoll(
            states=adapters.sync_states,
            closer=self._handler,
            announcer=self._publisher,
            watermark=self._watermark,
            queue_clock=self._watermark,
            gap_s=self._settings.sync_gap_seconds,
            runtime=self._runtime,
        )
        self._state_expiry = StateExpiry(
            states=adapters.sync_states, days=self._settings.state_days, runtime=self._runtime
        )
        self._queue_metrics = QueueMetrics(
            fleet=adapters.fleet,
            queues=adapters.queues,
            waiting_times=adapters.waiting_times,
            queues_max=self._settings.queue_metrics_max,
            ids=adapters.ids,
            runtime=self._runtime,
        )
        self._delivery_watch = (
            None if adapters.delivery is None else DeliveryWatch(delivery=adapters.delivery, runtime=self._runtime)
        )
        self._status_reporter = StatusReporter(
            board=adapters.status_board,
            worker=adapters.worker,
            interval_s=self._settings.status_seconds,
            runtime=self._runtime,
        )

        self._watermark_report = WatermarkReport(
            fleet=adapters.sweep_fleet, watermark=self._watermark, ids=adapters.ids, runtime=self._runtime
        )
        self._drift_sweep = drift_sweep(
            self._settings,
            pairs=adapters.stored_pairs,
            sweeper=self._handler,
            outbox=adapters.outbox,
            announcer=self._publisher,
            fleet=adapters.fleet,
            bookmarks=adapters.sweep_fleet,
            ids=adapters.ids,
            runtime=self._runtime,
        )

    def _make_consumer(self, adapters: Adapters) -> None:
        settings = self._settings
        self._settler = Settler(
            queue=adapters.queue,
            queue_attributes=adapters.queue_attributes,
            in_flight=self._in_flight,
            retry=self._backoff(settings.retry_first_seconds, settings.retry_max_seconds),
            pause=self._call_pause,
            runtime=self._runtime,
        )
        lane_context = LaneContext(
            handler=self._handler,
            fifo=adapters.queue_attributes.fifo,
            policy=settings.sync_policy.applied,
            failed=self._failed,
            in_flight=self._in_flight,
            settler=self._settler,
            announcer=self._publisher,
            store_pause=self._backoff(settings.store_retry_first_seconds, settings.store_retry_max_seconds),
            runtime=self._runtime,
        )
        self._lanes = Lanes(count=settings.lanes, batch_max=settings.batch_max, context=lane_context)
        receiver_context = ReceiverContext(
            queue=adapters.queue,
            in_flight=self._in_flight,
            lanes=self._lanes,
            limits=Limits(bytes_max=settings.event_bytes_max, depth_max=settings.event_depth_max),
            watermark=self._watermark,
            pause=self._call_pause,
            runtime=self._runtime,
        )
        self._receivers = Receivers(count=settings.receivers, context=receiver_context)

    def _backoff(self, first_s: float, max_s: float) -> JitteredBackoff:
        return JitteredBackoff(first_s=first_s, max_s=max_s, chance=self._runtime.chance)

    def _failed(self, event: Event, error: Exception) -> HandledEvent:
        planning = PlanningContext(
            now=self._runtime.clock.now(), queue_now=self._watermark.now(), ids=self._ids, options=self._options
        )
        return failed_ending(event, ReasonCode.UNEXPECTED, type(error).__qualname__, planning=planning)

    async def run(self, stopping: ShutdownSignal) -> None:
        """Work until a stop is requested, then shut the parts down in order.

        A part that raises ends all parts: its exception comes out in an ExceptionGroup, after the messages in flight
        were handed back.
        """
        health = self._runtime.health
        try:
            async with asyncio.TaskGroup() as tasks:
                services = {name: tasks.create_task(_run_service(name, work)) for name, work in self._services()}
                lanes = tasks.create_task(_run_service("lanes", self._lanes.run))
                receivers = tasks.create_task(_run_service("receivers", self._receivers.run))
                health.mark_healthy("pipelines")
                await stopping.wait_until_requested()
                health.mark_unhealthy("pipelines", "stopping")
                # Another worker takes the lease over. A last heartbeat of this one might be left in the queue.
                if HEARTBEAT in services:
                    await _cancel(services.pop(HEARTBEAT))
                await self._finish(receivers, lanes)
                for service in services.values():
                    service.cancel()
            if self._settings.status_seconds:
                await self._status_reporter.farewell()
        except BaseExceptionGroup:
            await self._hand_back_directly()
            raise

    def _services(self) -> Iterator[tuple[str, Callable[[], Awaitable[None]]]]:
        """The parts that run until the lanes and receivers have ended."""
        yield "visibility extender", self._extender.run
        yield "settler", self._settler.run
        yield "publisher", self._publisher.run
        yield "relay", self._relay.run
        yield "state expiry", self._state_expiry.run
        if self._delivery_watch is not None:
            yield "delivery watch", self._delivery_watch.run
        if self._settings.waiting_times and self._settings.queue_metrics_max:
            yield "queue metrics", self._queue_metrics.run
        if self._settings.status_seconds:
            yield "status reporter", self._status_reporter.run
        if self._options.policy is PolicyInUse.CAUSAL:
            yield "watermark", self._watermark.run
            yield "gap poll", self._gap_poll.run
            yield "watermark report", self._watermark_report.run
            if self._settings.heartbeat_seconds:
                yield HEARTBEAT, self._heartbeat.run
        if self._settings.sweep_interval_seconds:
            yield "drift sweep", self._drift_sweep.run

    async def _finish(self, receivers: "asyncio.Task[None]", lanes: "asyncio.Task[None]") -> None:
        """Steps 1 to 3 of the shutdown, which this file's head describes."""
        total_s = self._settings.shutdown_seconds
        hand_back_s = min(total_s / 4, _HAND_BACK_S_MAX)
        await self._receivers.stop()
        await _cancel(receivers)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(total_s - hand_back_s):
                await self._lanes.idle()
        await _cancel(lanes)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(hand_back_s):
                left = self._in_flight.messages
                if left:
                    self._runtime.telemetry.log.warning("not finished in time, handed back", count=len(left))
                    await self._settler.hand_back(left)
                await self._publisher.idle.wait()

    async def _hand_back_directly(self) -> None:
        """Hand back the messages in flight without the settler, which may have ended."""
        messages = self._in_flight.messages
        with contextlib.suppress(QueueAway, TimeoutError):
            async with asyncio.timeout(_HAND_BACK_S_MAX):
                for start in range(0, len(messages), SQS_ENTRIES_MAX):
                    batch = messages[start : start + SQS_ENTRIES_MAX]
                    await self._queue.change_visibility_batch(
                        [VisibilityChange(receipt=message.receipt, timeout_s=0) for message in batch]
                    )


async def _run_service(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Run a part that ends only by cancellation."""
    await work()
    raise RuntimeError(f"{name} ended by itself")


async def _cancel(task: "asyncio.Task[None]") -> None:
    """Cancel the task and wait for its end."""
    task.cancel()
    await asyncio.wait([task])
