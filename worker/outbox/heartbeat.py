"""The heartbeat's publisher: shows the workers of the fleet that SNS delivers, also while nothing else happens.

Without it, a quiet system cannot be told from one whose events SNS holds, and quiet times close no gaps
(worker/consumer/watermark.py, `SILENCE`). One worker of the fleet publishes, by a lease in the store. A heartbeat is
not kept: if SNS is away, the next one follows. Two heartbeats at once, of two workers, are harmless.
"""

from typing import Final

from handlers.events.heartbeat import heartbeat_message
from handlers.ports import Ids
from worker.errors import TopicsAway
from worker.outbox.topic_message import topic_message
from worker.ports.fleet import Fleet
from worker.ports.topics import Topics
from worker.runtime.context import RuntimeContext

LEASE_NAME: Final = "heartbeat"
_ROUNDS_PER_INTERVAL: Final = 4


class Heartbeat:
    """One for the process."""

    def __init__(
        self, *, fleet: Fleet, topics: Topics, arn: str, ids: Ids, interval_s: float, runtime: RuntimeContext
    ) -> None:
        """`arn` is the topic, and `interval_s` the time between two heartbeats of the fleet."""
        self._fleet = fleet
        self._topics = topics
        self._arn = arn
        self._ids = ids
        self._interval_s = interval_s
        self._runtime = runtime
        self._holder = ids.new()
        self._published_at: float | None = None

    async def run(self) -> None:
        """Run rounds until cancelled. They are shorter than the interval, so that another worker soon takes over."""
        await self._runtime.run_rounds(self.round, interval_s=self._interval_s / _ROUNDS_PER_INTERVAL)

    async def round(self) -> None:
        """Ask for the lease, and publish if this worker has it and the interval is over. Raises StoreAway."""
        if not await self._fleet.acquire_lease(LEASE_NAME, self._holder, self._interval_s):
            self._published_at = None
            return
        now = self._runtime.clock.monotonic()
        if self._published_at is None or now - self._published_at >= self._interval_s:
            self._published_at = now
            await self._publish()

    async def _publish(self) -> None:
        message_id = self._ids.new()
        text = heartbeat_message(message_id, self._ids.new(), self._runtime.clock.now())
        # A message group of its own: no heartbeat waits for the one before it.
        message = topic_message(id=message_id, group=message_id, text=text)
        log = self._runtime.telemetry.log
        try:
            (refused,) = await self._topics.publish(self._arn, [message])
        except TopicsAway as away:
            log.warning("heartbeat not published, SNS is away", reason=str(away))
            return
        if refused is not None:
            log.warning("heartbeat not published, SNS refuses it", code=refused.code, reason=refused.reason)
