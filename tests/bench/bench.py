"""`make bench`: the cost of an event, as ratio to a bare loop that receives, parses JSON and deletes.

Prints tables, or JSON with `--json`, and writes no file. Each run ends within its deadline (runs/fleet.py).
"""

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import orjson
from msgspec import Struct
from rich.console import Console
from rich.progress import Progress

from tests.bench.baseline import command as baseline
from tests.bench.baseline.checkout import UnknownCommit
from tests.bench.baseline.command import compare_with_base
from tests.bench.consumers.consumer import ALL, BARE, OURS
from tests.bench.decisions import MeasuredStep, decisions
from tests.bench.loads.workload import LoadKind
from tests.bench.profiling.profile import Profile
from tests.bench.profiling.run import profile_run
from tests.bench.runs.machine import machine
from tests.bench.runs.rounds import BenchOutcome, BenchPlan, measure_rounds
from tests.bench.runs.servers import running_servers
from tests.bench.tables import cost_table, decisions_table, functions_table, packages_table, wall_table

ROUNDS: Final = 5
"""Where `--rounds` is not given."""


class BenchReport(Struct, frozen=True, kw_only=True):
    """The figures, the machine, and the consumers that are not installed."""

    machine: str
    plan: BenchPlan
    outcome: BenchOutcome
    steps: Sequence[MeasuredStep]
    profiles: Mapping[LoadKind, Profile]
    left_out: Sequence[str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measures and prints. Returns 0, 1 where a run failed, 2 where the base commit is unknown."""
    options = _options(arguments)
    if options.base is not None:
        try:
            return compare_with_base(options, _kinds(options))
        except UnknownCommit as error:
            sys.stderr.write(f"make bench: {error}\n")
            return 2
    # Standard output is for the figures, so progress goes to standard error.
    found = _found(options, Console(stderr=True))
    if options.json:
        sys.stdout.buffer.write(orjson.dumps(_wire(found), option=orjson.OPT_INDENT_2) + b"\n")
    else:
        _print(found, Console())
    for failure in found.outcome.failures:
        sys.stderr.write(f"{failure}\n")
    return 1 if found.outcome.failures else 0


def _found(options: argparse.Namespace, console: Console) -> BenchReport:
    wanted = [one for one in ALL if options.only is None or one.name in {BARE.name, *options.only.split(",")}]
    consumers = [one for one in wanted if one.installed]
    plan = BenchPlan(
        consumers=consumers,
        kinds=_kinds(options),
        messages=options.messages,
        rounds=ROUNDS if options.rounds is None else options.rounds,
        seed=options.seed,
        agents=options.agents,
    )
    about = machine()
    with (
        running_servers(latency_ms=options.latency_ms, patience_s=options.patience) as servers,
        tempfile.TemporaryDirectory() as folder,
        Progress(console=console, transient=True) as progress,
    ):
        steps = decisions(seed=options.seed)
        task = progress.add_task("runs", total=plan.rounds * len(plan.kinds) * len(consumers))
        outcome = measure_rounds(servers, plan, lambda: progress.advance(task))
        profiles = {
            kind: profile_run(servers, plan, kind, Path(folder))
            for kind in plan.kinds
            if options.profile and OURS in consumers
        }
    left_out = [one.name for one in wanted if not one.installed]
    return BenchReport(machine=about, plan=plan, outcome=outcome, steps=steps, profiles=profiles, left_out=left_out)


def _kinds(options: argparse.Namespace) -> list[LoadKind]:
    return [kind for kind in LoadKind if kind.value[0] in options.kinds]


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000, help="messages a run; slow consumers get fewer")
    parser.add_argument("--rounds", type=int, help=f"rounds; by default {ROUNDS}, with --base {baseline.ROUNDS}")
    parser.add_argument("--base", metavar="COMMIT", help="measure only the working tree against a commit")
    parser.add_argument(
        "--only", help=f"consumers to measure beside the bare loop: {', '.join(one.name for one in ALL)}"
    )
    parser.add_argument("--kinds", default="abcd", help="loads, by their letters: a, b, c, d")
    parser.add_argument("--seed", type=int, default=1, help="of the loads and of the order of the runs")
    parser.add_argument("--agents", type=int, help="agents that all pairs share; by default two a pair")
    parser.add_argument("--latency-ms", type=float, default=0, help="minimum duration of a call to SQS")
    parser.add_argument("--patience", type=float, default=240, help="seconds to wait for a core at full speed, in all")
    parser.add_argument("--no-profile", dest="profile", action="store_false", help="leave out the runs under cProfile")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    options = parser.parse_args(arguments)
    if options.base is not None and options.only is not None:
        parser.error("--base compares two workers alone: leave --only (ONLY=) away")
    return options


def _print(found: BenchReport, console: Console) -> None:
    console = Console(width=max(console.width, 132))
    plan = found.plan
    if found.outcome.cells:
        console.print(cost_table(found.outcome.cells, messages=plan.messages, rounds=plan.rounds))
        console.print(wall_table(found.outcome.cells))
        disturbed = sum(cell.disturbed for cell in found.outcome.cells)
        measured = sum(cell.rounds for cell in found.outcome.cells)
        console.print(f"A core was slow beside {disturbed} of these {measured} figures of a round.")
    console.print(decisions_table(found.steps))
    if found.profiles:
        console.print(packages_table(found.profiles))
        console.print(functions_table(found.profiles))
    console.print(f"Machine: {found.machine}", highlight=False)
    if found.left_out:
        console.print(f"Not installed, left out: {', '.join(found.left_out)}")


def _wire(found: BenchReport) -> dict[str, Any]:
    return {
        "machine": found.machine,
        "messages": found.plan.messages,
        "rounds": found.plan.rounds,
        "seed": found.plan.seed,
        "costs": [msgspec.to_builtins(cell) for cell in found.outcome.cells],
        "decisions": [msgspec.to_builtins(step) for step in found.steps],
        "profiles": {kind.value: msgspec.to_builtins(profile) for kind, profile in found.profiles.items()},
        "leftOut": list(found.left_out),
    }


if __name__ == "__main__":
    sys.exit(main())
