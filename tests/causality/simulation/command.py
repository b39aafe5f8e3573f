"""Many seeds of the simulation and their figures: `make simulate SEEDS=1000`. Exit status 1 on a broken contract.

`--troubles` and `--stories` name the only ones to draw: `make simulate ARGS="--troubles events-lost --stories chat"`.
`--rollout` prints how many pairs wait in the first minutes of a roll-out, instead.
"""

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence
from functools import partial

from rich.console import Console
from rich.table import Table

from tests.causality.rollout_waits import Rollout, rollout_table
from tests.causality.simulation.run import Run
from tests.causality.simulation.service_stories import STORIES
from tests.causality.simulation.tally import SimulationSettings, Tally
from tests.causality.simulation.weather import Trouble


def main(arguments: Sequence[str]) -> int:
    """Run the seeds; the exit status."""
    asked = _parser().parse_args(arguments)
    if asked.rollout:
        Console().print(rollout_table(Rollout().run()))
        return 0
    began = time.monotonic()
    total = Tally()
    console, progress = Console(), Console(stderr=True)
    settings = SimulationSettings(
        troubles=_troubles(asked.troubles), stories=asked.stories and tuple(asked.stories), routes=asked.routing
    )
    with multiprocessing.get_context("spawn").Pool(asked.processes) as pool:
        seeds = range(asked.first, asked.first + asked.seeds)
        for one in pool.imap_unordered(partial(run_seed, settings=settings), seeds, chunksize=4):
            total.add(one)
            if progress.is_terminal:
                progress.print(f"{total.seeds} of {asked.seeds} seeds, {len(total.wrong)} wrong", end="\r")
    console.print(figures_table(total))
    console.print(waits_table(total))
    for said in total.wrong[: asked.show]:
        console.print(said, markup=False)
    console.print("every pair converged, nothing lost, no loops" if not total.wrong else "the contract is broken")
    console.print(f"seeds {asked.first} to {asked.first + asked.seeds - 1} in {time.monotonic() - began:.0f} s")
    return int(bool(total.wrong))


def run_seed(seed: int, settings: SimulationSettings) -> Tally:
    """The figures of one seed."""
    return Run(seed, settings).run()


def figures_table(total: Tally) -> Table:
    """What happened, and how often."""
    table = Table(title="simulated fleets")
    table.add_column("of")
    table.add_column("how many", justify="right")
    for name, what in FIGURES.items():
        table.add_row(what, f"{getattr(total, name):,}")
    table.add_row("violations", f"{len(total.wrong):,}")
    return table


def waits_table(total: Tally) -> Table:
    """How many pairs waited for an event, and for how long at most, by the story of their conversation."""
    table = Table(title="pairs that waited, and their longest wait")
    table.add_column("story")
    table.add_column("waits", justify="right")
    table.add_column("longest, calm", justify="right")
    table.add_column("longest", justify="right")
    for story in sorted(total.waited):
        calm_s, longest_s = total.longest_calm_s.get(story, 0.0), total.longest_s[story]
        table.add_row(story, f"{total.waited[story]:,}", f"{calm_s:.0f} s", f"{longest_s:.0f} s")
    return table


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, help="how many (default 100)")
    parser.add_argument("--first", type=int, default=0, help="the first one: a seed and a commit replay a run exactly")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--show", type=int, default=20, help="how many violations are printed (default 20)")
    parser.add_argument("--routing", action="store_true", help="workers that create work-items and queue by rules")
    parser.add_argument("--rollout", action="store_true", help="the first minutes of a roll-out, instead")
    parser.add_argument("--stories", nargs="+", choices=sorted(STORIES), help="the only stories")
    names = [*(trouble.value for trouble in Trouble), "none"]
    parser.add_argument("--troubles", nargs="+", choices=names, help="the troubles of every run")
    return parser


def _troubles(names: Sequence[str] | None) -> tuple[Trouble, ...] | None:
    return None if names is None else tuple(Trouble(name) for name in names if name != "none")


FIGURES = {
    "seeds": "seeds",
    "conversations": "conversations",
    "outside": "outside writes",
    "syncs": "sync writes",
    "deliveries": "deliveries",
    "crashes": "crashes of a worker",
    "sleeps": "processes that stood still",
    "conflicts": "commits that lost against another worker",
    "away": "calls on which the store was away",
    "lost": "events lost",
    "redriven": "redriven events",
    "closed": "pairs decided by the poll",
    "swept_waits": "pairs that a worker's sweep let wait",
    "swept_early": "pairs with other drift found by a worker's sweep",
    "swept": "pairs with drift found by the sweep at the end",
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
