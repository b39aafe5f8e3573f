"""The metrics of queues: how many work-items wait in each queue, and the wait that ended last.

One worker of the fleet sends them, by a lease in the store: a gauge of the whole database from each worker would cost
as many time series as there are workers. A queue is a tag value, so only queues that are stored count, and at most
QUEUE_METRICS_MAX of them, those with the lowest ids: the same ones in every round.
"""

from typing import Final

from handlers.ports import Ids
from worker.ports.fleet import Fleet
from worker.ports.waiting_times import QueueDirectory, WaitingTimes
from worker.runtime.context import RuntimeContext
from worker.telemetry.metrics import Metric

LEASE_NAME: Final = "queue-metrics"
_INTERVAL_S: Final = 60.0
_LEASE_S: Final = 2 * _INTERVAL_S
"""The jitter makes a round up to one and a half intervals late."""


class QueueMetrics:
    """One for the process."""

    def __init__(
        self,
        *,
        fleet: Fleet,
        queues: QueueDirectory,
        waiting_times: WaitingTimes,
        queues_max: int,
        ids: Ids,
        runtime: RuntimeContext,
    ) -> None:
        """`queues_max` is at least 1."""
        self._fleet = fleet
        self._queues = queues
        self._waiting_times = waiting_times
        self._queues_max = queues_max
        self._runtime = runtime
        self._holder = ids.new()
        self._told_of_more = False

    async def run(self) -> None:
        """Run rounds until cancelled."""
        await self._runtime.run_rounds(self.round, interval_s=_INTERVAL_S)

    async def round(self) -> None:
        """Send the metrics if this worker has the lease. Raises StoreAway."""
        if not await self._fleet.acquire_lease(LEASE_NAME, self._holder, _LEASE_S):
            return
        queue_ids = await self._queues.first(self._queues_max + 1)
        if len(queue_ids) > self._queues_max:
            self._tell_of_more()
            queue_ids = queue_ids[: self._queues_max]
        if not queue_ids:
            return
        waiting = await self._waiting_times.waiting(queue_ids)
        latest = await self._waiting_times.latest(queue_ids, now=self._runtime.clock.now())
        metrics = self._runtime.telemetry.metrics
        for queue in queue_ids:
            metrics.gauge(Metric.WORK_ITEMS_WAITING, waiting.get(queue, 0), queue=queue)
            if queue in latest:
                metrics.gauge(Metric.LATEST_WAIT, latest[queue].seconds, queue=queue)

    def _tell_of_more(self) -> None:
        if not self._told_of_more:
            self._told_of_more = True
            self._runtime.telemetry.log.warning(
                "more queues than QUEUE_METRICS_MAX: the others have no metrics", queuesMax=self._queues_max
            )
