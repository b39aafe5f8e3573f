"""A bench of the whole pipeline, on stand-ins for SQS, SNS and MongoDB."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from msgspec.structs import replace

from handlers.options import PolicyInUse
from handlers.ports import LoadRequest, Pair, StoreAway
from handlers.routing.queue_rules import QueueRules
from tests.worker.stand_ins.fake_clock import FakeClock
from tests.worker.stand_ins.message_queue import StandInQueue
from tests.worker.stand_ins.telemetry_recorder import TelemetryRecorder, runtime_of
from tests.worker.stand_ins.topics import StandInTopics
from worker.pipeline import Adapters, Pipeline
from worker.ports.waiting_times import QueueDescription
from worker.runtime.clock import ObjectIds
from worker.runtime.shutdown_signal import ShutdownSignal
from worker.settings.settings import Settings
from worker.store.memory.fleet import MemoryFleet
from worker.store.memory.status import MemoryStatus
from worker.store.memory.store import MemoryStore
from worker.store.memory.stored_pairs import MemoryStoredPairs
from worker.store.memory.waiting_times import MemoryQueueDirectory, MemoryWaitingTimes
from worker.telemetry.health import Health
from worker.telemetry.status_page.decisions import RecentDecisions


class InterruptibleStore(MemoryStore):
    """A store in memory that can be away."""

    away = False

    async def load(self, requests: Sequence[LoadRequest]) -> dict[str, Pair]:
        if self.away:
            raise StoreAway("no primary")
        return dict(await super().load(requests))


@dataclass(slots=True)
class RunningPipeline:
    clock: FakeClock
    queue: StandInQueue
    topics: StandInTopics
    store: InterruptibleStore
    status: MemoryStatus
    health: Health
    recorder: TelemetryRecorder
    stopping: ShutdownSignal
    running: "asyncio.Task[None]"

    async def stop(self) -> None:
        # The long poll is then old enough to be cancelled (`FRESH_S`).
        await self.clock.advance(3)
        self.stopping.request()
        await self.running


@asynccontextmanager
async def running_pipeline(
    *bodies: str,
    queue: StandInQueue | None = None,
    away: bool = False,
    policy: PolicyInUse = PolicyInUse.CAUSAL,
    store: InterruptibleStore | None = None,
    subscribed: bool = False,
    heartbeat_seconds: float = 20,
    waiting_times: bool = False,
    status_seconds: float = 0,
    queue_rules: QueueRules | None = None,
) -> AsyncIterator[RunningPipeline]:
    """A running pipeline with these messages in its queue; it is cancelled at the end of the context.

    `subscribed`: the queue receives what the pipeline publishes. `queue_rules`: the pipeline creates work-items and
    queues them by these.
    """
    clock, recorder, topics = FakeClock(), TelemetryRecorder(), StandInTopics()
    store = store or InterruptibleStore()
    store.away = away
    queue = queue or StandInQueue(clock)
    queue.clock = clock
    status = MemoryStatus(store, clock)
    topics.queue = queue if subscribed else None
    for one in bodies:
        queue.send(one)
    settings = Settings(
        aws_region="us-east-1",
        sns_conversation_topic_arn="arn:aws:sns:us-east-1:1:conversations",
        sns_work_item_topic_arn="arn:aws:sns:us-east-1:1:work-items",
        sqs_queue_url="http://queue/1/q",
        mongodb_uri="mongodb://nowhere",
        sync_policy=policy,
        heartbeat_seconds=heartbeat_seconds,
        waiting_times=waiting_times,
        status_seconds=status_seconds,
        create_work_items=queue_rules is not None,
        queue_rules=queue_rules is not None,
        receivers=1,
        shutdown_seconds=1,
    )
    fleet = MemoryFleet(clock)
    adapters = Adapters(
        queue=queue,
        queue_attributes=queue.attributes,
        topics=topics,
        store=store,
        outbox=store,
        sync_states=store,
        status_board=status,
        worker="worker-1",
        fleet=fleet,
        sweep_fleet=fleet,
        stored_pairs=MemoryStoredPairs(store),
        deployed_at=None,
        ids=ObjectIds(),
        queues=MemoryQueueDirectory([QueueDescription(id="q-1")]),
        waiting_times=MemoryWaitingTimes(store),
        queue_rules=queue_rules,
    )
    if status_seconds:
        recorder.telemetry = replace(recorder.telemetry, decisions=RecentDecisions(clock))
    runtime = runtime_of(clock, recorder)
    pipeline = Pipeline(settings=settings, adapters=adapters, runtime=runtime)
    stopping = ShutdownSignal(recorder.telemetry.log, before_exit=lambda: None)
    running = asyncio.create_task(pipeline.run(stopping))
    try:
        yield RunningPipeline(clock, queue, topics, store, status, runtime.health, recorder, stopping, running)
    finally:
        running.cancel()
        await asyncio.wait([running])
