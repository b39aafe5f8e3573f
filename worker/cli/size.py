"""`routing-sync size`: what a load of one's own takes and costs, by the measured costs of one event."""

import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import orjson
import typer

from worker.cli.terminal import exit_with_error, json_option
from worker.sizing.prices import DEFAULT_PRICES

if TYPE_CHECKING:
    from worker.sizing.capacity import RequiredCapacity
    from worker.sizing.costs import MeasuredCosts
    from worker.sizing.estimate import Estimate, Lag, Load
    from worker.sizing.prices import Prices

_RATE: Final = 10_000_000.0
_PRICE: Final = 1_000_000.0
_AWS_TIERS: Final = "AWS's tiers"
_DEFAULT: Final = DEFAULT_PRICES


def _price(help_text: str, *, shown: bool | str = True) -> Any:
    return typer.Option(min=0, max=_PRICE, help=f"US dollars {help_text}", show_default=shown)


AVERAGE = Annotated[float, typer.Option(min=0.001, max=_RATE, help="Events a second, over a month.")]
PEAK = Annotated[
    float | None,
    typer.Option(min=0.001, max=_RATE, help="Events a second at the peak.", show_default="three times the average"),
]
PEAK_MINUTES = Annotated[float, typer.Option(min=0, max=100_000, help="How long the peak lasts.")]
OWN = Annotated[float, typer.Option(min=0, max=100, help="Percent of the events: the worker's own syncs.")]
UNSHARED = Annotated[float, typer.Option(min=0, max=100, help="Percent: events without a shared field.")]
SYNCS = Annotated[float, typer.Option(min=0, max=100, help="Percent: events that end in a sync.")]
CONVERSATIONS = Annotated[int, typer.Option(min=0, max=10**12, help="Conversations that MongoDB keeps.")]
RETENTION = Annotated[float, typer.Option(min=0, max=36_500, help="Days for which records are kept: REVISION_DAYS.")]
WORKERS = Annotated[
    int | None,
    typer.Option(min=1, max=1_000_000, help="Workers that run.", show_default="what the average takes"),
]
FIFO = Annotated[bool, typer.Option("--fifo", help="FIFO queue and topics.")]
INDEXED = Annotated[float, typer.Option(min=0, max=100, help="Percent of the log lines that Datadog indexes.")]
MONGO_VCPUS = Annotated[float, typer.Option(min=0.1, max=10_000, help="Cores of a MongoDB node.")]
WORKER_GB = Annotated[float, typer.Option(min=0.1, max=10_000, help="Memory that a worker's container is sold with.")]
SQS_MILLION = Annotated[float | None, _price("a million calls to SQS.", shown=_AWS_TIERS)]
SNS_MILLION = Annotated[float | None, _price("a million publishes to SNS.", shown=_AWS_TIERS)]
VCPU_HOUR = Annotated[float, _price("a vCPU and hour of a worker.")]
GB_HOUR = Annotated[float, _price("a gigabyte and hour of a worker's memory.")]
MONGO_HOUR = Annotated[float, _price("a MongoDB node and hour.")]
STORAGE_GB = Annotated[float, _price("a gigabyte and month of MongoDB's disk.")]
ZONES_GB = Annotated[float, _price("a gigabyte between availability zones.")]
METRIC_MONTH = Annotated[float, _price("a time series and month of Datadog.")]
LOG_GB = Annotated[float, _price("a gigabyte of log into Datadog.")]
LOG_MILLION = Annotated[float, _price("a million log lines that Datadog indexes.")]
FIGURES = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        help="Costs that `make bench-growth` measured on your machine.",
        show_default="those of the package",
    ),
]
JSON = Annotated[bool, json_option("One JSON object.")]
_MIX: Final = "--own-syncs, --unshared, --syncs"


