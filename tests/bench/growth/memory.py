"""Memory over a long run of the mix: the worker's resident memory after every wave of messages.

A wave is built, stored and staged after the one before it is handled, so that this process and the stand-in hold a
single wave. The queue is empty between two waves, and memory is read then.
"""

from collections.abc import Callable, Sequence
from statistics import linear_regression
from typing import Final

from msgspec import Struct

from tests.bench.consumers.consumer import OURS
from tests.bench.loads.workload import WARM_UP, LoadKind, workload
from tests.bench.runs.servers import BenchServers

WAVE: Final = 10_000
FLAT_SHARE_MAX: Final = 0.02
"""The maximum growth of flat memory: of the regression line over the second half, as share of its first value."""


class MemoryReading(Struct, frozen=True, kw_only=True):
    """Resident memory after a number of messages, and the CPU of the last wave."""

    messages: int
    resident_bytes: int
    cpu_s_per_1000: float


class MemoryGrowth(Struct, frozen=True, kw_only=True):
    """The readings. `growth_share`: growth of the regression line over the second half, as share of its first value."""

    readings: Sequence[MemoryReading]
    growth_share: float

    @property
    def flat(self) -> bool:
        """Whether memory stops growing."""
        return self.growth_share <= FLAT_SHARE_MAX


def measure_memory(
    servers: BenchServers, *, messages: int, seed: int, wave: int = WAVE, done: Callable[[], None] = lambda: None
) -> MemoryGrowth:
    """Measures one worker on all the messages. Raises RunFailed."""
    readings: list[MemoryReading] = []
    with servers.place() as queue, servers.fleet(OURS, queue) as fleet:
        first = workload(LoadKind.MIX, 0, seed=seed)
        servers.fill(queue, first.documents)
        fleet.warm_up(first)
        for number, start in enumerate(range(WARM_UP, WARM_UP + messages, wave)):
            numbers = range(start, start + wave)
            load = workload(LoadKind.MIX, wave, seed=seed + number, warm_up=0, numbers=numbers)
            servers.fill(queue, load.documents)
            fleet.stage(load.bodies)
            figures = fleet.drain(messages=wave, announced=load.announced)
            reading = MemoryReading(
                messages=start - WARM_UP + wave,
                resident_bytes=fleet.resident_bytes(),
                cpu_s_per_1000=figures.cpu_s_per_1000,
            )
            readings.append(reading)
            done()
    return MemoryGrowth(readings=readings, growth_share=growth_share([each.resident_bytes for each in readings]))


def growth_share(values: Sequence[int]) -> float:
    """Growth of the regression line through the second half of the values, as share of its first value."""
    half = values[len(values) // 2 :]
    if len(half) < 2:
        return 0.0
    line = linear_regression(range(len(half)), half)
    return line.slope * (len(half) - 1) / line.intercept
