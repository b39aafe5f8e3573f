"""A bench of the watermark: workers on one queue, and SNS in front of it, in virtual time."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import count
from typing import Any

from handlers.events.heartbeat import heartbeat_message
from tests.worker.consumer.consumer_bench import ConsumerBench
from tests.worker.stand_ins.fake_clock import FakeClock, run_ready_tasks
from tests.worker.stand_ins.message_queue import StandInQueue
from worker.consumer.watermark import NoWatermark

T_BEATS = datetime(2024, 5, 6, tzinfo=UTC)
BEHIND_S = 61


class WatermarkBench:
    """Workers with real consumers and scripted handlers. `wait` checks the watermark's promise every second.

    `heartbeat_s`: how often a heartbeat is published; 0: never. While `sns_holds`, what is published stays in SNS.
    """

    def __init__(self, *, workers: int = 1, heartbeat_s: int = 20, fifo: bool = False, **consumer: Any) -> None:
        self.clock = FakeClock()
        self.queue = StandInQueue(self.clock)
        self.workers = [ConsumerBench(self.clock, queue=self.queue, fifo=fifo, **consumer) for _ in range(workers)]
        self.worker = self.workers[0]
        self.heartbeat_s = heartbeat_s
        self.sns_holds = False
        self._fifo = fifo
        self._seconds = 0
        self._ids = count(1)
        self._held: list[tuple[datetime, str, str]] = []

    def publish(self, text: str, *, group: str = "g") -> None:
        """Publish an event that was written now."""
        self._held.append((self.queue.now, text, group))
        if not self.sns_holds:
            self.deliver(len(self._held))

    def deliver(self, at_most: int) -> None:
        """SNS delivers so many of the events that it holds."""
        held, self._held = self._held[:at_most], self._held[at_most:]
        for _, text, group in held:
            self.queue.send(text, group=group if self._fifo else None)

    async def wait(self, seconds: int, *, step_s: int = 1) -> None:
        """Let so many seconds pass. After each step, nothing written before a watermark is undelivered."""
        for _ in range(0, seconds, step_s):
            if self.heartbeat_s and self._seconds % self.heartbeat_s == 0:
                key = f"h{next(self._ids)}"
                self.publish(heartbeat_message(key, key, T_BEATS), group=key)
            self._seconds += step_s
            await self.clock.advance(step_s)
            self.check()

    def check(self) -> None:
        """Nothing sent to the queue, or held by SNS, before a worker's watermark is undelivered; except what was
        received more than three times."""
        in_queue = self.queue.oldest_sent_at(receives_max=3)
        undelivered = [written_at for written_at, _, _ in self._held] + ([in_queue] if in_queue else [])
        for number, worker in enumerate(self.workers):
            watermark = worker.watermark.current()
            if watermark is not None and undelivered:
                late_s = (watermark - min(undelivered)).total_seconds()
                assert late_s <= 0, f"worker {number} passed an undelivered event by {late_s} s"

    def missing(self) -> NoWatermark | None:
        """Why the first worker has no watermark; None if it has one."""
        reading = self.worker.watermark.reading()
        return reading if isinstance(reading, NoWatermark) else None

    def behind_s(self) -> float:
        """How many seconds the first worker's watermark is behind the queue's clock."""
        watermark = self.worker.watermark.current()
        assert watermark is not None, self.missing()
        return (self.queue.now - watermark).total_seconds()

    def is_in_time(self) -> bool:
        """Whether nothing holds the watermark back: it is a gap behind, the second to which a `Date` is cut, and the
        pause between two heartbeats. The worker's idea of the queue's clock may itself be a second behind."""
        return BEHIND_S <= self.behind_s() <= BEHIND_S + 1 + self.heartbeat_s


@asynccontextmanager
async def watermark_bench(**options: Any) -> AsyncIterator[WatermarkBench]:
    """A bench whose workers run until the end of the context."""
    bench = WatermarkBench(**options)
    for worker in bench.workers:
        worker.start(worker.watermark.run(), worker.extender.run())
    await run_ready_tasks()
    try:
        yield bench
    finally:
        for worker in bench.workers:
            await worker.stop()
