"""Memory over a long run of the mix: the worker's resident memory after every wave of messages.

Each wave is made, stored and staged when the one before is done: neither this process nor the stand-in holds more than
one. So the queue is empty for a moment between two of them, which is when memory is read.
"""

from collections.abc import Callable, Sequence
from statistics import linear_regression
from typing import Final

from msgspec import Struct

from tests.bench.consumers.consumer import OURS
from tests.bench.loads.workload import WARM_UP, LoadKind, workload
from tests.bench.runs.servers import BenchServers
from worker.store.documents import Collection

WAVE: Final = 10_000
FLAT_SHARE_MAX: Final = 0.02
"""Flat: the line through the second half grows by no more than so much of its first value."""


class MemoryReading(Struct, frozen=True, kw_only=True):
    """After so many messages."""

    messages: int
    resident_bytes: int
    cpu_s_per_1000: float


class MemoryGrowth(Struct, frozen=True, kw_only=True):
    """The curve. `growth_share`: what the line through its second half grows by over that half, as a share."""

    readings: Sequence[MemoryReading]
    growth_share: float

    @property
    def flat(self) -> bool:
        """Whether memory stays as it is."""
        return self.growth_share <= FLAT_SHARE_MAX


def measure_memory(
    servers: BenchServers, *, messages: int, seed: int, wave: int = WAVE, done: Callable[[], None] = lambda: None
) -> MemoryGrowth:
    """One worker through all the messages. Raises RunFailed."""
    readings: list[MemoryReading] = []
    with servers.place() as queue, servers.fleet(OURS, queue) as fleet:
        first = workload(LoadKind.MIX, 0, seed=seed)
        servers.fill(queue, first.documents)
        fleet.warm_up(first)
        for number, start in enumerate(range(WARM_UP, WARM_UP + messages, wave)):
            numbers = range(start, start + wave)
            load = workload(LoadKind.MIX, wave, seed=seed + number, warm_up=0, numbers=numbers)
            servers.fill(queue, {each: some for each, some in load.documents.items() if each not in _SHARED})
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
    """What the line through the second half of the values grows by over that half, as a share of where it begins."""
    half = values[len(values) // 2 :]
    if len(half) < 2:
        return 0.0
    line = linear_regression(range(len(half)), half)
    return line.slope * (len(half) - 1) / line.intercept


_SHARED: Final = frozenset({Collection.QUEUES})
"""Put in once: every pair names them."""
