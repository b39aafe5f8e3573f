"""Capacity, quota use and monthly price of a rate of events, from the measured costs of one event.

Assumptions that were not measured are the constants below. Not included: load balancers, backups, staff.
"""

import math
from typing import Final

from msgspec import Struct

from worker.sizing import prices
from worker.sizing.costs import EventCost
from worker.sizing.prices import DEFAULT_PRICES, Prices, Quota

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
# The defaults of LANES, RECEIVERS and IN_HAND_MAX. Reading them from the settings would take a second.
LANES: Final = 2
RECEIVERS: Final = 4
IN_HAND_MAX: Final = 800
MESSAGE_BYTES: Final = 3_300
KEPT_DAYS: Final = 30


class RequiredCapacity(Struct, frozen=True, kw_only=True):
    """The capacity that `rate` events a second require. Names in `_s` are per second."""

    rate: float
    worker_cores: float
    containers: int
    mongod_cores: float
    mongod_node_vcpus: float
    shards: int
    receives_s: float
    deletes_s: float
    publishes_s: float
    published_s: float
    transactions_s: float
    mongod_mb_s: float
    journal_mb_s: float
    stored_mb_day: float
    """By what MongoDB's files grow, on each member."""

    @property
    def in_flight_max(self) -> int:
        """The most messages that all workers hold at once."""
        return self.containers * IN_HAND_MAX

    def kept_gb(self, days: float) -> float:
        """By what MongoDB's files have grown after so many days, on each member."""
        return self.stored_mb_day * days / 1e3


class QuotaUse(Struct, frozen=True, kw_only=True):
    """The used share of a quota; 1 is the whole quota."""

    quota: Quota
    share: float


def required_capacity(
    cost: EventCost, rate: float, *, workers: int | None = None, node_vcpus: float = DEFAULT_PRICES.mongod_node_vcpus
) -> RequiredCapacity:
    """The capacity that `rate` events a second require. `cost`: the costs of one event. `workers`: so many containers,
    whatever the rate; None: as many as it takes."""
    containers = workers or max(math.ceil(rate * cost.worker_cpu_s / WORKER_BUSY), CONTAINERS_MIN)
    cores = rate * cost.mongod_cpu_s
    shards = math.ceil(cores / MONGOD_BUSY / node_vcpus)
    if shards > 1:
        cores *= SHARDED_FACTOR
        shards = math.ceil(cores / MONGOD_BUSY / node_vcpus)
    polls_s = containers * RECEIVERS / 20
    return RequiredCapacity(
        rate=rate,
        worker_cores=rate * cost.worker_cpu_s,
        containers=containers,
        mongod_cores=cores,
        mongod_node_vcpus=node_vcpus,
        shards=max(shards, 1),
        receives_s=max(rate * cost.receive_calls, polls_s),
        deletes_s=rate * cost.delete_calls,
        publishes_s=rate * cost.publish_calls,
        published_s=rate * cost.published,
        transactions_s=rate * cost.transactions,
        mongod_mb_s=rate * cost.network_bytes / 1e6,
        journal_mb_s=rate * cost.journal_bytes / 1e6,
        stored_mb_day=max(rate * cost.stored_bytes, 0) * 86_400 / 1e6,
    )


def quota_uses(need: RequiredCapacity, *, fifo: bool) -> list[QuotaUse]:
    """The quotas that apply, the most used first. `fifo`: FIFO queues and topics, else standard ones."""
    one_set = Quota(
        name=f"MongoDB: one primary of {need.mongod_node_vcpus:g} vCPUs, {MONGOD_BUSY:.0%} busy",
        limit=need.mongod_node_vcpus * MONGOD_BUSY,
        adjustable="by shards",
        source="measured",
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


def sqs_calls_s(need: RequiredCapacity) -> float:
    """Calls that SQS bills, a second: receives, deletes, and SNS's delivery of each event.

    SQS bills a call per 64 KB, and ten messages are 48 KB.
    """
    return need.rate + need.receives_s + need.deletes_s


def monthly_dollars(
    need: RequiredCapacity, *, fifo: bool, prices_now: Prices = DEFAULT_PRICES, days: float = KEPT_DAYS
) -> dict[str, float]:
    """US dollars a month, by item. `days`: the age of the records that MongoDB keeps beside the documents."""
    month = prices.SECONDS_A_MONTH
    payload_dollars = need.published_s * MESSAGE_BYTES * month / 1e9 * prices_now.sns_fifo_gb if fifo else 0.0
    container = prices_now.vcpu_hour + prices_now.container_gb * prices_now.gb_hour
    nodes = need.shards * MEMBERS
    crossing_mb_s = need.mongod_mb_s * OTHER_ZONE + need.journal_mb_s * (MEMBERS - 1)
    publishes = prices.dollars(need.publishes_s * month, prices_now.sns(fifo=fifo))
    workers = f"workers (Fargate, 1 vCPU, {prices_now.container_gb:g} GB)"
    return {
        workers: need.containers * container * prices.HOURS_A_MONTH,
        "MongoDB nodes": nodes * prices_now.mongod_node_hour * prices.HOURS_A_MONTH,
        f"storage of {days:g} days' growth": need.kept_gb(days) * MEMBERS * prices_now.storage_gb_month,
        "SQS calls": prices.dollars(sqs_calls_s(need) * month, prices_now.sqs(fifo=fifo)),
        "SNS publishes": publishes + payload_dollars,
        "traffic between zones": crossing_mb_s * month / 1e3 * prices_now.between_zones_gb,
    }
