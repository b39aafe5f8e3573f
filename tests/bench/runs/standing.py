"""Consumers that stay running: a wave of messages each in turn, a measured one between two of the reference's.

A core of a shared machine changes its speed for seconds at a time (machine_speed.py). Waves have no start-up of their
own, so the three of a ratio follow each other closely, and a load gets many of them in a minute.
"""

import contextlib
from collections.abc import Iterator
from itertools import count

from msgspec import Struct

from tests.bench.consumers.consumer import BARE, Consumer
from tests.bench.loads.workload import WARM_UP, LoadKind, Workload, workload
from tests.bench.runs.fleet import ConsumerFleet, Figures, RunFailed
from tests.bench.runs.machine_speed import MachineSpeed
from tests.bench.runs.servers import BenchServers


class Waves(Struct, frozen=True, kw_only=True):
    """The load of every wave. `agents`: agents that all pairs share; None: two a pair."""

    kind: LoadKind
    messages: int
    seed: int
    agents: int | None


class StandingConsumer:
    """A running consumer, its queue and its database. Each wave meets pairs that no wave has met."""

    def __init__(self, servers: BenchServers, name: str, queue: str, waves: Waves, fleet: ConsumerFleet) -> None:
        self._name = name
        self._servers = servers
        self._queue = queue
        self._waves = waves
        self._fleet = fleet
        self._seeds = count(waves.seed)
        self._pairs = count()

    def warm_up(self) -> None:
        """Lets the consumer handle the warm-up messages. Raises RunFailed."""
        self._fleet.warm_up(self._load(0))

    def wave(self, *, wait: bool = True) -> Figures:
        """Lets the consumer handle one more wave, and returns its cost. Raises RunFailed.

        `wait`: until no core is slow.
        """
        load = self._load(self._waves.messages, warm_up=0)
        self._fleet.stage(load.bodies)
        try:
            return self._fleet.drain(messages=len(load.bodies), announced=load.announced, wait=wait)
        except RunFailed as error:
            raise RunFailed(f"{load.kind.value}: {error}") from error

    def kill(self) -> None:
        """Ends the consumer at once."""
        for process in self._fleet.processes:
            process.kill()

    def _load(self, messages: int, *, warm_up: int = WARM_UP) -> Workload:
        waves, seed = self._waves, next(self._seeds)
        load = workload(waves.kind, messages, seed=seed, agents=waves.agents, warm_up=warm_up, numbers=self._pairs)
        # The bare loop reads no store.
        if self._name != BARE.name:
            self._servers.fill(self._queue, load.documents)
        return load


class ReferenceFailed(Exception):
    """The reference has not emptied its queue, so there is nothing to compare with."""

    def __init__(self, failure: RunFailed) -> None:
        super().__init__(str(failure))
        self.failure = failure


class Beside(Struct, frozen=True, kw_only=True):
    """A wave of a consumer, and the reference's waves directly before and after it."""

    figures: Figures
    before: Figures
    after: Figures

    @property
    def cpu(self) -> float:
        """The consumer's CPU to the reference's."""
        return self.figures.cpu_s_per_1000 / self.reference_cpu_s_per_1000

    @property
    def wall(self) -> float:
        """The consumer's time to the reference's."""
        return self.figures.wall_s_per_1000 / self.reference_wall_s_per_1000

    @property
    def reference_cpu_s_per_1000(self) -> float:
        """The mean of both waves of the reference."""
        return (self.before.cpu_s_per_1000 + self.after.cpu_s_per_1000) / 2

    @property
    def reference_wall_s_per_1000(self) -> float:
        """The mean of both waves of the reference."""
        return (self.before.wall_s_per_1000 + self.after.wall_s_per_1000) / 2

    @property
    def disturbed(self) -> bool:
        """Whether a core was slow beside one of the three."""
        return self.figures.disturbed or self.before.disturbed or self.after.disturbed


@contextlib.contextmanager
def standing(servers: BenchServers, consumer: Consumer, waves: Waves) -> Iterator[StandingConsumer]:
    """Yields a consumer that runs and is warmed up. Raises RunFailed."""
    with servers.place() as queue, servers.fleet(consumer, queue) as fleet:
        found = StandingConsumer(servers, consumer.name, queue, waves, fleet)
        try:
            found.warm_up()
        except RunFailed as error:
            raise RunFailed(f"{waves.kind.value}: {error}") from error
        yield found


def measure_beside(speed: MachineSpeed, reference: StandingConsumer, consumer: StandingConsumer) -> Beside:
    """Measures a wave of the consumer between two of the reference's. Raises RunFailed, and ReferenceFailed.

    The three are repeated while a core is slow beside one of them and the patience of `speed` lasts.
    """

    def waves() -> Beside:
        before = _of_reference(reference, wait=True)
        figures = consumer.wave(wait=False)
        return Beside(before=before, figures=figures, after=_of_reference(reference, wait=False))

    return speed.undisturbed(waves)


def _of_reference(reference: StandingConsumer, *, wait: bool) -> Figures:
    try:
        return reference.wave(wait=wait)
    except RunFailed as error:
        raise ReferenceFailed(error) from error