def size(  # noqa: PLR0917 - typer passes options by name
    average: AVERAGE = 100,
    peak: PEAK = None,
    peak_minutes: PEAK_MINUTES = 30,
    own_syncs: OWN = 80,
    unshared: UNSHARED = 15,
    syncs: SYNCS = 5,
    conversations: CONVERSATIONS = 1_000_000,
    retention_days: RETENTION = 400,
    workers: WORKERS = None,
    fifo: FIFO = False,
    indexed_percent: INDEXED = 100,
    mongo_vcpus: MONGO_VCPUS = _DEFAULT.mongod_node_vcpus,
    worker_gb: WORKER_GB = _DEFAULT.container_gb,
    price_sqs_million: SQS_MILLION = None,
    price_sns_million: SNS_MILLION = None,
    price_vcpu_hour: VCPU_HOUR = _DEFAULT.vcpu_hour,
    price_gb_hour: GB_HOUR = _DEFAULT.gb_hour,
    price_mongo_hour: MONGO_HOUR = _DEFAULT.mongod_node_hour,
    price_storage_gb: STORAGE_GB = _DEFAULT.storage_gb_month,
    price_zones_gb: ZONES_GB = _DEFAULT.between_zones_gb,
    price_metric: METRIC_MONTH = _DEFAULT.metric_month,
    price_log_gb: LOG_GB = _DEFAULT.log_gb,
    price_log_million: LOG_MILLION = _DEFAULT.log_million,
    figures: FIGURES = None,
    as_json: JSON = False,
) -> None:
    """Say what a load takes and costs: workers, calls to SQS and SNS, MongoDB, the lag at the peak, a month's price.

    It multiplies the measured costs of one event, and names the machine, commit and date of the measurement: yours
    differ. Nothing is asked of AWS, and nothing is measured. docs/scale.md has the assumptions.
    """
    from worker.sizing.estimate import Load  # noqa: PLC0415 - `--help` loads none of it
    from worker.sizing.prices import Prices  # noqa: PLC0415

    load = Load(
        average_s=average,
        peak_s=_peak(average, peak),
        peak_minutes=peak_minutes,
        shares=_shares(own_syncs, unshared, syncs),
        conversations=conversations,
        retention_days=retention_days,
        fifo=fifo,
        workers=workers,
        indexed=indexed_percent / 100,
    )
    prices_now = Prices(
        sqs_million=price_sqs_million,
        sns_million=price_sns_million,
        vcpu_hour=price_vcpu_hour,
        gb_hour=price_gb_hour,
        container_gb=worker_gb,
        mongod_node_hour=price_mongo_hour,
        mongod_node_vcpus=mongo_vcpus,
        storage_gb_month=price_storage_gb,
        between_zones_gb=price_zones_gb,
        metric_month=price_metric,
        log_gb=price_log_gb,
        log_million=price_log_million,
    )
    _print_estimate(load, _measured(figures), prices_now, as_json=as_json)


def _print_estimate(load: "Load", measured: "MeasuredCosts", prices: "Prices", *, as_json: bool) -> None:
    from worker.sizing.estimate import estimate  # noqa: PLC0415

    found = estimate(load, measured, prices)
    if as_json:
        sys.stdout.write(orjson.dumps(_wire(found, measured, prices)).decode() + "\n")
    else:
        sys.stdout.writelines(f"{line}\n" for line in _lines(found, measured))


def _peak(average_s: float, peak_s: float | None) -> float:
    if peak_s is None:
        return 3 * average_s
    if peak_s < average_s:
        raise typer.BadParameter(
            f"{peak_s:g} is less than --average {average_s:g}: raise it, or lower --average", param_hint="--peak"
        )
    return peak_s


def _shares(own: float, unshared: float, syncs: float) -> dict[str, float]:
    total = own + unshared + syncs
    if not math.isclose(total, 100, abs_tol=0.01):
        raise typer.BadParameter(
            f"they add up to {total:g} percent: make them 100, all three of them named", param_hint=_MIX
        )
    return {"a": own / total, "b": unshared / total, "c": syncs / total}


