"""What the worker tells of itself: metrics and log, handed around together."""

from dataclasses import dataclass

from worker.logs import Log
from worker.metrics import Metrics


@dataclass(frozen=True, slots=True, kw_only=True)
class Telemetry:
    """Neither ever fails the worker."""

    metrics: Metrics
    log: Log
