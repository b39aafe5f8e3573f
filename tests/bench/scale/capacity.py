"""Capacity, quota use and monthly price of a rate of events, from the measured costs of one event.

Assumptions that were not measured are the constants below. Not included: load balancers, logs, metrics, backups, staff.
"""

import math
from collections.abc import Mapping
from typing import Final

from msgspec import Struct

from tests.bench.scale import prices
from tests.bench.scale.prices import Quota

WORKER_BUSY: Final = 0.6
"""The share of its core that a worker uses. The rest is for peaks and for the load of a lost container."""
MONGOD_BUSY: Final = 0.5
SHARDED_FACTOR: Final = 2.0
"""The factor of mongod's CPU with more than one shard: transactions span shards and commit in two phases. Assumed."""
CONTAINERS_MIN: Final = 2
MEMBERS: Final = 3
"""Members of a replica set, each in an availability zone of its own."""
OTHER_ZONE: Final = 2 / 3
"""The share of the traffic between workers and primaries that crosses availability zones."""
LANES: Final = 2
RECEIVERS: Final = 4
IN_HAND_MAX: Final = 800
MESSAGE_BYTES: Final = 3_300
KEPT_DAYS: Final = 30


class RequiredCapacity(Struct, frozen=True, kw_only=True):
    """The capacity that `rate` events a second require. Names in `_s` are per second."""

    rate: int
    worker_cores: float
    containers: int
    mongod_cores: float
    shards: int
    receives_s: float
    deletes_s: float
    publishes_s: float
    published_s: float
    mongod_mb_s: float
    journal_mb_s: float
    kept_gb: float

    @property
    def in_flight_max(self) -> int:
        """The most messages that all workers hold at once."""
        return self.containers * IN_HAND_MAX


class QuotaUse(Struct, frozen=True, kw_only=True):
    """The used share of a quota; 1 is the whole quota."""

    quota: Quota
    share: float


def required_capacity(cost: Mapping[str, float], rate: int) -> RequiredCapacity:
    """The capacity that `rate` events a second require. `cost`: the costs of one event (growth/costs.py)."""
    containers = max(math.ceil(rate * cost["worker_cpu_s"] / WORKER_BUSY), CONTAINERS_MIN)
    cores = rate * cost["mongod_cpu_s"]
    shards = math.ceil(cores / MONGOD_BUSY / prices.MONGOD_NODE_VCPUS)
    if shards > 1:
        cores *= SHARDED_FACTOR
        shards = math.ceil(cores / MONGOD_BUSY / prices.MONGOD_NODE_VCPUS)
    polls_s = containers * RECEIVERS / 20
    return RequiredCapacity(
        rate=rate,
        worker_cores=rate * cost["worker_cpu_s"],
        containers=containers,
        mongod_cores=cores,
        shards=max(shards, 1),
        receives_s=max(rate * cost["receive_calls"], polls_s),
        deletes_s=rate * cost["delete_calls"],
        publishes_s=rate * cost["publish_calls"],
        published_s=rate * cost["published"],
        mongod_mb_s=rate * cost["network_bytes"] / 1e6,
        journal_mb_s=rate * cost["journal_bytes"] / 1e6,
        kept_gb=max(rate * cost["stored_bytes"], 0) * 86_400 * KEPT_DAYS / 1e9,
    )


def quota_uses(need: RequiredCapacity, *, fifo: bool) -> list[QuotaUse]:
    """The quotas that apply, the most used first. `fifo`: FIFO queues and topics, else standard ones."""
    one_set = Quota(
        name=f"MongoDB: one primary of {prices.MONGOD_NODE_VCPUS} vCPUs, {MONGOD_BUSY:.0%} busy",
        limit=prices.MONGOD_NODE_VCPUS * MONGOD_BUSY,
        adjustable="by shards",
        source="measure_rounds",
    )
    # The producers publish the incoming events from the same account.
    published_s = need.rate + need.published_s
    found = [
        (prices.SQS_IN_FLIGHT, need.in_flight_max),
        (prices.FARGATE_VCPUS, need.containers),
        (one_set, need.mongod_cores / (SHARDED_FACTOR if need.shards > 1 else 1)),
    ]
    if fifo:
        calls_s = max(need.receives_s, need.deletes_s)
        found += [
            (prices.SQS_FIFO_CALLS, calls_s),
            (prices.SQS_FIFO_MESSAGES, need.rate),
            (prices.SQS_FIFO_FAST_CALLS, calls_s),
            (prices.SNS_FIFO_PUBLISHED, published_s),
            (prices.SNS_FIFO_FAST_PUBLISHED, published_s),
        ]
    else:
        found += [(prices.SNS_PUBLISHED, published_s)]
    return sorted(
        (QuotaUse(quota=quota, share=used / quota.limit) for quota, used in found), key=lambda use: -use.share
    )


def monthly_dollars(need: RequiredCapacity, *, fifo: bool) -> dict[str, float]:
    """US dollars a month, by item."""
    month = prices.SECONDS_A_MONTH
    sqs, sns = (prices.SQS_FIFO, prices.SNS_FIFO) if fifo else (prices.SQS_STANDARD, prices.SNS_STANDARD)
    # SQS bills a call per 64 KB, and ten messages are 48 KB. SNS's delivery is one call an event.
    calls_s = need.rate + need.receives_s + need.deletes_s
    payload_dollars = need.published_s * MESSAGE_BYTES * month / 1e9 * prices.SNS_FIFO_GB if fifo else 0.0
    container = prices.FARGATE_VCPU_HOUR + prices.CONTAINER_GB * prices.FARGATE_GB_HOUR
    nodes = need.shards * MEMBERS
    crossing_mb_s = need.mongod_mb_s * OTHER_ZONE + need.journal_mb_s * (MEMBERS - 1)
    return {
        "workers (Fargate, 1 vCPU, 2 GB)": need.containers * container * prices.HOURS_A_MONTH,
        "MongoDB nodes": nodes * prices.MONGOD_NODE_HOUR * prices.HOURS_A_MONTH,
        f"storage of {KEPT_DAYS} days' growth": need.kept_gb * MEMBERS * prices.STORAGE_GB_MONTH,
        "SQS calls": prices.dollars(calls_s * month, sqs),
        "SNS publishes": prices.dollars(need.publishes_s * month, sns) + payload_dollars,
        "traffic between zones": crossing_mb_s * month / 1e3 * prices.BETWEEN_ZONES_GB,
    }
