"""`make bench BASE=<commit>`: the working tree's worker and a commit's, measured in the same rounds."""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import orjson
from msgspec import Struct
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from server_process import ROOT
from tests.bench.baseline.checkout import Commit, find_commit, unpack_packages, worker_in, working_tree
from tests.bench.baseline.paired_rounds import PairedOutcome, PairedPlan, PairedRow, Ratios, measure_pairs
from tests.bench.loads.workload import LoadKind
from tests.bench.markdown import markdown_table
from tests.bench.runs.machine import machine
from tests.bench.runs.servers import running_servers

ROUNDS: Final = 11
"""Where `--rounds` is not given."""


class BaselineReport(Struct, frozen=True, kw_only=True):
    """The measured ratios, what was compared, and on which machine."""

    machine: str
    base: Commit
    tree: str
    messages: int
    rounds: int
    seed: int
    outcome: PairedOutcome


def compare_with_base(options: argparse.Namespace, kinds: Sequence[LoadKind]) -> int:
    """Measures and prints. Returns 0 whatever the ratios, 1 where a run failed. Raises UnknownCommit before any run."""
    base = find_commit(options.base)
    # Standard output is for the figures, so progress goes to standard error.
    report = _measured(options, base, kinds, Console(stderr=True))
    if options.json:
        sys.stdout.buffer.write(orjson.dumps(as_json(report), option=orjson.OPT_INDENT_2) + b"\n")
    else:
        _print(report, Console())
    for failure in report.outcome.failures:
        sys.stderr.write(f"{failure}\n")
    return 1 if report.outcome.failures else 0


def _measured(options: argparse.Namespace, base: Commit, kinds: Sequence[LoadKind], console: Console) -> BaselineReport:
    rounds = ROUNDS if options.rounds is None else options.rounds
    with tempfile.TemporaryDirectory() as folder:
        unpack_packages(base, Path(folder))
        plan = PairedPlan(
            base=worker_in(Path(folder), name="base"),
            tree=worker_in(ROOT, name="tree"),
            kinds=kinds,
            messages=options.messages,
            rounds=rounds,
            seed=options.seed,
            agents=options.agents,
        )
        about, tree = machine(), working_tree()
        with (
            running_servers(latency_ms=options.latency_ms, patience_s=options.patience) as servers,
            Progress(console=console, transient=True) as progress,
        ):
            task = progress.add_task("rounds", total=rounds * len(kinds))
            outcome = measure_pairs(servers, plan, lambda: progress.advance(task))
    return BaselineReport(
        machine=about,
        base=base,
        tree=tree,
        messages=options.messages,
        rounds=rounds,
        seed=options.seed,
        outcome=outcome,
    )


def _print(report: BaselineReport, console: Console) -> None:
    console = Console(width=max(console.width, 132))
    console.print(ratios_table(report.outcome.rows, messages=report.messages, rounds=report.rounds))
    disturbed = sum(row.disturbed for row in report.outcome.rows)
    measured = sum(len(row.cpu.rounds) for row in report.outcome.rows)
    console.print(f"A core was slow beside {disturbed} of these {measured} ratios.")
    console.print(f"Base: {report.base}; working tree: {report.tree}", highlight=False)
    console.print(f"Machine: {report.machine}", highlight=False)


def ratios_table(rows: Sequence[PairedRow], *, messages: int, rounds: int) -> Table:
    """A row a load: minimum, median and maximum of the ratios, CPU and time, and both medians in seconds."""
    title = f"Working tree to base, one ratio a round ({messages:,} messages a run, {rounds} rounds)"
    columns = ("CPU min", "median", "max", "time min", "median", "max", "CPU s/1,000", "time s/1,000")
    table = markdown_table(title, "", *columns)
    for row in rows:
        table.add_row(
            row.kind.value,
            *_cells(row.cpu),
            *_cells(row.wall),
            f"{row.base_cpu_s_per_1000:.3f} → {row.tree_cpu_s_per_1000:.3f}",
            f"{row.base_wall_s_per_1000:.3f} → {row.tree_wall_s_per_1000:.3f}",
        )
    return table


def _cells(ratios: Ratios) -> tuple[str, str, str]:
    return f"{ratios.minimum:.3f}", f"{ratios.median:.3f}", f"{ratios.maximum:.3f}"


def as_json(report: BaselineReport) -> dict[str, Any]:
    """The report as `--json` prints it."""
    return {
        "machine": report.machine,
        "base": msgspec.to_builtins(report.base),
        "tree": report.tree,
        "messages": report.messages,
        "rounds": report.rounds,
        "seed": report.seed,
        "ratios": [msgspec.to_builtins(row) for row in report.outcome.rows],
        "failures": list(report.outcome.failures),
    }
