"""What happens inside a store, for the metrics: the protocol that the store calls, and the observer that counts."""

from typing import Final, Protocol

from worker.telemetry.metrics import Metric, Metrics, NoMetrics


class StoreObserver(Protocol):
    """Receives the events inside the store, in the coroutine that commits: a call must not block or raise."""

    def aborted(self, plans: int) -> None:
        """A transaction of `plans` plans did not commit, whatever becomes of the plans afterwards."""
        ...

    def conflict(self) -> None:
        """One plan lost against another writer."""
        ...

    def transaction_seconds(self, seconds: float) -> None:
        """One transaction took `seconds`, committed or not."""
        ...


class StoreMetrics:
    """The store observer that counts."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def aborted(self, plans: int) -> None:
        """Count the transaction."""
        self._metrics.count(Metric.TRANSACTION_ABORTED, batch="many" if plans > 1 else "one")

    def conflict(self) -> None:
        """Count the conflict."""
        self._metrics.count(Metric.CONFLICT)

    def transaction_seconds(self, seconds: float) -> None:
        """Measure the transaction."""
        self._metrics.distribution(Metric.TRANSACTION_DURATION, seconds * 1_000)


NO_OBSERVER: Final[StoreObserver] = StoreMetrics(NoMetrics())
"""The observer of a store that nothing measures."""
