"""Rounds of all consumers on all loads, each wave as ratio to the bare loop's directly before and after it.

A cell shows the median of the ratios. The bare loop is among the consumers: its ratio to another of its kind is what
equal consumers differ by.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from random import Random
from statistics import median

from msgspec import Struct

from tests.bench.consumers.consumer import BARE, Consumer
from tests.bench.loads.workload import LoadKind
from tests.bench.runs.fleet import RunFailed
from tests.bench.runs.servers import BenchServers
from tests.bench.runs.standing import Beside, ReferenceFailed, StandingConsumer, Waves, measure_beside, standing

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

    `disturbed`: in so many rounds a core was slow beside the consumer's wave or one of the bare
    loop's, however often repeated.
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
    """Runs all rounds. Calls `done` after every wave of a measured consumer."""
    found: dict[tuple[str, LoadKind], list[Beside]] = {}
    failures: dict[str, None] = {}
    for kind in plan.kinds:
        try:
            for name, beside in _of_kind(servers, plan, kind, failures):
                found.setdefault((name, kind), []).append(beside)
                done()
        except RunFailed as error:
            failures[str(error)] = None
    order = [(consumer.name, kind) for kind in plan.kinds for consumer in plan.consumers]
    return BenchOutcome(cells=[_cell(*key, found[key]) for key in order if key in found], failures=list(failures))


def _of_kind(
    servers: BenchServers, plan: BenchPlan, kind: LoadKind, failures: dict[str, None]
) -> Iterator[tuple[str, Beside]]:
    """The waves of all consumers. One that fails is ended at once. Raises RunFailed where the bare loop fails."""
    with contextlib.ExitStack() as all_ends:
        bare = all_ends.enter_context(standing(servers, BARE, _waves(plan, BARE, kind)))
        running: dict[str, StandingConsumer] = {}
        ends: dict[str, contextlib.ExitStack] = {}
        for consumer in plan.consumers:
            end = ends[consumer.name] = all_ends.enter_context(contextlib.ExitStack())
            try:
                running[consumer.name] = end.enter_context(standing(servers, consumer, _waves(plan, consumer, kind)))
            except RunFailed as error:
                failures[str(error)] = None
        for number in range(plan.rounds):
            for name in _in_turn(plan, number, kind):
                if name not in running:
                    continue
                try:
                    yield name, measure_beside(servers.speed, bare, running[name])
                except ReferenceFailed as error:
                    raise error.failure from error
                except RunFailed as error:
                    failures[str(error)] = None
                    del running[name]
                    ends[name].close()


def _waves(plan: BenchPlan, consumer: Consumer, kind: LoadKind) -> Waves:
    messages = round(plan.messages * (_ONE_AT_A_TIME_SHARE[kind] if consumer.one_at_a_time else 1))
    return Waves(kind=kind, messages=messages, seed=plan.seed, agents=plan.agents)


def _in_turn(plan: BenchPlan, number: int, kind: LoadKind) -> Sequence[str]:
    order = [consumer.name for consumer in plan.consumers]
    Random(f"{plan.seed}/{number}/{kind.value}").shuffle(order)
    return order


def _cell(name: str, kind: LoadKind, waves: Sequence[Beside]) -> Cell:
    return Cell(
        consumer=name,
        kind=kind,
        cpu_s_per_1000=median(each.figures.cpu_s_per_1000 for each in waves),
        cpu=median(each.cpu for each in waves),
        wall_s_per_1000=median(each.figures.wall_s_per_1000 for each in waves),
        wall=median(each.wall for each in waves),
        rounds=len(waves),
        disturbed=sum(each.disturbed for each in waves),
    )
