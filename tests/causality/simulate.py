"""Many seeds of the simulation and their figures: `make simulate SEEDS=1000`. Exit status 1 on a broken contract."""

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from tests.causality.simulation import Run
from tests.causality.tally import SimulationSettings, Tally


def main(arguments: Sequence[str]) -> int:
    """Run the seeds; the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many (default 100)")
    parser.add_argument("--first", type=int, default=0, help="the first one: a seed and a commit replay a run exactly")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    asked = parser.parse_args(arguments)
    began = time.monotonic()
    total = Tally()
    console, progress = Console(), Console(stderr=True)
    with multiprocessing.get_context("spawn").Pool(asked.processes) as pool:
        for one in pool.imap_unordered(_seed, range(asked.first, asked.first + asked.seeds), chunksize=4):
            total.add(one)
            if progress.is_terminal:
                progress.print(f"{total.seeds} of {asked.seeds} seeds, {len(total.wrong)} wrong", end="\r")
    console.print(_table(total))
    for said in total.wrong[:20]:
        console.print(said, markup=False)
    console.print("every pair converged, nothing lost, no loops" if not total.wrong else "the contract is broken")
    console.print(f"seeds {asked.first} to {asked.first + asked.seeds - 1} in {time.monotonic() - began:.0f} s")
    return int(bool(total.wrong))


def _seed(seed: int) -> Tally:
    return Run(seed, SimulationSettings()).run()


def _table(total: Tally) -> Table:
    table = Table(title="simulated fleets")
    table.add_column("of")
    table.add_column("how many", justify="right")
    for name, what in FIGURES.items():
        table.add_row(what, f"{getattr(total, name):,}")
    table.add_row("violations", f"{len(total.wrong):,}")
    return table


FIGURES = {
    "seeds": "seeds",
    "conversations": "conversations",
    "outside": "outside writes",
    "syncs": "sync writes",
    "deliveries": "deliveries",
    "crashes": "crashes of a worker",
    "conflicts": "commits that lost against another worker",
    "away": "calls on which the store was away",
    "lost": "events lost",
    "gaps": "pairs left to the poll",
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
