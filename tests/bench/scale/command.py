"""`make scale`: the measured costs of an event, projected to 1,000, 10,000 and 100,000 events a second.

Reads what `make bench-growth PARTS=costs,footprint ARGS="--update FILE"` wrote. Prints tables of the capacity that each
rate requires, of its quotas and of its price, all computed by `worker/sizing/`, as `routing-sync size` does.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from tests.bench.markdown import markdown_table
from worker.sizing import prices
from worker.sizing.capacity import (
    KEPT_DAYS,
    LANES,
    WORKER_BUSY,
    RequiredCapacity,
    monthly_dollars,
    quota_uses,
    required_capacity,
)
from worker.sizing.costs import LETTERS, MEASURED_FILE, read_costs

RATES: Final = (1_000, 10_000, 100_000)


def _capacity_table(load: str, found: Sequence[RequiredCapacity]) -> Table:
    rows: dict[str, list[str]] = {
        "worker cores in use": [f"{each.worker_cores:,.1f}" for each in found],
        f"containers of one vCPU, {WORKER_BUSY:.0%} busy": [f"{each.containers:,}" for each in found],
        f"lanes ({LANES} a container)": [f"{each.containers * LANES:,}" for each in found],
        "mongod cores in use, all primaries": [f"{each.mongod_cores:,.1f}" for each in found],
        "shards of three": [f"{each.shards:,}" for each in found],
        "SQS receives/s, full": [f"{each.receives_s:,.0f}" for each in found],
        "SQS deletes/s": [f"{each.deletes_s:,.0f}" for each in found],
        "SNS publishes/s": [f"{each.publishes_s:,.0f}" for each in found],
        "messages in flight, maximum": [f"{each.in_flight_max:,}" for each in found],
        "to and from mongod, MB/s": [f"{each.mongod_mb_s:,.0f}" for each in found],
        "journal, MB/s": [f"{each.journal_mb_s:,.1f}" for each in found],
        f"stored in {KEPT_DAYS} days, GB": [f"{each.kept_gb(KEPT_DAYS):,.0f}" for each in found],
    }
    return _table(f"Required capacity; load {load}", found, rows)


def _uses_table(load: str, found: Sequence[RequiredCapacity], *, fifo: bool) -> Table:
    by_rate = [{use.quota.name: use for use in quota_uses(each, fifo=fifo)} for each in found]
    rows = {
        f"{name} ({use.quota.limit:,.0f})": [
            f"{each[name].share:.0%}{' !' if each[name].share > 1 else ''}" for each in by_rate
        ]
        for name, use in by_rate[-1].items()
    }
    return _table(f"Used share of each quota, {_queues(fifo)}; load {load}", found, rows)


def _quotas_table() -> Table:
    table = markdown_table(f"Quotas, us-east-1, as of {prices.AS_OF}", "", "limit", "raised", "source")
    for column in table.columns[2:]:
        column.justify = "left"
    for quota in prices.QUOTAS:
        source = quota.source if quota.looked_up else f"{quota.source}; from memory"
        table.add_row(quota.name, f"{quota.limit:,.0f}", quota.adjustable, source)
    return table


def _money_table(load: str, found: Sequence[RequiredCapacity], *, fifo: bool) -> Table:
    by_rate = [monthly_dollars(each, fifo=fifo) for each in found]
    rows = {name: [f"{each[name]:,.0f}" for each in by_rate] for name in by_rate[0]}
    rows["total"] = [f"{sum(each.values()):,.0f}" for each in by_rate]
    events = [each.rate * prices.SECONDS_A_MONTH / 1e6 for each in found]
    totals = [sum(each.values()) for each in by_rate]
    rows["per million events"] = [f"{total / count:.2f}" for total, count in zip(totals, events, strict=True)]
    return _table(f"Dollars a month, {_queues(fifo)}; load {load}", found, rows)


def _queues(fifo: bool) -> str:
    return "FIFO" if fifo else "standard queues and topics"


def _table(title: str, found: Sequence[RequiredCapacity], rows: Mapping[str, Sequence[str]]) -> Table:
    table = markdown_table(title, "", *(f"{each.rate:,.0f}/s" for each in found))
    for name, cells in rows.items():
        table.add_row(name, *cells)
    return table


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints the tables. Returns 0."""
    parser = argparse.ArgumentParser(prog="make scale", description=__doc__)
    parser.add_argument("--figures", type=Path, default=MEASURED_FILE, help="file that `make bench-growth` updated")
    parser.add_argument("--loads", default="dc", help="loads, by their letters: a, b, c, d")
    asked = parser.parse_args(arguments)
    unknown = sorted(set(asked.loads) - set(LETTERS))
    if unknown:
        parser.error(f"no such loads: {', '.join(unknown)}; the loads are {', '.join(LETTERS)}")
    figures = read_costs(asked.figures)
    console = Console()
    console = Console(width=max(console.width, 132))
    for load in asked.loads:
        cost = figures.of(load)
        found = [required_capacity(cost, rate) for rate in RATES]
        console.print(_capacity_table(cost.kind, found))
        for fifo in (False, True):
            console.print(_uses_table(cost.kind, found, fifo=fifo))
            console.print(_money_table(cost.kind, found, fifo=fifo))
    console.print(_quotas_table())
    for part, measured in figures.measured.items():
        where = f"{measured.date}, commit {measured.commit}, on {measured.machine}"
        console.print(f"Measured ({part}): {where}", highlight=False)
    console.print(f"Quotas and prices as of {prices.AS_OF}: {'; '.join(prices.SOURCES)}", highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
