"""The receivers: take messages from the queue, read them as events, and put them into lanes.

They pause while too many messages are in flight, while the store is away and, for a growing time, while SQS is away.
A receiver may be cancelled at any time. SQS then redelivers the messages of the cancelled call after their visibility
timeout.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from handlers.events.envelope import Limits
from handlers.events.event import Event
from handlers.events.parser import read_delivered
from worker.consumer.in_flight import InFlight
from worker.consumer.lane_context import LaneEntry
from worker.consumer.lanes import Lanes
from worker.consumer.watermark import QueueWatermark
from worker.errors import QueueAway
from worker.ports.message_queue import LONG_POLL_S, SQS_ENTRIES_MAX, Message, MessageQueue
from worker.runtime.backoff import JitteredBackoff
from worker.runtime.context import RuntimeContext
from worker.runtime.unexpected import UnexpectedError, catch_unexpected
from worker.telemetry.metrics import Metric, event_tag

FRESH_S: Final = 1.0
"""A receive call younger than this may still return messages that waited in the queue when it began."""


class ReceiverContext(Struct, frozen=True, kw_only=True):
    """Everything that a receiver works with. `pause` is the backoff while SQS is away."""

    queue: MessageQueue
    in_flight: InFlight
    lanes: Lanes
    limits: Limits
    watermark: QueueWatermark
    pause: JitteredBackoff
    runtime: RuntimeContext


class _ReceiveCall(Struct, frozen=True, kw_only=True, eq=False):
    began_at: float
    ended: asyncio.Event


class Receivers:
    """`count` receivers side by side."""

    def __init__(self, *, count: int, context: ReceiverContext) -> None:
        self._count = count
        self._context = context
        self._runtime = context.runtime
        self._failures = 0
        self._calls: set[_ReceiveCall] = set()
        self._stopping = False

    async def run(self) -> None:
        """Receive until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self._count):
                tasks.create_task(self._receive_forever())

    async def stop(self) -> None:
        """Start no more receive calls and wait for those younger than `FRESH_S`; `run` may be cancelled afterwards.

        A cancelled call that holds messages hides them for a whole visibility timeout. A call older than `FRESH_S` has
        found the queue empty. Returns after `FRESH_S` seconds at the latest.
        """
        self._stopping = True
        now = self._runtime.clock.monotonic()
        ages = {call: now - call.began_at for call in self._calls}
        fresh = {call: FRESH_S - age for call, age in ages.items() if age < FRESH_S}
        if fresh:
            waits = [asyncio.ensure_future(call.ended.wait()) for call in fresh]
            _, pending = await asyncio.wait(waits, timeout=max(fresh.values()))
            for wait in pending:
                wait.cancel()

    async def _receive_forever(self) -> None:
        in_flight, store = self._context.in_flight, self._runtime.store_availability
        while True:
            await store.wait_until_back()
            await in_flight.reserve(SQS_ENTRIES_MAX)
            if store.is_away:
                # It went away while there was no room.
                await in_flight.cancel_reservation(SQS_ENTRIES_MAX)
                continue
            if self._stopping:
                await in_flight.cancel_reservation(SQS_ENTRIES_MAX)
                # Wait for the cancellation.
                await asyncio.Event().wait()
            call = _ReceiveCall(began_at=self._runtime.clock.monotonic(), ended=asyncio.Event())
            self._calls.add(call)
            away: QueueAway | None = None
            try:
                await self._receive()
            except QueueAway as error:
                away = error
            finally:
                self._calls.discard(call)
                call.ended.set()
            if away is not None:
                await self._wait_for_queue(away)

    async def _receive(self) -> None:
        context = self._context
        received: Sequence[Message] = []
        began_at = context.watermark.call_began()
        try:
            response = await context.queue.receive(wait_s=LONG_POLL_S)
            received = response.messages
        except QueueAway:
            context.watermark.call_ended(began_at, None)
            raise
        except asyncio.CancelledError:
            context.watermark.call_cancelled()
            raise
        finally:
            await context.in_flight.add(received, reserved=SQS_ENTRIES_MAX)
        context.watermark.call_ended(began_at, response)
        self._note_response()
        if received:
            self._runtime.telemetry.metrics.count(Metric.RECEIVED, len(received))
            for entry in await self._entries(received):
                self._context.lanes.put(entry)

    async def _entries(self, received: Sequence[Message]) -> Sequence[LaneEntry]:
        entries = await catch_unexpected(self._read(received))
        if not isinstance(entries, UnexpectedError):
            return entries
        if len(received) == 1:
            return [LaneEntry(message=received[0], parsed=entries)]
        # Each message alone, so that only the message with the error is returned to the queue.
        return [entry for message in received for entry in await self._entries([message])]

    async def _read(self, received: Sequence[Message]) -> Sequence[LaneEntry]:
        limits = self._context.limits
        entries = [
            LaneEntry(message=message, parsed=read_delivered(message.body, message.attributes, limits))
            for message in received
        ]
        for entry in entries:
            if isinstance(entry.parsed, Event) and entry.parsed.is_mended:
                self._runtime.telemetry.metrics.count(Metric.MENDED, event=event_tag(entry.parsed.name))
        return entries

    def _note_response(self) -> None:
        self._failures = 0
        self._runtime.health.mark_healthy("queue")
        self._runtime.health.note_progress()

    async def _wait_for_queue(self, away: QueueAway) -> None:
        self._failures += 1
        self._runtime.health.mark_unhealthy("queue", f"SQS is away: {away}")
        telemetry = self._runtime.telemetry
        telemetry.metrics.count(Metric.QUEUE_AWAY)
        seconds = self._context.pause.after(self._failures)
        telemetry.log.error("queue away, receiving pauses", reason=str(away), seconds=round(seconds, 1))
        await self._runtime.clock.sleep(seconds)