def _measured(path: Path | None) -> "MeasuredCosts":
    from worker.sizing.costs import MEASURED_FILE, UnusableFigures, read_costs  # noqa: PLC0415

    try:
        return read_costs(path or MEASURED_FILE)
    except OSError as fault:
        exit_with_error("size", f"cannot read --figures {path}: {fault.strerror}")
    except UnusableFigures as fault:
        remedy = 'make one with `make bench-growth PARTS=costs,footprint ARGS="--update FILE"`'
        exit_with_error("size", f"--figures {path} holds no measured costs: {fault}: {remedy}")


def _lines(found: "Estimate", measured: "MeasuredCosts") -> Iterator[str]:
    from worker.sizing.prices import AS_OF, SECONDS_A_MONTH  # noqa: PLC0415

    load = found.load
    yield _mix_line(load)
    yield ""
    yield from _table(found)
    yield ""
    yield from _notes(found)
    yield ""
    yield "US dollars a month"
    for name, dollars in found.dollars.items():
        yield f"  {name:<40}{dollars:>14,.0f}"
    yield f"  {'total':<40}{found.total_dollars:>14,.0f}"
    per_million = found.total_dollars / (load.average_s * SECONDS_A_MONTH / 1e6)
    yield f"  {'per million events':<40}{per_million:>14,.2f}"
    yield ""
    for part, origin in measured.measured.items():
        yield f"Measured ({part}): {origin.date}, commit {origin.commit}, on {origin.machine}"
    yield f"Your machine differs: take this for proportions. Prices of us-east-1, {AS_OF}; --help names each."


def _mix_line(load: "Load") -> str:
    shares = ", ".join(
        f"{load.shares[letter] * 100:.3g} % {name}"
        for letter, name in (("a", "own syncs"), ("b", "without a shared field"), ("c", "that end in a sync"))
    )
    queues = "FIFO" if load.fifo else "standard"
    return f"Events: {shares}; {queues} queue and topics; peak of {load.peak_minutes:g} min"


def _table(found: "Estimate") -> Iterator[str]:
    from worker.sizing.capacity import WORKER_BUSY  # noqa: PLC0415

    def row(name: str, cell: Any) -> str:
        return f"  {name:<40}{cell(found.average):>14}{cell(found.peak):>14}"

    yield f"  {'':<40}{'average':>14}{'peak':>14}"
    yield row("events/s", lambda at: f"{at.rate:,.6g}")
    yield row(f"workers of one vCPU, {WORKER_BUSY:.0%} busy", lambda at: f"{at.containers:,}")
    yield row("worker cores in use", lambda at: f"{at.worker_cores:,.2f}")
    yield row("messages in flight, maximum", lambda at: f"{at.in_flight_max:,}")
    yield row("SQS receives/s", lambda at: f"{at.receives_s:,.1f}")
    yield row("SQS deletes/s", lambda at: f"{at.deletes_s:,.1f}")
    yield row("SNS publish calls/s", lambda at: f"{at.publishes_s:,.1f}")
    yield row("MongoDB: shards of three", lambda at: f"{at.shards:,}")
    yield row("MongoDB: cores in use, all primaries", lambda at: f"{at.mongod_cores:,.2f}")
    yield row("MongoDB: transactions/s", lambda at: f"{at.transactions_s:,.1f}")
    yield row("MongoDB: journal, MB/s", lambda at: f"{at.journal_mb_s:,.2f}")
    yield row("MongoDB: to and from, MB/s", lambda at: f"{at.mongod_mb_s:,.2f}")


