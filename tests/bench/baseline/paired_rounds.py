"""Rounds of two workers, base and working tree, on the same load: one ratio a round, working tree to base.

Both stay running. In each round one handles a wave of messages between two of the other's, in turn.
"""

from collections.abc import Callable, Sequence
from statistics import median

from msgspec import Struct

from tests.bench.consumers.consumer import Consumer
from tests.bench.loads.workload import LoadKind
from tests.bench.runs.fleet import RunFailed
from tests.bench.runs.servers import BenchServers
from tests.bench.runs.standing import Beside, ReferenceFailed, Waves, measure_beside, standing


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

    `disturbed`: in so many rounds a core was slow beside one of the three waves, however often repeated.
    """

    kind: LoadKind
    cpu: Ratios
    wall: Ratios
    base_cpu_s_per_1000: float
    tree_cpu_s_per_1000: float
    base_wall_s_per_1000: float
    tree_wall_s_per_1000: float
    disturbed: int


class PairedRound(Struct, frozen=True, kw_only=True):
    """One round: the cost of both workers, one of them the mean of two waves. `disturbed`: beside a slow core."""

    base_cpu_s_per_1000: float
    tree_cpu_s_per_1000: float
    base_wall_s_per_1000: float
    tree_wall_s_per_1000: float
    disturbed: bool


class PairedOutcome(Struct, frozen=True, kw_only=True):
    """A row a load, and the error of each worker that failed. A round with a failed wave has no ratio."""

    rows: Sequence[PairedRow]
    failures: Sequence[str]


def measure_pairs(servers: BenchServers, plan: PairedPlan, done: Callable[[], None] = lambda: None) -> PairedOutcome:
    """All rounds; calls `done` after every ratio. A load on which a worker fails has no further ratios."""
    found: dict[LoadKind, list[PairedRound]] = {kind: [] for kind in plan.kinds}
    failures: dict[str, None] = {}
    for kind in plan.kinds:
        waves = Waves(kind=kind, messages=plan.messages, seed=plan.seed, agents=plan.agents)
        try:
            with standing(servers, plan.base, waves) as base, standing(servers, plan.tree, waves) as tree:
                for number in range(plan.rounds):
                    if number % 2:
                        found[kind].append(_reversed(measure_beside(servers.speed, tree, base)))
                    else:
                        found[kind].append(_straight(measure_beside(servers.speed, base, tree)))
                    done()
        except (ReferenceFailed, RunFailed) as error:
            failures[str(error)] = None
    rows = [paired_row(kind, ratios) for kind, ratios in found.items() if ratios]
    return PairedOutcome(rows=rows, failures=list(failures))


def _straight(beside: Beside) -> PairedRound:
    """The round of a tree between two waves of the base."""
    return PairedRound(
        base_cpu_s_per_1000=beside.reference_cpu_s_per_1000,
        tree_cpu_s_per_1000=beside.figures.cpu_s_per_1000,
        base_wall_s_per_1000=beside.reference_wall_s_per_1000,
        tree_wall_s_per_1000=beside.figures.wall_s_per_1000,
        disturbed=beside.disturbed,
    )


def _reversed(beside: Beside) -> PairedRound:
    """The round of a base between two waves of the tree."""
    return PairedRound(
        base_cpu_s_per_1000=beside.figures.cpu_s_per_1000,
        tree_cpu_s_per_1000=beside.reference_cpu_s_per_1000,
        base_wall_s_per_1000=beside.figures.wall_s_per_1000,
        tree_wall_s_per_1000=beside.reference_wall_s_per_1000,
        disturbed=beside.disturbed,
    )


def paired_row(kind: LoadKind, rounds: Sequence[PairedRound]) -> PairedRow:
    """The row of a load with at least one round."""
    return PairedRow(
        kind=kind,
        cpu=_ratios([each.tree_cpu_s_per_1000 / each.base_cpu_s_per_1000 for each in rounds]),
        wall=_ratios([each.tree_wall_s_per_1000 / each.base_wall_s_per_1000 for each in rounds]),
        base_cpu_s_per_1000=median(each.base_cpu_s_per_1000 for each in rounds),
        tree_cpu_s_per_1000=median(each.tree_cpu_s_per_1000 for each in rounds),
        base_wall_s_per_1000=median(each.base_wall_s_per_1000 for each in rounds),
        tree_wall_s_per_1000=median(each.tree_wall_s_per_1000 for each in rounds),
        disturbed=sum(each.disturbed for each in rounds),
    )


def _ratios(rounds: Sequence[float]) -> Ratios:
    return Ratios(minimum=min(rounds), median=median(rounds), maximum=max(rounds), rounds=rounds)
