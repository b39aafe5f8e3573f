"""The visibility extender: keeps the messages in flight hidden from other workers.

It extends a message's visibility once half of the visibility timeout is over, whether the message waits in a lane, is
being handled, or is kept because the store is away. A message whose visibility cannot be extended is handled all the
same. Another worker may receive it too. The store's conditional writes make that harmless, so it is only counted.

While the store is away for this worker, it may not be for the others, whose watermarks go on. So no message is hidden
for longer than half of SYNC_GAP_SECONDS then: it is handed back, and another worker receives it in time. Each hand-back
costs a receipt, and SQS's redrive policy counts receipts. A message is therefore handed back once an outage, never when
its next receipt would be its last, and not while a receive call of this worker is open, which could fetch it again.
"""

from collections.abc import Sequence

from worker.consumer.in_flight import InFlight
from worker.consumer.watermark import RECEIVE_COUNT_MAX
from worker.errors import QueueAway
from worker.ports.message_queue import SQS_ENTRIES_MAX, Message, MessageQueue, QueueAttributes, VisibilityChange
from worker.runtime.context import RuntimeContext
from worker.telemetry.metrics import Metric


class VisibilityExtender:
    """One for the process."""

    def __init__(
        self,
        *,
        queue: MessageQueue,
        queue_attributes: QueueAttributes,
        in_flight: InFlight,
        gap_s: float,
        runtime: RuntimeContext,
    ) -> None:
        self._queue = queue
        self._queue_attributes = queue_attributes
        self._in_flight = in_flight
        self._hidden_s_max = gap_s / 2
        self._interval_s = max(in_flight.visibility_timeout_s / 6, 0.5)
        self._clock = runtime.clock
        self._telemetry = runtime.telemetry
        self._store = runtime.store_availability
        # The ids of the messages handed back in this outage of the store.
        self._handed_back: set[str] = set()
        # Receipts in flight: those that SQS will not extend, and those already reported as lost.
        self._refused: set[str] = set()
        self._reported: set[str] = set()

    async def run(self) -> None:
        """Extend the messages that are due, until cancelled, six times within a visibility timeout: if a call fails,
        there is time for another one."""
        while True:
            await self._clock.sleep(self._interval_s)
            await self.hand_back_long_hidden()
            await self.extend_due()

    async def hand_back_long_hidden(self) -> None:
        """While the store is away, hand back each message that would be hidden for too long before the next round."""
        if self._store.has_worked_for(self._hidden_s_max):
            self._handed_back.clear()
        if not self._store.is_away or self._in_flight.is_receiving:
            return
        due = self._due_for_hand_back()
        for start in range(0, len(due), SQS_ENTRIES_MAX):
            await self._hand_back(due[start : start + SQS_ENTRIES_MAX])

    def _due_for_hand_back(self) -> list[Message]:
        due = self._in_flight.received_before(self._hidden_s_max - self._interval_s)
        # A message group goes back whole, or a later message would be handled before an earlier one.
        kept_groups = {message.group for message in due if not self._may_go_back(message)}
        fifo = self._queue_attributes.fifo
        return [
            message for message in due if self._may_go_back(message) and not (fifo and message.group in kept_groups)
        ]

    def _may_go_back(self, message: Message) -> bool:
        receive_count_max = min(RECEIVE_COUNT_MAX, self._queue_attributes.receive_count_max - 1)
        return message.receive_count <= receive_count_max and message.id not in self._handed_back

    async def _hand_back(self, messages: Sequence[Message]) -> None:
        # Released first: a lane then leaves the messages alone, whatever becomes of the call.
        await self._in_flight.release(message.receipt for message in messages)
        self._handed_back.update(message.id for message in messages)
        self._telemetry.metrics.count(Metric.HANDED_BACK, len(messages))
        self._telemetry.log.warning("store away, messages handed back to other workers", count=len(messages))
        try:
            await self._queue.change_visibility_batch(
                [VisibilityChange(receipt=message.receipt, timeout_s=0) for message in messages]
            )
        except QueueAway as away:
            self._telemetry.log.warning("not handed back, left to the visibility timeout", reason=str(away))

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
