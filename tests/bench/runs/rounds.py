"""Rounds of all consumers on all loads, each as ratio to the bare loop on the same load in the same round.

Ratios are made within a round because the machine's speed varies from minute to minute; a cell shows their median.
"""

from collections.abc import Callable, Iterator, Sequence
from random import Random
from statistics import median

from msgspec import Struct

from tests.bench.consumers.consumer import BARE, Consumer
from tests.bench.loads.workload import LoadKind, workload
from tests.bench.runs.fleet import Figures, RunFailed
from tests.bench.runs.servers import BenchServers

_ONE_AT_A_TIME_SHARE = {LoadKind.OWN: 1.0, LoadKind.UNSHARED: 0.25, LoadKind.SYNCS: 0.25, LoadKind.MIX: 0.5}
"""The share of the messages that a consumer of single messages gets: it is slow, and its mean needs no more."""


class BenchPlan(Struct, frozen=True, kw_only=True):
    """The consumers, the loads, and how often. `agents`: agents that all pairs share; None: two a pair."""

    consumers: Sequence[Consumer]
    kinds: Sequence[LoadKind]
    messages: int
    rounds: int
    seed: int
    agents: int | None


class Cell(Struct, frozen=True, kw_only=True):
    """A consumer on a load: medians of the rounds. `cpu` and `wall` are ratios to the bare loop.

    `disturbed`: in so many rounds a core was slow beside the consumer's run or the bare loop's, however often repeated.
    """

    consumer: str
    kind: LoadKind
    cpu_s_per_1000: float
    cpu: float
    wall_s_per_1000: float
    wall: float
    rounds: int
    disturbed: int


class BenchOutcome(Struct, frozen=True, kw_only=True):
    """The cells, and the error of each run that failed."""

    cells: Sequence[Cell]
    failures: Sequence[str]


def measure_rounds(servers: BenchServers, plan: BenchPlan, done: Callable[[], None] = lambda: None) -> BenchOutcome:
    """Runs all rounds. Calls `done` after every run."""
    found: dict[tuple[str, LoadKind], list[tuple[Figures, Figures]]] = {}
    failures: dict[str, None] = {}
    for number in range(plan.rounds):
        for kind in plan.kinds:
            figures: dict[str, Figures] = {}
            for consumer in _in_turn(plan, number, kind):
                try:
                    figures[consumer.name] = _run(servers, plan, consumer, kind, number)
                except RunFailed as error:
                    failures[str(error)] = None
                done()
            for name, each in figures.items():
                if BARE.name in figures:
                    found.setdefault((name, kind), []).append((each, figures[BARE.name]))
    order = [(consumer.name, kind) for kind in plan.kinds for consumer in plan.consumers]
    return BenchOutcome(cells=[_cell(*key, found[key]) for key in order if key in found], failures=list(failures))


def _in_turn(plan: BenchPlan, number: int, kind: LoadKind) -> Iterator[Consumer]:
    order = list(plan.consumers)
    Random(f"{plan.seed}/{number}/{kind.value}").shuffle(order)
    yield from order


def _run(servers: BenchServers, plan: BenchPlan, consumer: Consumer, kind: LoadKind, number: int) -> Figures:
    messages = round(plan.messages * (_ONE_AT_A_TIME_SHARE[kind] if consumer.one_at_a_time else 1))
    return servers.run(consumer, workload(kind, messages, seed=plan.seed + number, agents=plan.agents))


def _cell(name: str, kind: LoadKind, pairs: Sequence[tuple[Figures, Figures]]) -> Cell:
    return Cell(
        consumer=name,
        kind=kind,
        cpu_s_per_1000=median(each.cpu_s_per_1000 for each, _ in pairs),
        cpu=median(each.cpu_s_per_1000 / bare.cpu_s_per_1000 for each, bare in pairs),
        wall_s_per_1000=median(each.wall_s_per_1000 for each, _ in pairs),
        wall=median(each.wall_s_per_1000 / bare.wall_s_per_1000 for each, bare in pairs),
        rounds=len(pairs),
        disturbed=sum(each.disturbed or bare.disturbed for each, bare in pairs),
    )
