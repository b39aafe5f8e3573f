"""Rounds of two workers, base and working tree, on the same load: one ratio a round, working tree to base.

The two runs of a round follow each other directly, and the order changes every round: whatever slows the machine for
longer than a run slows both.
"""

from collections.abc import Callable, Sequence
from statistics import median

from msgspec import Struct

from tests.bench.consumers.consumer import Consumer
from tests.bench.loads.workload import LoadKind, workload
from tests.bench.runs.fleet import Figures, RunFailed
from tests.bench.runs.servers import BenchServers


class PairedPlan(Struct, frozen=True, kw_only=True):
    """The two workers, the loads, and how often. `agents`: agents that all pairs share; None: two a pair."""

    base: Consumer
    tree: Consumer
    kinds: Sequence[LoadKind]
    messages: int
    rounds: int
    seed: int
    agents: int | None


class Ratios(Struct, frozen=True, kw_only=True):
    """The ratios of all rounds, in the order of the rounds, and their minimum, median and maximum."""

    minimum: float
    median: float
    maximum: float
    rounds: Sequence[float]


class PairedRow(Struct, frozen=True, kw_only=True):
    """One load: the working tree's cost to the base's, and medians of both costs in seconds per 1,000 messages.

    `disturbed`: in so many rounds a core was slow beside one of the two runs, however often repeated.
    """

    kind: LoadKind
    cpu: Ratios
    wall: Ratios
    base_cpu_s_per_1000: float
    tree_cpu_s_per_1000: float
    base_wall_s_per_1000: float
    tree_wall_s_per_1000: float
    disturbed: int


class PairedOutcome(Struct, frozen=True, kw_only=True):
    """A row a load, and the error of each run that failed. A round with a failed run has no ratio."""

    rows: Sequence[PairedRow]
    failures: Sequence[str]


Pair = tuple[Figures, Figures]
"""The base's figures and the working tree's, of one round."""


def measure_pairs(servers: BenchServers, plan: PairedPlan, done: Callable[[], None] = lambda: None) -> PairedOutcome:
    """All rounds; calls `done` after every run."""
    pairs: dict[LoadKind, list[Pair]] = {kind: [] for kind in plan.kinds}
    failures: dict[str, None] = {}
    for number in range(plan.rounds):
        for kind in plan.kinds:
            figures: dict[str, Figures] = {}
            for consumer in in_turn(plan, number):
                try:
                    load = workload(kind, plan.messages, seed=plan.seed + number, agents=plan.agents)
                    figures[consumer.name] = servers.run(consumer, load)
                except RunFailed as error:
                    failures[str(error)] = None
                done()
            if len(figures) == 2:
                pairs[kind].append((figures[plan.base.name], figures[plan.tree.name]))
    rows = [paired_row(kind, measure_rounds) for kind, measure_rounds in pairs.items() if measure_rounds]
    return PairedOutcome(rows=rows, failures=list(failures))


def in_turn(plan: PairedPlan, number: int) -> tuple[Consumer, Consumer]:
    """The order of a round: the base first in rounds of even number, the working tree first in the others."""
    return (plan.tree, plan.base) if number % 2 else (plan.base, plan.tree)


def paired_row(kind: LoadKind, pairs: Sequence[Pair]) -> PairedRow:
    """The row of a load with at least one round."""
    return PairedRow(
        kind=kind,
        cpu=_ratios([tree.cpu_s_per_1000 / base.cpu_s_per_1000 for base, tree in pairs]),
        wall=_ratios([tree.wall_s_per_1000 / base.wall_s_per_1000 for base, tree in pairs]),
        base_cpu_s_per_1000=median(base.cpu_s_per_1000 for base, _ in pairs),
        tree_cpu_s_per_1000=median(tree.cpu_s_per_1000 for _, tree in pairs),
        base_wall_s_per_1000=median(base.wall_s_per_1000 for base, _ in pairs),
        tree_wall_s_per_1000=median(tree.wall_s_per_1000 for _, tree in pairs),
        disturbed=sum(base.disturbed or tree.disturbed for base, tree in pairs),
    )


def _ratios(rounds: Sequence[float]) -> Ratios:
    return Ratios(minimum=min(rounds), median=median(rounds), maximum=max(rounds), rounds=rounds)
