"""The verdict on a soak's readings: what must be flat, within what it may grow, and the cost of an event.

| figure | may grow from the end of the warm-up, by the fitted line | in a short run |
|---|---|---|
| resident memory of a worker | 2 % of its level | 5 % |
| descriptors and threads of a worker, connections to mongod | 2 | 8 |
| outbox | 50 events | 50 events |

In a run of less than twenty minutes the allocator and the pools of connections have not settled after the warm-up.
The servers and the load are told beside them and not judged: LocalStack keeps what it has delivered, mongod fills its
cache, the load keeps a line for each checked pair.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from msgspec import Struct

from tests.faults.soak.process_usage import ProcessUsage
from tests.faults.soak.reading import SystemReading
from tests.faults.soak.trend import Trend, trend

_OUTBOX_MAX: Final = 50.0
_WARM_UP_SHARE: Final = 0.5
_WARM_UP_S_MAX: Final = 600.0


class GrowthLimits(Struct, frozen=True, kw_only=True):
    """The most growth: of memory as share of its level, of descriptors, threads and connections in their number."""

    memory_share: float
    number: float


SETTLED: Final = GrowthLimits(memory_share=0.02, number=2)
SETTLING: Final = GrowthLimits(memory_share=0.05, number=8)


class Figure(Struct, frozen=True, kw_only=True):
    """One line of the table. `growth_max` None: told, not judged."""

    name: str
    unit: str
    trend: Trend
    growth_max: float | None

    @property
    def title(self) -> str:
        """The name with the unit."""
        return f"{self.name}, {self.unit}" if self.unit else self.name

    @property
    def flat(self) -> bool:
        """Whether the growth is within its limit."""
        return self.growth_max is None or self.trend.growth <= self.growth_max


class SoakCost(Struct, frozen=True, kw_only=True):
    """Rate and processor milliseconds an event, of the parts of the system, over some readings."""

    events: int
    per_second: float
    workers_ms: float
    queue_server_ms: float
    mongod_ms: float
    load_ms: float
    load_average: float


def figures(readings: Sequence[SystemReading]) -> Iterator[Figure]:
    """Every figure of a run. Raises ValueError where it was too short."""
    limits = SETTLED if warm_up(readings) >= _WARM_UP_S_MAX else SETTLING
    for number in range(len(readings[0].workers)):
        yield from _of_worker(readings, number, limits)
    yield _figure(readings, "connections to mongod", "", lambda each: each.connections, limits.number)
    yield _figure(readings, "outbox", "events", lambda each: each.outbox, _OUTBOX_MAX)
    yield _figure(readings, "messages in the queue", "", lambda each: each.depth, None)
    yield _figure(readings, "conversations and work-items", "", lambda each: each.documents, None)
    yield _figure(readings, "LocalStack: memory", "MB", lambda each: each.queue_server.resident_bytes / 1e6, None)
    yield _figure(readings, "mongod: memory", "MB", lambda each: each.mongod.resident_bytes / 1e6, None)
    yield _figure(readings, "load: memory", "MB", lambda each: each.load.resident_bytes / 1e6, None)


def costs(readings: Sequence[SystemReading]) -> tuple[SoakCost, SoakCost, SoakCost]:
    """The cost over the first quarter after the warm-up, over the last quarter, and over the whole run."""
    warm_up_s = warm_up(readings)
    after = [each for each in readings if each.at_s - readings[0].at_s >= warm_up_s]
    quarter = max(2, len(after) // 4)
    return _cost(after[:quarter]), _cost(after[-quarter:]), _cost(readings)


def warm_up(readings: Sequence[SystemReading]) -> float:
    """The seconds that are left out: half of the run, ten minutes at most."""
    return min(_WARM_UP_S_MAX, _WARM_UP_SHARE * (readings[-1].at_s - readings[0].at_s))


def _of_worker(readings: Sequence[SystemReading], number: int, limits: GrowthLimits) -> Iterator[Figure]:
    name = f"worker {number + 1}"

    def of(read: Callable[[ProcessUsage], float]) -> Callable[[SystemReading], float]:
        return lambda each: read(each.workers[number])

    memory = _figure(readings, f"{name}: memory", "MB", of(lambda each: each.resident_bytes / 1e6), None)
    yield Figure(
        name=memory.name, unit=memory.unit, trend=memory.trend, growth_max=limits.memory_share * memory.trend.level
    )
    yield _figure(readings, f"{name}: descriptors", "", of(lambda each: each.descriptors), limits.number)
    yield _figure(readings, f"{name}: threads", "", of(lambda each: each.threads), limits.number)


def _figure(
    readings: Sequence[SystemReading],
    name: str,
    unit: str,
    read: Callable[[SystemReading], float],
    growth_max: float | None,
) -> Figure:
    fitted = trend([each.at_s for each in readings], [read(each) for each in readings], warm_up_s=warm_up(readings))
    return Figure(name=name, unit=unit, trend=fitted, growth_max=growth_max)


def _cost(some: Sequence[SystemReading]) -> SoakCost:
    first, last = some[0], some[-1]
    events = max(1, last.handled - first.handled)

    def ms(spent_s: float) -> float:
        return spent_s / events * 1_000

    return SoakCost(
        events=last.handled - first.handled,
        per_second=(last.handled - first.handled) / max(1e-9, last.at_s - first.at_s),
        workers_ms=ms(sum(b.cpu_s - a.cpu_s for a, b in zip(first.workers, last.workers, strict=True))),
        queue_server_ms=ms(last.queue_server.cpu_s - first.queue_server.cpu_s),
        mongod_ms=ms(last.mongod.cpu_s - first.mongod.cpu_s),
        load_ms=ms(last.load.cpu_s - first.load.cpu_s),
        load_average=sum(each.load_average for each in some) / len(some),
    )
