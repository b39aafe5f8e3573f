"""Keeps what is in hand hidden from other workers: extends visibility, in tens, once half of its time is over.

It asks nobody why a message is still here: waiting in a lane, in a batch, or kept because the store is away. A
message whose time could not be extended is handled all the same; another worker may get it too, which the store's
conditional writes make harmless, so it is only counted.
"""

from collections.abc import Sequence

from handlers.ports import Clock
from worker.consumer.in_flight import InFlight
from worker.errors import QueueAway
from worker.ports import SQS_ENTRIES_MAX, MessageQueue, VisibilityChange
from worker.telemetry.metrics import Metric, Telemetry


class VisibilityExtender:
    """One for the whole process."""

    def __init__(self, *, queue: MessageQueue, in_flight: InFlight, clock: Clock, telemetry: Telemetry) -> None:
        self._queue = queue
        self._in_flight = in_flight
        self._clock = clock
        self._telemetry = telemetry
        self._refused: set[str] = set()
        self._lost: set[str] = set()

    async def run(self) -> None:
        """Beat until cancelled, six times within a visibility timeout: a beat that fails leaves time for others."""
        while True:
            await self._clock.sleep(max(self._in_flight.visibility_timeout_s / 6, 0.5))
            await self.extend_due()

    async def extend_due(self) -> None:
        """Extend all that is half over, and tell of what is over."""
        self._refused = {receipt for receipt in self._refused if self._in_flight.holds(receipt)}
        self._lost = {receipt for receipt in self._lost if self._in_flight.holds(receipt)}
        due = [receipt for receipt in self._in_flight.due_for_extension() if receipt not in self._refused]
        for start in range(0, len(due), SQS_ENTRIES_MAX):
            # What was settled while the tens before were on their way must not be hidden again.
            some = [receipt for receipt in due[start : start + SQS_ENTRIES_MAX] if self._in_flight.holds(receipt)]
            if some:
                await self._extend(some)
        self._tell_lost(self._in_flight.expired(), "LAPSED")
        self._telemetry.metrics.gauge(Metric.IN_HAND, len(self._in_flight))

    async def _extend(self, receipts: Sequence[str]) -> None:
        asked_at = self._clock.monotonic()
        seconds = self._in_flight.visibility_timeout_s
        try:
            answers = await self._queue.change_visibility_batch(
                [VisibilityChange(receipt=receipt, timeout_s=seconds) for receipt in receipts]
            )
        except QueueAway as away:
            self._telemetry.log.warning("visibility not extended, trying again", reason=str(away), count=len(receipts))
            return
        pairs = list(zip(receipts, answers, strict=True))
        self._in_flight.note_extended([receipt for receipt, refused in pairs if refused is None], asked_at=asked_at)
        for receipt, refused in pairs:
            if refused is not None and refused.final and self._in_flight.holds(receipt):
                # It would be refused again.
                self._refused.add(receipt)
                self._tell_lost([receipt], refused.code)

    def _tell_lost(self, receipts: Sequence[str], code: str) -> None:
        """Once a delivery: another worker may get the message now, or will."""
        lost = [receipt for receipt in receipts if receipt not in self._lost]
        self._lost.update(lost)
        if lost:
            self._telemetry.metrics.count(Metric.VISIBILITY_LOST, len(lost))
            self._telemetry.log.warning(
                "visibility lost, another worker may get the messages", count=len(lost), code=code
            )
