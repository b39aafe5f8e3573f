"""The visibility extender: keeps the messages in flight hidden from other workers.

It extends a message's visibility once half of the visibility timeout is over, whether the message waits in a lane, is
being handled, or is kept because the store is away. A message whose visibility cannot be extended is handled all the
same. Another worker may receive it too. The store's conditional writes make that harmless, so it is only counted.
"""

from collections.abc import Sequence

from worker.consumer.in_flight import InFlight
from worker.errors import QueueAway
from worker.ports import SQS_ENTRIES_MAX, MessageQueue, VisibilityChange
from worker.runtime.context import RuntimeContext
from worker.telemetry.metrics import Metric


class VisibilityExtender:
    """One for the process."""

    def __init__(self, *, queue: MessageQueue, in_flight: InFlight, runtime: RuntimeContext) -> None:
        self._queue = queue
        self._in_flight = in_flight
        self._clock = runtime.clock
        self._telemetry = runtime.telemetry
        # Receipts in flight: those that SQS will not extend, and those already reported as lost.
        self._refused: set[str] = set()
        self._reported: set[str] = set()

    async def run(self) -> None:
        """Extend the messages that are due, until cancelled, six times within a visibility timeout: if a call fails,
        there is time for another one."""
        while True:
            await self._clock.sleep(max(self._in_flight.visibility_timeout_s / 6, 0.5))
            await self.extend_due()

    async def extend_due(self) -> None:
        """Extend every message whose visibility timeout is half over, and report the messages that became visible."""
        self._refused = {receipt for receipt in self._refused if self._in_flight.holds(receipt)}
        self._reported = {receipt for receipt in self._reported if self._in_flight.holds(receipt)}
        due = [receipt for receipt in self._in_flight.due_for_extension() if receipt not in self._refused]
        for start in range(0, len(due), SQS_ENTRIES_MAX):
            # A message that was settled during the previous call must not be hidden again.
            batch = [receipt for receipt in due[start : start + SQS_ENTRIES_MAX] if self._in_flight.holds(receipt)]
            if batch:
                await self._extend(batch)
        self._report_lost(self._in_flight.expired(), "LAPSED")
        self._telemetry.metrics.gauge(Metric.IN_HAND, len(self._in_flight))

    async def _extend(self, receipts: Sequence[str]) -> None:
        asked_at = self._clock.monotonic()
        seconds = self._in_flight.visibility_timeout_s
        try:
            refusals = await self._queue.change_visibility_batch(
                [VisibilityChange(receipt=receipt, timeout_s=seconds) for receipt in receipts]
            )
        except QueueAway as away:
            self._telemetry.log.warning("visibility not extended, trying again", reason=str(away), count=len(receipts))
            return
        results = list(zip(receipts, refusals, strict=True))
        self._in_flight.note_extended([receipt for receipt, refused in results if refused is None], asked_at=asked_at)
        for receipt, refused in results:
            if refused is not None and refused.final and self._in_flight.holds(receipt):
                self._refused.add(receipt)
                self._report_lost([receipt], refused.code)

    def _report_lost(self, receipts: Sequence[str], code: str) -> None:
        """Count and log deliveries that another worker may receive, each once."""
        lost = [receipt for receipt in receipts if receipt not in self._reported]
        self._reported.update(lost)
        if lost:
            self._telemetry.metrics.count(Metric.VISIBILITY_LOST, len(lost))
            self._telemetry.log.warning(
                "visibility lost, another worker may get the messages", count=len(lost), code=code
            )