def _notes(found: "Estimate") -> Iterator[str]:
    load = found.load
    yield f"Workers: {found.workers:,} run, each one core at most and {found.memory_gb * 1_000:,.0f} MB of memory"
    yield f"Lag at the peak: {_lag_text(found.lag, load)}"
    yield (
        f"Calls a month: {found.sqs_calls_month / 1e6:,.1f} million to SQS (with SNS's deliveries), "
        f"{found.sns_calls_month / 1e6:,.1f} million to SNS"
    )
    yield (
        f"Workers that keep up find fewer messages a call: up to {found.sqs_calls_month_more / 1e6:,.1f} million more "
        "receives a month"
    )
    yield (
        f"MongoDB's disk, each member: {found.documents_gb:,.1f} GB of documents, not compressed, and after "
        f"{load.retention_days:g} days {found.records_gb:,.1f} GB of records"
    )
    yield f"Log: {found.logged_gb_month:,.1f} GB a month"
    for name, share in found.over_quota.items():
        yield f"Over a quota at the peak: {name}: {share:.0%}"


def _lag_text(lag: "Lag", load: "Load") -> str:
    bound = {"workers": "the workers' cores", "mongod": "MongoDB's primaries"}[lag.bound_by]
    carried = f"{lag.carried_s:,.0f} events/s are carried at most ({bound})"
    if lag.waiting == 0 and lag.drained_after_s is not None:
        return f"none; {carried}"
    grown = f"{_time_text(lag.seconds)} after {load.peak_minutes:g} min, with {lag.waiting:,.0f} messages waiting"
    if lag.drained_after_s is None:
        return f"{grown}; the backlog never ends, for the average is too much, too; {carried}: raise --workers"
    return f"{grown}, gone {_time_text(lag.drained_after_s)} later; {carried}"


def _time_text(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:,.0f} s"
    return f"{seconds / 60:,.0f} min" if seconds < 5_400 else f"{seconds / 3_600:,.1f} h"


def _wire(found: "Estimate", measured: "MeasuredCosts", prices_now: "Prices") -> dict[str, Any]:
    import msgspec  # noqa: PLC0415 - `--help` does without

    load = found.load
    return {
        "load": {
            "averagePerSecond": load.average_s,
            "peakPerSecond": load.peak_s,
            "peakMinutes": load.peak_minutes,
            "shares": {"ownSyncs": load.shares["a"], "unshared": load.shares["b"], "syncs": load.shares["c"]},
            "conversations": load.conversations,
            "retentionDays": load.retention_days,
            "fifo": load.fifo,
        },
        "workers": {"running": found.workers, "memoryGb": found.memory_gb, "coresEach": 1},
        "average": _capacity_wire(found.average),
        "peak": _capacity_wire(found.peak),
        "lag": {
            "seconds": found.lag.seconds,
            "messagesWaiting": found.lag.waiting,
            "drainedAfterSeconds": found.lag.drained_after_s,
            "carriedPerSecond": found.lag.carried_s,
            "boundBy": found.lag.bound_by,
        },
        "month": {
            "sqsCalls": found.sqs_calls_month,
            "sqsCallsMoreAtMost": found.sqs_calls_month_more,
            "snsCalls": found.sns_calls_month,
            "logGb": found.logged_gb_month,
            "dollars": found.dollars,
            "totalDollars": found.total_dollars,
        },
        "storage": {"documentsGb": found.documents_gb, "recordsGb": found.records_gb},
        "overQuota": found.over_quota,
        "prices": msgspec.to_builtins(prices_now),
        "measured": msgspec.to_builtins(measured.measured),
    }


def _capacity_wire(at: "RequiredCapacity") -> dict[str, float]:
    return {
        "workers": at.containers,
        "workerCores": at.worker_cores,
        "messagesInFlightMax": at.in_flight_max,
        "sqsReceivesPerSecond": at.receives_s,
        "sqsDeletesPerSecond": at.deletes_s,
        "snsPublishesPerSecond": at.publishes_s,
        "mongodShards": at.shards,
        "mongodCores": at.mongod_cores,
        "transactionsPerSecond": at.transactions_s,
        "journalMbPerSecond": at.journal_mb_s,
        "mongodMbPerSecond": at.mongod_mb_s,
    }
