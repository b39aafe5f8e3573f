"""Every consumer on every load, several times in turn: machines are shared, and what is near in time is comparable.

A ratio is made within one round, against the bare loop on the same load; what is shown is the median of the rounds.
"""

from collections.abc import Callable, Iterator, Sequence
from random import Random
from statistics import median

from msgspec import Struct

from tests.bench.consumers.consumer import BARE, Consumer
from tests.bench.loads.workload import LoadKind, workload
from tests.bench.runs.fleet import Figures, RunFailed
from tests.bench.runs.servers import BenchServers

_ALONE_SHARE = {LoadKind.OWN: 1.0, LoadKind.UNSHARED: 0.25, LoadKind.SYNCS: 0.25, LoadKind.MIX: 0.5}
"""Whoever takes messages one at a time gets so much of them: its figure for 1,000 settles as fast, and it is slow."""


class BenchPlan(Struct, frozen=True, kw_only=True):
    """What to measure."""

    consumers: Sequence[Consumer]
    kinds: Sequence[LoadKind]
    messages: int
    rounds: int
    seed: int
    agents: int | None


class Cell(Struct, frozen=True, kw_only=True):
    """A consumer on a load: medians of the rounds; `cpu` and `wall` are ratios to the bare loop's."""

    consumer: str
    kind: LoadKind
    cpu_s_per_1000: float
    cpu: float
    wall_s_per_1000: float
    wall: float
    rounds: int


class BenchOutcome(Struct, frozen=True, kw_only=True):
    """The cells, and what could not be measured."""

    cells: Sequence[Cell]
    faults: Sequence[str]


def measure_rounds(servers: BenchServers, asked: BenchPlan, done: Callable[[], None] = lambda: None) -> BenchOutcome:
    """All rounds; `done` is called after every run."""
    found: dict[tuple[str, LoadKind], list[tuple[Figures, Figures]]] = {}
    faults: dict[str, None] = {}
    for number in range(asked.rounds):
        for kind in asked.kinds:
            figures: dict[str, Figures] = {}
            for consumer in _in_turn(asked, number, kind):
                try:
                    figures[consumer.name] = _run(servers, asked, consumer, kind, number)
                except RunFailed as fault:
                    faults[str(fault)] = None
                done()
            for name, each in figures.items():
                if BARE.name in figures:
                    found.setdefault((name, kind), []).append((each, figures[BARE.name]))
    order = [(consumer.name, kind) for kind in asked.kinds for consumer in asked.consumers]
    return BenchOutcome(cells=[_cell(*key, found[key]) for key in order if key in found], faults=list(faults))


def _in_turn(asked: BenchPlan, number: int, kind: LoadKind) -> Iterator[Consumer]:
    order = list(asked.consumers)
    Random(f"{asked.seed}/{number}/{kind.value}").shuffle(order)
    yield from order


def _run(servers: BenchServers, asked: BenchPlan, consumer: Consumer, kind: LoadKind, number: int) -> Figures:
    messages = round(asked.messages * (_ALONE_SHARE[kind] if consumer.one_at_a_time else 1))
    return servers.run(consumer, workload(kind, messages, seed=asked.seed + number, agents=asked.agents))


def _cell(name: str, kind: LoadKind, pairs: Sequence[tuple[Figures, Figures]]) -> Cell:
    return Cell(
        consumer=name,
        kind=kind,
        cpu_s_per_1000=median(each.cpu_s_per_1000 for each, _ in pairs),
        cpu=median(each.cpu_s_per_1000 / bare.cpu_s_per_1000 for each, bare in pairs),
        wall_s_per_1000=median(each.wall_s_per_1000 for each, _ in pairs),
        wall=median(each.wall_s_per_1000 / bare.wall_s_per_1000 for each, bare in pairs),
        rounds=len(pairs),
    )
