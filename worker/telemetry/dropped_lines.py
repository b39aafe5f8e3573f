"""Dropped log lines: counted as a metric, and told in the log once it takes lines again."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from handlers.ports import Clock
from worker.telemetry.metrics import Metric, Telemetry
from worker.telemetry.output.line_writer import LineWriter
from worker.telemetry.output.standard_streams import DRAIN_S

INTERVAL_S: Final = 1.0


class DroppedLines:
    """Reports the lines that the log's writer has dropped.

    It looks at them by time, and not where a line is dropped: a metric that fails is logged, and the log must not call
    the metrics meanwhile.
    """

    def __init__(self, writer: LineWriter, telemetry: Telemetry) -> None:
        self._writer = writer
        self._telemetry = telemetry
        self._counted = 0
        self._told = 0

    async def run(self, clock: Clock) -> None:
        """Report every second until cancelled."""
        while True:
            await clock.sleep(INTERVAL_S)
            self.report()

    def report(self) -> None:
        """Count the lines dropped since the last report, and tell of those that no log line tells of yet."""
        self._count(self._writer.dropped_lines)
        untold = self._writer.dropped_lines - self._told
        # A stream that fails holds its queue, so the line would tell of the failure only after it.
        # Without room the line would be dropped itself, and counted, every second.
        if untold and self._writer.fault is None and self._writer.has_room:
            self._telemetry.log.error("log lines dropped", lines=untold)
            if self._writer.dropped_lines == self._told + untold:
                self._told += untold
        self._count(self._writer.dropped_lines)

    def close(self, *, drain_s: float) -> None:
        """The last report: lines that are still unwritten after `drain_s` count as dropped."""
        self.report()
        self._writer.drain(drain_s)
        self._count(self._writer.dropped_lines + self._writer.unwritten_lines)

    def _count(self, dropped: int) -> None:
        if dropped > self._counted:
            self._telemetry.metrics.count(Metric.LOG_DROPPED, dropped - self._counted)
            self._counted = dropped


@asynccontextmanager
async def reported_drops(writer: LineWriter, telemetry: Telemetry, clock: Clock) -> AsyncIterator[None]:
    """Report the writer's dropped lines while the context lasts, and a last time at its end."""
    drops = DroppedLines(writer, telemetry)
    async with asyncio.TaskGroup() as tasks:
        reporting = tasks.create_task(drops.run(clock))
        try:
            yield
        finally:
            reporting.cancel()
            drops.close(drain_s=DRAIN_S)
