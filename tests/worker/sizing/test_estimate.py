"""The lag of a queue that is filled faster than it is emptied, storage, and a month's price."""

import math

import msgspec
import pytest

from worker.sizing.costs import read_costs
from worker.sizing.estimate import Load, estimate
from worker.sizing.prices import SECONDS_A_MONTH, Prices

MEASURED = read_costs()
COST = MEASURED.mixed({"a": 0.8, "b": 0.15, "c": 0.05})
LOAD = Load(
    average_s=1_000,
    peak_s=1_500,
    peak_minutes=10,
    shares={"a": 0.8, "b": 0.15, "c": 0.05},
    conversations=1_000_000,
    retention_days=100,
    fifo=False,
    workers=2,
    indexed=1.0,
)
PRICES = Prices()


def test_there_is_no_lag_below_what_the_workers_carry() -> None:
    lag = estimate(LOAD, MEASURED, PRICES).lag
    assert lag.carried_s == pytest.approx(2 / COST.worker_cpu_s)
    assert lag.carried_s > LOAD.peak_s
    assert (lag.seconds, lag.waiting, lag.drained_after_s, lag.bound_by) == (0, 0, 0, "workers")


def test_the_backlog_of_a_peak_and_its_end() -> None:
    """Ten minutes at twice of what is carried: as much again waits, for ten minutes; half of the rate is spare."""
    carried = 2 / COST.worker_cpu_s
    load = msgspec.structs.replace(LOAD, average_s=carried / 2, peak_s=2 * carried)
    lag = estimate(load, MEASURED, PRICES).lag
    assert lag.waiting == pytest.approx(carried * 600)
    assert lag.seconds == pytest.approx(600)
    assert lag.drained_after_s == pytest.approx(1_200)


def test_a_backlog_of_too_large_an_average_never_ends() -> None:
    carried = 2 / COST.worker_cpu_s
    load = msgspec.structs.replace(LOAD, average_s=carried * 1.1, peak_s=carried * 1.2)
    assert estimate(load, MEASURED, PRICES).lag.drained_after_s is None


def test_mongodb_bounds_a_fleet_that_is_large_enough() -> None:
    carried = 8 / COST.mongod_cpu_s
    load = msgspec.structs.replace(LOAD, workers=1_000, peak_s=2 * carried)
    lag = estimate(load, MEASURED, PRICES).lag
    assert lag.bound_by == "mongod"
    assert lag.carried_s == pytest.approx(carried)
    assert lag.seconds == pytest.approx(600)


def test_without_workers_named_the_average_says_how_many() -> None:
    found = estimate(msgspec.structs.replace(LOAD, workers=None, average_s=10_000, peak_s=10_000), MEASURED, PRICES)
    assert found.workers == found.average.containers == found.peak.containers
    # A container has one core, and is busy for six tenths.
    assert found.workers == math.ceil(10_000 * COST.worker_cpu_s / 0.6)


def test_the_documents_go_by_the_conversations_and_the_records_by_the_days() -> None:
    one = estimate(LOAD, MEASURED, PRICES)
    more = estimate(msgspec.structs.replace(LOAD, conversations=3_000_000, retention_days=200), MEASURED, PRICES)
    assert one.documents_gb == pytest.approx(MEASURED.footprint.pair_bytes * 1e6 / 1e9)
    assert one.records_gb == pytest.approx(1_000 * 86_400 * 100 * COST.stored_bytes / 1e9)
    assert more.documents_gb == pytest.approx(3 * one.documents_gb)
    assert more.records_gb == pytest.approx(2 * one.records_gb)


def test_the_price_of_the_log_goes_by_its_bytes_and_its_indexed_lines() -> None:
    found = estimate(LOAD, MEASURED, PRICES).dollars["Datadog logs"]
    events = 1_000 * SECONDS_A_MONTH
    assert found == pytest.approx(events * MEASURED.footprint.logged_bytes / 1e9 * 0.10 + events / 1e6 * 1.70)
    unindexed = estimate(msgspec.structs.replace(LOAD, indexed=0.0), MEASURED, PRICES).dollars["Datadog logs"]
    assert unindexed == pytest.approx(found - events / 1e6 * 1.70)


def test_the_total_is_the_sum_of_the_items() -> None:
    found = estimate(LOAD, MEASURED, PRICES)
    assert found.total_dollars == pytest.approx(sum(found.dollars.values()))
    assert all(dollars >= 0 for dollars in found.dollars.values())


def test_a_quota_that_the_peak_exceeds_is_named() -> None:
    found = estimate(msgspec.structs.replace(LOAD, peak_s=40_000), MEASURED, PRICES)
    assert found.over_quota["SNS: messages/s published, the account"] == pytest.approx(40_000 * 1.05 / 30_000)
    assert estimate(LOAD, MEASURED, PRICES).over_quota == {}
