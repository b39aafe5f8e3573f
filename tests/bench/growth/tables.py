"""The tables of `make bench-growth`, in Markdown."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from rich.table import Table

from tests.bench.growth.history import HistoryGrowth
from tests.bench.growth.lanes import LanesRow
from tests.bench.growth.memory import MemoryGrowth
from tests.bench.growth.store import ExaminedCounts, StoreGrowth
from tests.bench.markdown import markdown_table
from tests.bench.runs.comparison import VariantRow
from worker.sizing.costs import EventCost, Footprint

_MIB: Final = 1_048_576
_BAR_MAX: Final = 40


def rows_table(title: str, rows: Sequence[VariantRow]) -> Table:
    """A row a variant, with its ratios to the first variant."""
    table = markdown_table(
        title,
        "",
        "worker CPU s/1,000",
        "mongod CPU s/1,000",
        "aborted/1,000",
        "pages read/1,000",
        "calls/1,000",
        "a transaction",
    )
    for row in rows:
        together = "–" if row.messages_a_transaction is None else f"{row.messages_a_transaction:.1f}"
        table.add_row(
            row.variant,
            f"{row.cpu_s_per_1000:.3f} {row.cpu:6.2f}",
            f"{row.mongod_cpu_s_per_1000:.3f} {row.mongod_cpu:6.2f}",
            f"{row.aborted_per_1000:.1f}",
            f"{row.pages_read_per_1000:,.0f}",
            f"{row.calls_per_1000:,.0f}",
            together,
        )
    disturbed, measured = sum(row.disturbed for row in rows), sum(row.rounds for row in rows)
    table.caption = f"A core was slow beside {disturbed} of these {measured} figures of a round."
    return table


def lanes_tables(found: Sequence[LanesRow], load: str) -> Iterator[Table]:
    """A table for each latency."""
    for latency_ms in dict.fromkeys(each.latency_ms for each in found):
        rows = [each.row for each in found if each.latency_ms == latency_ms]
        yield rows_table(f"Lanes, receivers, processes; load {load}; a call to SQS takes {latency_ms:.0f} ms", rows)


def store_tables(found: StoreGrowth) -> Iterator[Table]:
    """A table for each load, and one of what mongod examined."""
    for kind in dict.fromkeys(each.kind for each in found.rows):
        rows = [each.row for each in found.rows if each.kind is kind]
        yield rows_table(f"Documents in the store; load {kind.value}", rows)
    yield _examined_table(found.examined)


def _examined_table(examined: Sequence[ExaminedCounts]) -> Table:
    title = "Keys and documents that mongod examines for each document found; load c"
    table = markdown_table(
        title, "collection", "operation", "documents stored", "operations", "found", "keys/found", "documents/found"
    )
    for each in sorted(examined, key=lambda one: (one.collection, one.operation, one.documents)):
        ratios = [f"{ratio:.2f}" if each.found else "–" for ratio in (each.keys_a_found, each.documents_a_found)]
        cells = (f"{each.documents:,}", f"{each.operations:,}", f"{each.found:,}")
        table.add_row(each.collection, each.operation, *cells, *ratios)
    return table


def history_tables(found: HistoryGrowth) -> Iterator[Table]:
    """A table of what each history left in the store, and one of the cost of one more event."""
    table = markdown_table(
        "What a conversation's history leaves", "", "last revision", "runs kept", "state, bytes", "pair, bytes"
    )
    for each in found.histories:
        sizes = (f"{each.state_bytes:,}", f"{each.pair_bytes:,}")
        table.add_row(each.name, f"{each.last_rev:,}", str(each.runs), *sizes)
    yield table
    yield rows_table("One more event, after a history of", found.rows)


def memory_table(found: MemoryGrowth) -> Table:
    """A row a reading, with a bar in proportion to the largest reading."""
    verdict = "flat" if found.flat else "NOT FLAT"
    title = f"Memory: {verdict}; the regression line over the second half grows by {found.growth_share:+.1%}"
    table = markdown_table(title, "messages", "MiB", "worker CPU s/1,000", "")
    table.columns[-1].justify = "left"
    largest = max(each.resident_bytes for each in found.readings)
    for each in found.readings:
        bar = "█" * round(each.resident_bytes / largest * _BAR_MAX)
        table.add_row(f"{each.messages:,}", f"{each.resident_bytes / _MIB:.1f}", f"{each.cpu_s_per_1000:.3f}", bar)
    return table


def costs_table(costs: Sequence[EventCost]) -> Table:
    """A row a cost, a column a load."""
    rows: Mapping[str, list[str]] = {
        "worker CPU, ms": [f"{each.worker_cpu_s * 1_000:.3f}" for each in costs],
        "mongod CPU, ms": [f"{each.mongod_cpu_s * 1_000:.3f}" for each in costs],
        "calls to receive": [f"{each.receive_calls:.3f}" for each in costs],
        "of which empty": [f"{each.empty_receive_calls:.3f}" for each in costs],
        "calls to delete": [f"{each.delete_calls:.3f}" for each in costs],
        "calls to publish": [f"{each.publish_calls:.3f}" for each in costs],
        "events published": [f"{each.published:.3f}" for each in costs],
        "transactions": [f"{each.transactions:.3f}" for each in costs],
        "stored, bytes": [f"{each.stored_bytes:,.0f}" for each in costs],
        "journal, bytes": [f"{each.journal_bytes:,.0f}" for each in costs],
        "to and from mongod, bytes": [f"{each.network_bytes:,.0f}" for each in costs],
    }
    title = "The costs of one event while the worker is fully busy"
    table = markdown_table(title, "per event", *(each.kind for each in costs))
    for name, cells in rows.items():
        table.add_row(name, *cells)
    return table


def footprint_table(found: Footprint) -> Table:
    """What a worker and a pair take."""
    table = markdown_table("What does not go by the event", "", "")
    table.add_row("resident memory of the worker, MiB", f"{found.resident_bytes / _MIB:,.1f}")
    table.add_row("a pair in MongoDB, not compressed, with its indexes, bytes", f"{found.pair_bytes:,.0f}")
    table.add_row("log for each event of the mix, bytes", f"{found.logged_bytes:,.0f}")
    return table
