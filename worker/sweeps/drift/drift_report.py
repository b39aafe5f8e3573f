"""The report of a worker's sweep: each drift as a log line and a count, by class and age, with its audit line."""

from collections.abc import Sequence
from typing import Final

from handlers.drift import Drift, LeftPair, SweptPair, is_settled
from handlers.ports import Clock
from worker.runtime.unexpected import UnexpectedError
from worker.telemetry.audit_log import log_swept
from worker.telemetry.logs import error_fields
from worker.telemetry.metrics import Metric, Telemetry

_HOUR_S: Final = 3_600
_DAY_S: Final = 86_400


class DriftReport:
    """`SweepObserver` of a worker."""

    def __init__(self, telemetry: Telemetry, clock: Clock) -> None:
        self._telemetry = telemetry
        self._clock = clock

    def swept(self, pairs: Sequence[SweptPair]) -> None:
        """Log and count the drift of these pairs."""
        log, metrics = self._telemetry.log, self._telemetry.metrics
        log_swept(pairs, self._telemetry)
        for pair in pairs:
            drift = pair.drift
            metrics.count(Metric.DRIFT, drift=drift.kind.value, age=self._age_of(drift), end=drift.end.value)
            write = log.info if is_settled(drift.end) else log.warning
            write("drift found by the sweep", **drift.as_wire())

    def looked_at(self, count: int) -> None:
        """Count the pairs of a page."""
        self._telemetry.metrics.count(Metric.SWEPT, count)

    def left_alone(self, pairs: Sequence[LeftPair]) -> None:
        """Log how many: on a busy system there are always some, and a later round judges them."""
        self._telemetry.log.debug("pairs that differ were left alone by the sweep", count=len(pairs))

    def unexpected(self, conversation_ids: Sequence[str], unexpected: UnexpectedError) -> None:
        """Log and count the error that a page met."""
        self._telemetry.metrics.count(Metric.BATCH_FAULT)
        self._telemetry.log.error(
            "the sweep met a fault in our code",
            conversations=sorted(conversation_ids),
            **error_fields(unexpected.error),
        )

    def smaller(self, repairs_max: int, *, timed_out: int) -> None:
        """Log it."""
        self._telemetry.log.warning(
            "the sweep repairs fewer pairs at once: a commit timed out",
            conversations=repairs_max,
            timedOut=timed_out,
        )

    def _age_of(self, drift: Drift) -> str:
        if drift.since is None:
            return "unknown"
        age_s = (self._clock.now() - drift.since).total_seconds()
        return "hour" if age_s < _HOUR_S else "day" if age_s < _DAY_S else "older"
