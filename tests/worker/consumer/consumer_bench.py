"""A bench of the consumer: queue, receivers, lanes and settler, with a scripted handler."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from msgspec.structs import replace

from commands.reason import ReasonCode
from handlers.events.envelope import Limits
from handlers.events.event import Event
from handlers.options import Options, PlanningContext, PolicyInUse
from handlers.outcome import HandledEvent, Retry
from handlers.planning.endings import failed_ending, own_sync_ending
from handlers.planning.event_batch import EventBatch
from handlers.ports import Announcement, StoreAway
from sync.gates import Policy
from tests.handlers.small_ports import CountedIds
from tests.worker.stand_ins.fake_clock import T0, FakeClock, MiddleChance, until
from tests.worker.stand_ins.message_queue import StandInQueue
from tests.worker.stand_ins.telemetry_recorder import TelemetryRecorder, runtime_of
from worker.consumer.in_flight import InFlight
from worker.consumer.lane_context import EventHandler, LaneContext
from worker.consumer.lanes import Lanes
from worker.consumer.receivers import ReceiverContext, Receivers
from worker.consumer.settlement import Settler
from worker.consumer.visibility import VisibilityExtender
from worker.consumer.watermark import QueueWatermark
from worker.runtime.backoff import JitteredBackoff

PLANNING = PlanningContext(now=T0, queue_now=T0, ids=CountedIds(), options=Options(policy=PolicyInUse.LEGACY))
FOREIGN = json.dumps({"id": "e9", "name": "kustomer.tag.update", "data": {"id": "t", "type": "tag"}})


def body(conversation: str, rev: int = 1) -> str:
    data = {
        "id": conversation,
        "type": "conversation",
        "attributes": {"status": "open", "assignedUsers": [], "rev": rev},
        "relationships": {},
    }
    return json.dumps({"id": f"{conversation}-{rev}", "name": "kustomer.conversation.update", "data": data})


def own(conversation: str) -> str:
    """The body of an event that announces a sync of this service."""
    reasons = [{"action": "SYNC_CONVERSATION", "code": "WORK_ITEM_ASSIGNED"}]
    return json.dumps({**json.loads(body(conversation)), "isSync": True, "routingReasons": reasons})


class ScriptedHandler:
    """A handler that does what the test sets.

    `away`: so many batches raise StoreAway. `faulty`: conversations whose batch raises KeyError. `back`: events that go
    back. `contended`: conversations that meet another writer, each with the event that lets its retry go on.
    `faulty_again`: conversations whose retry raises KeyError. `takes`: awaited by each batch. `batches` and `retried`
    record the calls.
    """

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.retried: list[str] = []
        self.away = 0
        self.faulty: set[str] = set()
        self.back: set[str] = set()
        self.contended: dict[str, asyncio.Event] = {}
        self.faulty_again: set[str] = set()
        self.gate: asyncio.Event | None = None
        self.takes: Callable[[], Awaitable[None]] | None = None

    async def handle_batch(self, batch: EventBatch, conversations_max: int) -> bool:
        if self.gate is not None:
            await self.gate.wait()
        if self.takes is not None:
            await self.takes()
        if self.away:
            self.away -= 1
            raise StoreAway("no primary")
        self.batches.append([event.id for event in batch.events])
        if self.faulty & {event.conversation_id for event in batch.events}:
            # The batch handler ends own syncs before it loads.
            batch.end([self._end(event) for event in batch.events if event.is_own_sync])
            raise KeyError("a customer's words")
        batch.end([self._end(event) for event in batch.events if event.conversation_id not in self.contended])
        return any(not event.is_own_sync for event in batch.events)

    def contend(self, *conversations: str) -> None:
        """These conversations meet another writer."""
        self.contended = {conversation: asyncio.Event() for conversation in conversations}

    def release(self, *conversations: str) -> None:
        """The retries of these conversations go on."""
        for conversation in conversations:
            self.contended[conversation].set()

    async def handle_contended(self, events: Sequence[Event]) -> list[HandledEvent]:
        (conversation,) = {event.conversation_id for event in events}
        self.retried.append(conversation)
        await self.contended[conversation].wait()
        if conversation in self.faulty_again:
            raise KeyError("a customer's words")
        return [self._end(event) for event in events]

    def _end(self, event: Event) -> HandledEvent:
        end = own_sync_ending(event, planning=PLANNING)
        if event.id in self.back:
            return replace(end, outcome=Retry(reason="CONFLICT"))
        said = Announcement(
            id=f"a-{event.id}", conversation_id=event.conversation_id, side="conversation", message="{}", created_at=T0
        )
        return replace(end, announcements=(said,))


class ConsumerBench:
    """Queue, receivers, lanes and settler, with a scripted handler, or with `handler` in its place."""

    def __init__(
        self,
        clock: FakeClock,
        *,
        queue: StandInQueue | None = None,
        fifo: bool = False,
        batch_max: int = 50,
        lanes: int = 4,
        receivers: int = 1,
        receive_count_max: int = 10,
        handler: EventHandler | None = None,
    ) -> None:
        self.clock, self.recorder, self.handler = clock, TelemetryRecorder(), ScriptedHandler()
        self.queue = queue or StandInQueue(clock)
        self.queue.attributes = replace(self.queue.attributes, fifo=fifo, receive_count_max=receive_count_max)
        runtime = runtime_of(clock, self.recorder)
        self.health, self.store_availability = runtime.health, runtime.store_availability
        self.health.mark_healthy("pipelines")
        self.health.mark_healthy("store")
        self.in_flight = InFlight(count_max=200, bytes_max=1_000_000, visibility_timeout_s=60, clock=clock)
        self.offered: list[str] = []
        pause = JitteredBackoff(first_s=1, max_s=8, chance=MiddleChance())
        self.settler = Settler(
            queue=self.queue,
            queue_attributes=self.queue.attributes,
            in_flight=self.in_flight,
            retry=pause,
            pause=pause,
            runtime=runtime,
        )
        self.watermark = QueueWatermark(gap_s=60, in_flight=self.in_flight, runtime=runtime)
        self.extender = VisibilityExtender(
            queue=self.queue,
            queue_attributes=self.queue.attributes,
            in_flight=self.in_flight,
            gap_s=60,
            runtime=runtime,
        )
        self.lanes = Lanes(
            count=lanes,
            batch_max=batch_max,
            context=LaneContext(
                handler=handler or self.handler,
                fifo=fifo,
                policy=Policy.LEGACY,
                failed=self._failed,
                in_flight=self.in_flight,
                settler=self.settler,
                announcer=self,
                store_pause=pause,
                runtime=runtime,
            ),
        )
        self.receivers = Receivers(
            count=receivers,
            context=ReceiverContext(
                queue=self.queue,
                in_flight=self.in_flight,
                lanes=self.lanes,
                limits=Limits(),
                watermark=self.watermark,
                pause=pause,
                runtime=runtime,
            ),
        )
        self._tasks: list[asyncio.Task[None]] = []

    def _failed(self, event: Event, error: Exception) -> HandledEvent:
        return failed_ending(event, ReasonCode.UNEXPECTED, type(error).__name__, planning=PLANNING)

    def offer(self, announcements: Sequence[Announcement]) -> None:
        self.offered.extend(one.id for one in announcements)

    def start(self, *services: Coroutine[Any, Any, None]) -> None:
        runs = [self.settler.run(), self.lanes.run(), self.receivers.run(), *services]
        self._tasks = [asyncio.ensure_future(run) for run in runs]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)

    async def drained(self) -> None:
        await until(lambda: not self.queue.left)
        await self.lanes.idle()

    @property
    def audits(self) -> list[dict[str, Any]]:
        return [line for line in self.recorder.lines if line["msg"] == "CONVERSATION_SYNC_AUDIT"]
