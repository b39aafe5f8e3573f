"""`make scale`: what was measured on one machine, taken to rates that need many.

Reads the figures of `make bench-growth PARTS=costs ARGS=--json`, multiplies, and holds the result against quotas and
prices (scale_prices.py). What is assumed and not measured stands below, by name. Leaves out what grows with nothing
here: load balancers, logs, metrics, backups, people.
"""

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import orjson
from msgspec import Struct
from rich import box
from rich.console import Console
from rich.table import Table

from tests.bench.scale import prices
from tests.bench.scale.prices import Quota

RATES: Final = (1_000, 10_000, 100_000)
FIGURES: Final = Path(__file__).parent / "measured_costs.json"

WORKER_BUSY: Final = 0.6
"""Share of its core that a worker is planned to use: the rest is for peaks and for what a lost container leaves."""
MONGOD_BUSY: Final = 0.5
SHARDED_FACTOR: Final = 2.0
"""Assumed: with more than one shard a batch's transaction spans several and commits in two phases. Not measured."""
CONTAINERS_MIN: Final = 2
MEMBERS: Final = 3
"""Of a replica set, each in an availability zone of its own."""
OTHER_ZONE: Final = 2 / 3
"""Of the traffic between workers and primaries."""
LANES: Final = 2
RECEIVERS: Final = 4
IN_HAND_MAX: Final = 800
MESSAGE_BYTES: Final = 3_300
KEPT_DAYS: Final = 30


class RequiredCapacity(Struct, frozen=True, kw_only=True):
    """What a rate takes. `…_s`: a second."""

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
        """All that the workers take into hand."""
        return self.containers * IN_HAND_MAX


class QuotaUse(Struct, frozen=True, kw_only=True):
    """How much of a quota is used; 1 is all."""

    quota: Quota
    share: float


def required_capacity(cost: Mapping[str, float], rate: int) -> RequiredCapacity:
    """What so many events a second take, each costing so much."""
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
    """The quotas that apply, the fullest first: what breaks first."""
    one_set = Quota(
        name=f"MongoDB: one primary of {prices.MONGOD_NODE_VCPUS} vCPUs, {MONGOD_BUSY:.0%} busy",
        limit=prices.MONGOD_NODE_VCPUS * MONGOD_BUSY,
        adjustable="by shards",
        source="measure_rounds",
    )
    # Whoever publishes the events that come in does so from the same account, as a rule.
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
    """Dollars a month, by what they are paid for."""
    month = prices.SECONDS_A_MONTH
    sqs, sns = (prices.SQS_FIFO, prices.SNS_FIFO) if fifo else (prices.SQS_STANDARD, prices.SNS_STANDARD)
    # Ten messages are 48 KB, and a call is paid once for every 64 KB. SNS's delivery is a call for every event.
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


def _needs_table(load: str, found: Sequence[RequiredCapacity]) -> Table:
    rows: dict[str, list[str]] = {
        "worker cores at work": [f"{each.worker_cores:,.1f}" for each in found],
        f"containers of one vCPU, {WORKER_BUSY:.0%} busy": [f"{each.containers:,}" for each in found],
        f"lanes ({LANES} a container)": [f"{each.containers * LANES:,}" for each in found],
        "mongod cores at work, all primaries": [f"{each.mongod_cores:,.1f}" for each in found],
        "shards of three": [f"{each.shards:,}" for each in found],
        "SQS receives/s, full": [f"{each.receives_s:,.0f}" for each in found],
        "SQS deletes/s": [f"{each.deletes_s:,.0f}" for each in found],
        "SNS publishes/s": [f"{each.publishes_s:,.0f}" for each in found],
        "messages in hand at most": [f"{each.in_flight_max:,}" for each in found],
        "to and from mongod, MB/s": [f"{each.mongod_mb_s:,.0f}" for each in found],
        "journal, MB/s": [f"{each.journal_mb_s:,.1f}" for each in found],
        f"stored in {KEPT_DAYS} days, GB": [f"{each.kept_gb:,.0f}" for each in found],
    }
    return _table(f"What it takes; load {load}", found, rows)


def _uses_table(load: str, found: Sequence[RequiredCapacity], *, fifo: bool) -> Table:
    by_rate = [{use.quota.name: use for use in quota_uses(each, fifo=fifo)} for each in found]
    rows = {
        f"{name} ({use.quota.limit:,.0f})": [
            f"{each[name].share:.0%}{' !' if each[name].share > 1 else ''}" for each in by_rate
        ]
        for name, use in by_rate[-1].items()
    }
    return _table(f"Used of each quota, {_queues(fifo)}; load {load}", found, rows)


def _quotas_table() -> Table:
    table = Table(title=f"Quotas, us-east-1, as of {prices.AS_OF}", title_justify="left", box=box.MARKDOWN)
    for column in ("", "limit", "raised", "source"):
        table.add_column(column, justify="right" if column == "limit" else "left")
    for quota in prices.QUOTAS:
        source = quota.source if quota.looked_up else f"{quota.source}; from memory"
        table.add_row(quota.name, f"{quota.limit:,.0f}", quota.adjustable, source)
    return table


def _money_table(load: str, found: Sequence[RequiredCapacity], *, fifo: bool) -> Table:
    by_rate = [monthly_dollars(each, fifo=fifo) for each in found]
    rows = {name: [f"{each[name]:,.0f}" for each in by_rate] for name in by_rate[0]}
    rows["all"] = [f"{sum(each.values()):,.0f}" for each in by_rate]
    events = [each.rate * prices.SECONDS_A_MONTH / 1e6 for each in found]
    totals = [sum(each.values()) for each in by_rate]
    rows["a million events"] = [f"{total / count:.2f}" for total, count in zip(totals, events, strict=True)]
    return _table(f"Dollars a month, {_queues(fifo)}; load {load}", found, rows)


def _queues(fifo: bool) -> str:
    return "FIFO" if fifo else "standard queues and topics"


def _table(title: str, found: Sequence[RequiredCapacity], rows: Mapping[str, Sequence[str]]) -> Table:
    table = Table(title=title, title_justify="left", box=box.MARKDOWN)
    table.add_column("")
    for each in found:
        table.add_column(f"{each.rate:,}/s", justify="right")
    for name, cells in rows.items():
        table.add_row(name, *cells)
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables."""
    parser = argparse.ArgumentParser(prog="make scale", description=__doc__)
    parser.add_argument("--figures", type=Path, default=FIGURES, help="as `make bench-growth` printed them")
    parser.add_argument("--loads", default="dc")
    asked = parser.parse_args(arguments)
    figures: dict[str, Any] = orjson.loads(asked.figures.read_bytes())
    costs = {cost["kind"][0]: cost for cost in figures["costs"]}
    console = Console()
    console = Console(width=max(console.width, 132))
    for load in asked.loads:
        cost = costs[load]
        found = [required_capacity(cost, rate) for rate in RATES]
        console.print(_needs_table(cost["kind"], found))
        for fifo in (False, True):
            console.print(_uses_table(cost["kind"], found, fifo=fifo))
            console.print(_money_table(cost["kind"], found, fifo=fifo))
    console.print(_quotas_table())
    console.print(f"Measured: {figures['machine']}", highlight=False)
    console.print(f"Quotas and prices as of {prices.AS_OF}: {'; '.join(prices.SOURCES)}", highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
