"""`make scale` computes proportions, quotas and price tiers correctly."""

import pytest

from tests.bench.scale.capacity import monthly_dollars, quota_uses, required_capacity
from tests.bench.scale.command import RATES, main
from tests.bench.scale.prices import SQS_STANDARD, dollars

COST = {
    "worker_cpu_s": 0.0006,
    "mongod_cpu_s": 0.0002,
    "receive_calls": 0.1,
    "empty_receive_calls": 0.0,
    "delete_calls": 0.1,
    "publish_calls": 0.01,
    "published": 0.05,
    "transactions": 0.02,
    "stored_bytes": 100.0,
    "journal_bytes": 500.0,
    "network_bytes": 2_000.0,
}


def test_ten_times_the_rate_takes_ten_times_the_cores_and_calls() -> None:
    some, more = (required_capacity(COST, rate) for rate in (10_000, 100_000))
    assert (some.containers, more.containers) == (10, 100)
    assert more.receives_s == pytest.approx(10 * some.receives_s)
    assert more.journal_mb_s == pytest.approx(10 * some.journal_mb_s)


def test_there_are_at_least_two_workers() -> None:
    assert required_capacity(COST, 10).containers == 2


def test_more_than_one_shard_doubles_mongods_cpu() -> None:
    one, many = (required_capacity(COST, rate) for rate in (20_000, 40_000))
    assert (one.shards, many.shards) == (1, 4)
    assert [one.mongod_cores, many.mongod_cores] == pytest.approx([4, 16])


def test_with_fifo_the_calls_to_a_queue_are_the_first_quota_to_be_full() -> None:
    first = quota_uses(required_capacity(COST, 10_000), fifo=True)[0]
    assert "FIFO" in first.quota.name
    assert first.share == pytest.approx(10_000 * 1.05 / 3_000)


def test_calls_are_priced_by_tiers() -> None:
    assert dollars(1e6, SQS_STANDARD) == pytest.approx(0.40)
    assert dollars(250_000e6, SQS_STANDARD) == pytest.approx(100_000 * 0.40 + 100_000 * 0.30 + 50_000 * 0.24)


def test_fifo_costs_more_than_standard() -> None:
    need = required_capacity(COST, 1_000)
    assert sum(monthly_dollars(need, fifo=True).values()) > sum(monthly_dollars(need, fifo=False).values())


def test_the_stored_figures_are_printed_for_every_rate(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    printed = capsys.readouterr().out
    assert all(f"{rate:,}/s" in printed for rate in RATES)
