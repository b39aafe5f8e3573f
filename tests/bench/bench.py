"""`make bench`: what an event costs, as ratio to a loop that does nothing with what it reads.

Prints and writes nothing. `--json` prints the figures for a machine. Bounded: so many runs, each within three minutes.
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
from tests.bench.decisions import Step, decisions
from tests.bench.loads.workload import LoadKind
from tests.bench.profiling.profile import Profile
from tests.bench.profiling.run import profile_run
from tests.bench.runs.machine import machine
from tests.bench.runs.rounds import BenchOutcome, BenchPlan, measure_rounds
from tests.bench.runs.servers import running_servers
from tests.bench.tables import cost_table, decisions_table, functions_table, packages_table, wall_table

ROUNDS: Final = 3
"""Where `--rounds` is not given."""


class BenchReport(Struct, frozen=True, kw_only=True):
    """All that was measured, on which machine, and who was not there."""

    machine: str
    asked: BenchPlan
    outcome: BenchOutcome
    steps: Sequence[Step]
    profiles: Mapping[LoadKind, Profile]
    left_out: Sequence[str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure and print; 1 where a consumer could not be measured."""
    options = _options(arguments)
    if options.base is not None:
        try:
            return compare_with_base(options, _kinds(options))
        except UnknownCommit as error:
            sys.stderr.write(f"make bench: {error}\n")
            return 2
    # Progress is for a person who waits, and the standard output for the figures.
    found = _found(options, Console(stderr=True))
    if options.json:
        sys.stdout.buffer.write(orjson.dumps(_wire(found), option=orjson.OPT_INDENT_2) + b"\n")
    else:
        _print(found, Console())
    for fault in found.outcome.faults:
        sys.stderr.write(f"{fault}\n")
    return 1 if found.outcome.faults else 0


def _found(options: argparse.Namespace, console: Console) -> BenchReport:
    wanted = [one for one in ALL if options.only is None or one.name in {BARE.name, *options.only.split(",")}]
    consumers = [one for one in wanted if one.there]
    asked = BenchPlan(
        consumers=consumers,
        kinds=_kinds(options),
        messages=options.messages,
        rounds=ROUNDS if options.rounds is None else options.rounds,
        seed=options.seed,
        agents=options.agents,
    )
    about = machine()
    with (
        running_servers(latency_ms=options.latency_ms) as servers,
        tempfile.TemporaryDirectory() as folder,
        Progress(console=console, transient=True) as progress,
    ):
        steps = decisions(seed=options.seed)
        task = progress.add_task("runs", total=asked.rounds * len(asked.kinds) * len(consumers))
        outcome = measure_rounds(servers, asked, lambda: progress.advance(task))
        profiles = {
            kind: profile_run(servers, asked, kind, Path(folder))
            for kind in asked.kinds
            if options.profile and OURS in consumers
        }
    left_out = [one.name for one in wanted if not one.there]
    return BenchReport(machine=about, asked=asked, outcome=outcome, steps=steps, profiles=profiles, left_out=left_out)


def _kinds(options: argparse.Namespace) -> list[LoadKind]:
    return [kind for kind in LoadKind if kind.value[0] in options.kinds]


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--messages", type=int, default=1_000, help="of one run of a consumer that works in batches")
    parser.add_argument("--rounds", type=int, help=f"by default {ROUNDS}, with --base {baseline.ROUNDS}")
    parser.add_argument("--base", metavar="COMMIT", help="measure the working tree against a commit, and nothing else")
    parser.add_argument("--only", help=f"consumers beside the bare loop, of {', '.join(one.name for one in ALL)}")
    parser.add_argument("--kinds", default="abcd", help="loads, by their letters")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--agents", type=int, help="who share all sessions; else every pair has its own")
    parser.add_argument("--latency-ms", type=float, default=0, help="that every call to SQS takes at least")
    parser.add_argument("--no-profile", dest="profile", action="store_false", help="only the figures")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args(arguments)
    if options.base is not None and options.only is not None:
        parser.error("--base compares two workers alone: leave --only (ONLY=) away")
    return options


def _print(found: BenchReport, console: Console) -> None:
    console = Console(width=max(console.width, 132))
    asked = found.asked
    if found.outcome.cells:
        console.print(cost_table(found.outcome.cells, messages=asked.messages, rounds=asked.rounds))
        console.print(wall_table(found.outcome.cells))
    console.print(decisions_table(found.steps))
    if found.profiles:
        console.print(packages_table(found.profiles))
        console.print(functions_table(found.profiles))
    console.print(f"Machine: {found.machine}", highlight=False)
    if found.left_out:
        console.print(f"Left out, not installed: {', '.join(found.left_out)}")


def _wire(found: BenchReport) -> dict[str, Any]:
    return {
        "machine": found.machine,
        "messages": found.asked.messages,
        "rounds": found.asked.rounds,
        "seed": found.asked.seed,
        "costs": [msgspec.to_builtins(cell) for cell in found.outcome.cells],
        "decisions": [msgspec.to_builtins(step) for step in found.steps],
        "profiles": {kind.value: msgspec.to_builtins(profile) for kind, profile in found.profiles.items()},
        "leftOut": list(found.left_out),
    }


if __name__ == "__main__":
    sys.exit(main())
