"""What a load takes at its average and at its peak, how late events come at the peak, and what a month costs.

Everything goes by the measured costs of one event (costs.py) and the assumptions of capacity.py. The lag is that of a
queue which is filled faster than it is emptied: it grows for as long as the peak lasts, and ends some time after it.
"""

from collections.abc import Mapping
from typing import Final, Literal

from msgspec import Struct

from worker.sizing import prices
from worker.sizing.capacity import (
    MEMBERS,
    RequiredCapacity,
    monthly_dollars,
    quota_uses,
    required_capacity,
    sqs_calls_s,
)
from worker.sizing.costs import MeasuredCosts
from worker.sizing.prices import Prices

SERIES_A_WORKER: Final = 150
"""Time series of Datadog that a worker sends, assumed: 48 metrics, some by a tag's values, five for each distribution.
With WAITING_TIMES two more for each queue."""
_GB: Final = 1e9


class Load(Struct, frozen=True, kw_only=True):
    """The load, and how it is met.

    `shares`: by the letters a, b, c (costs.py). `workers`: so many; None: as many as the average takes.
    `conversations`: pairs that MongoDB keeps. `retention_days`: the age of the records that it keeps beside them.
    `indexed`: the share of the log lines that Datadog indexes.
    """

    average_s: float
    peak_s: float
    peak_minutes: float
    shares: Mapping[str, float]
    conversations: int
    retention_days: float
    fifo: bool
    workers: int | None
    indexed: float


class Lag(Struct, frozen=True, kw_only=True):
    """How late events come at the peak. `carried_s`: the events a second that workers and MongoDB carry with all their
    cores, and what bounds it. `drained_after_s`: from the end of the peak; None: never, the average is too much."""

    carried_s: float
    bound_by: Literal["workers", "mongod"]
    seconds: float
    waiting: float
    drained_after_s: float | None


class Estimate(Struct, frozen=True, kw_only=True):
    """The answer. `peak.containers` are those that the peak takes without a backlog; `workers` are those that run.

    `sqs_calls_month_more`: the receives more that workers make which find one message a call, and not ten.
    `memory_gb`: of each worker. Storage is of each member of a replica set, all shards together.
    """

    load: Load
    average: RequiredCapacity
    peak: RequiredCapacity
    workers: int
    memory_gb: float
    lag: Lag
    documents_gb: float
    records_gb: float
    logged_gb_month: float
    sqs_calls_month: float
    sqs_calls_month_more: float
    sns_calls_month: float
    dollars: Mapping[str, float]
    over_quota: Mapping[str, float]

    @property
    def total_dollars(self) -> float:
        """Of a month."""
        return sum(self.dollars.values())


def estimate(load: Load, measured: MeasuredCosts, prices_now: Prices) -> Estimate:
    """The estimate of a load. The shares of `load` must sum to 1, and the peak must not be below the average."""
    cost = measured.mixed(load.shares)
    vcpus = prices_now.mongod_node_vcpus
    average = required_capacity(cost, load.average_s, workers=load.workers, node_vcpus=vcpus)
    peak = required_capacity(cost, load.peak_s, node_vcpus=vcpus)
    documents_gb = load.conversations * measured.footprint.pair_bytes / _GB
    events_month = load.average_s * prices.SECONDS_A_MONTH
    logged_gb = events_month * measured.footprint.logged_bytes / _GB
    dollars = monthly_dollars(average, fifo=load.fifo, prices_now=prices_now, days=load.retention_days)
    dollars |= {
        "storage of the documents": documents_gb * MEMBERS * prices_now.storage_gb_month,
        "Datadog metrics": average.containers * SERIES_A_WORKER * prices_now.metric_month,
        "Datadog logs": logged_gb * prices_now.log_gb + events_month / 1e6 * load.indexed * prices_now.log_million,
    }
    return Estimate(
        load=load,
        average=average,
        peak=peak,
        workers=average.containers,
        memory_gb=measured.footprint.resident_bytes / _GB,
        lag=_lag(load, average, cost_s=cost.worker_cpu_s),
        documents_gb=documents_gb,
        records_gb=average.kept_gb(load.retention_days),
        logged_gb_month=logged_gb,
        sqs_calls_month=sqs_calls_s(average) * prices.SECONDS_A_MONTH,
        sqs_calls_month_more=max(average.rate - average.receives_s, 0) * prices.SECONDS_A_MONTH,
        sns_calls_month=average.publishes_s * prices.SECONDS_A_MONTH,
        dollars=dollars,
        over_quota={use.quota.name: use.share for use in quota_uses(peak, fifo=load.fifo) if use.share > 1},
    )


def _lag(load: Load, average: RequiredCapacity, *, cost_s: float) -> Lag:
    """At the end of the peak, with the workers and the shards of the average, whose cores are then busy altogether."""
    by_workers = average.containers / cost_s
    by_mongod = load.average_s * average.shards * average.mongod_node_vcpus / average.mongod_cores
    carried_s = min(by_workers, by_mongod)
    waiting = max(load.peak_s - carried_s, 0) * load.peak_minutes * 60
    spare_s = carried_s - load.average_s
    return Lag(
        carried_s=carried_s,
        bound_by="workers" if by_workers <= by_mongod else "mongod",
        seconds=waiting / carried_s,
        waiting=waiting,
        drained_after_s=waiting / spare_s if spare_s > 0 else None if waiting or spare_s < 0 else 0.0,
    )
