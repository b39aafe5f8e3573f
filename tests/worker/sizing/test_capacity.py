"""Proportions, quotas and price tiers."""

import msgspec
import pytest

from worker.settings.settings import Settings
from worker.sizing.capacity import IN_HAND_MAX, LANES, RECEIVERS, monthly_dollars, quota_uses, required_capacity
from worker.sizing.costs import EventCost
from worker.sizing.prices import SQS_STANDARD, Prices, dollars

COST = EventCost(
    kind="made up",
    worker_cpu_s=0.0006,
    mongod_cpu_s=0.0002,
    receive_calls=0.1,
    empty_receive_calls=0.0,
    delete_calls=0.1,
    publish_calls=0.01,
    published=0.05,
    transactions=0.02,
    stored_bytes=100.0,
    journal_bytes=500.0,
    network_bytes=2_000.0,
)


def test_ten_times_the_rate_takes_ten_times_the_cores_and_calls() -> None:
    some, more = (required_capacity(COST, rate) for rate in (10_000, 100_000))
    assert (some.containers, more.containers) == (10, 100)
    assert more.receives_s == pytest.approx(10 * some.receives_s)
    assert more.journal_mb_s == pytest.approx(10 * some.journal_mb_s)


def test_there_are_at_least_two_workers_unless_one_is_asked_for() -> None:
    assert required_capacity(COST, 10).containers == 2
    assert required_capacity(COST, 10, workers=1).containers == 1


def test_more_than_one_shard_doubles_mongods_cpu() -> None:
    one, many = (required_capacity(COST, rate) for rate in (20_000, 40_000))
    assert (one.shards, many.shards) == (1, 4)
    assert [one.mongod_cores, many.mongod_cores] == pytest.approx([4, 16])


def test_larger_nodes_take_fewer_shards() -> None:
    assert required_capacity(COST, 40_000, node_vcpus=32).shards == 1


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


@pytest.mark.parametrize(
    ("price", "item"),
    [
        ("sqs_million", "SQS calls"),
        ("sns_million", "SNS publishes"),
        ("vcpu_hour", "workers (Fargate, 1 vCPU, 2 GB)"),
        ("gb_hour", "workers (Fargate, 1 vCPU, 2 GB)"),
        ("mongod_node_hour", "MongoDB nodes"),
        ("storage_gb_month", "storage of 30 days' growth"),
        ("between_zones_gb", "traffic between zones"),
    ],
)
def test_ones_own_price_changes_its_item_alone(price: str, item: str) -> None:
    need = required_capacity(COST, 1_000)
    usual = monthly_dollars(need, fifo=False)
    dear = monthly_dollars(need, fifo=False, prices_now=msgspec.structs.replace(Prices(), **{price: 1_000.0}))
    assert {name for name in usual if dear[name] != pytest.approx(usual[name])} == {item}
    assert dear[item] > usual[item]


def test_a_price_of_nothing_costs_nothing() -> None:
    free = Prices(sqs_million=0, sns_million=0)
    found = monthly_dollars(required_capacity(COST, 1_000), fifo=False, prices_now=free)
    assert (found["SQS calls"], found["SNS publishes"]) == (0, 0)


def test_the_assumed_settings_are_the_defaults() -> None:
    assert {name: Settings.model_fields[name].default for name in ("lanes", "receivers", "in_hand_max")} == {
        "lanes": LANES,
        "receivers": RECEIVERS,
        "in_hand_max": IN_HAND_MAX,
    }
