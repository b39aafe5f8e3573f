"""The receivers: take messages from the queue, read them, and put them into their lanes.

They wait while too much is in hand, while the store is away, and, for a growing time, while SQS is away. Cancelling
one is safe at any moment, but what SQS had given to a cut-off call comes back only after the visibility timeout.
"""

import asyncio
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from handlers.events.parser import Limits, read_message
from handlers.ports import Clock
from worker.consumer.in_flight import InFlight
from worker.consumer.lane_context import LaneEntry
from worker.consumer.lanes import Lanes
from worker.consumer.queue_lag import QueueLag
from worker.errors import QueueAway
from worker.ports import LONG_POLL_S, SQS_ENTRIES_MAX, Message, MessageQueue
from worker.runtime.backoff import JitteredBackoff
from worker.runtime.store_availability import StoreAvailability
from worker.runtime.unexpected import UnexpectedError, catch_unexpected
from worker.telemetry.health import Health
from worker.telemetry.metrics import Metric, Telemetry

FRESH_SECONDS: Final = 1.0
"""A call to receive that has taken no longer may still bring messages that waited in the queue."""


class ReceiverContext(Struct, frozen=True, kw_only=True):
    """What every receiver works with. `pause` is the delay between tries while SQS is away."""

    queue: MessageQueue
    in_flight: InFlight
    lanes: Lanes
    limits: Limits
    store_availability: StoreAvailability
    lag: QueueLag
    health: Health
    pause: JitteredBackoff
    clock: Clock
    telemetry: Telemetry


class _ReceiveCall(Struct, frozen=True, kw_only=True, eq=False):
    began: float
    over: asyncio.Event


class Receivers:
    """`count` of them side by side."""

    def __init__(self, *, count: int, parts: ReceiverContext) -> None:
        self._count = count
        self._parts = parts
        self._failures = 0
        self._calls: set[_ReceiveCall] = set()
        self._stopping = False

    async def run(self) -> None:
        """Receive until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self._count):
                tasks.create_task(self._receive_forever())

    async def stop(self) -> None:
        """Begin no more calls, and come back when those under way may be cut off by cancelling `run`.

        One that has only just begun may have messages already, which would stay hidden for a whole visibility timeout;
        one that has waited for longer has found the queue empty.
        """
        self._stopping = True
        now = self._parts.clock.monotonic()
        ages = {call: now - call.began for call in self._calls}
        fresh = {call: FRESH_SECONDS - age for call, age in ages.items() if age < FRESH_SECONDS}
        if fresh:
            waits = [asyncio.ensure_future(call.over.wait()) for call in fresh]
            _, pending = await asyncio.wait(waits, timeout=max(fresh.values()))
            for wait in pending:
                wait.cancel()

    async def _receive_forever(self) -> None:
        parts = self._parts
        while True:
            await parts.store_availability.wait_until_back()
            await parts.in_flight.reserve(SQS_ENTRIES_MAX)
            if self._stopping:
                await parts.in_flight.cancel_reservation(SQS_ENTRIES_MAX)
                # Until cancelled.
                await asyncio.Event().wait()
            call = _ReceiveCall(began=parts.clock.monotonic(), over=asyncio.Event())
            self._calls.add(call)
            away: QueueAway | None = None
            try:
                await self._receive()
            except QueueAway as error:
                away = error
            finally:
                self._calls.discard(call)
                call.over.set()
            if away is not None:
                await self._wait_for_queue(away)

    async def _receive(self) -> None:
        parts = self._parts
        received: Sequence[Message] = []
        try:
            received = await parts.queue.receive(wait_s=LONG_POLL_S)
        finally:
            await parts.in_flight.add(received, reserved=SQS_ENTRIES_MAX)
        self._note_answer()
        if received:
            parts.telemetry.metrics.count(Metric.RECEIVED, len(received))
            for entry in await self._entries(received):
                parts.lanes.put(entry)

    async def _entries(self, received: Sequence[Message]) -> Sequence[LaneEntry]:
        entries = await catch_unexpected(self._read(received))
        if not isinstance(entries, UnexpectedError):
            return entries
        if len(received) == 1:
            return [LaneEntry(message=received[0], read=entries)]
        # One by one, so that only the one that meets the fault goes back.
        return [entry for message in received for entry in await self._entries([message])]

    async def _read(self, received: Sequence[Message]) -> Sequence[LaneEntry]:
        limits = self._parts.limits
        return [
            LaneEntry(message=message, read=read_message(message.body, message.attributes, limits))
            for message in received
        ]

    def _note_answer(self) -> None:
        self._failures = 0
        self._parts.lag.note_answer()
        self._parts.health.mark_healthy("queue")
        self._parts.health.note_progress()

    async def _wait_for_queue(self, away: QueueAway) -> None:
        self._failures += 1
        self._parts.health.mark_unhealthy("queue", f"SQS is away: {away}")
        self._parts.telemetry.metrics.count(Metric.QUEUE_AWAY)
        seconds = self._parts.pause.after(self._failures)
        self._parts.telemetry.log.error("queue away, receiving pauses", reason=str(away), seconds=round(seconds, 1))
        await self._parts.clock.sleep(seconds)
