"""Growth by lanes, receivers and processes, with SQS calls of 0 ms and of 10 ms."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import msgspec
from msgspec import Struct

from tests.bench.consumers.consumer import OURS
from tests.bench.endpoint.process import BenchEndpoint
from tests.bench.loads.workload import LoadKind, workload
from tests.bench.runs.comparison import Variant, VariantRow, compare
from tests.bench.runs.fleet import Figures
from tests.bench.runs.servers import BenchServers

COUNTS: Final = (1, 2, 4, 8)
LATENCIES_MS: Final = (0.0, 10.0)
PROCESSES: Final = (1, 2)
_LANES: Final = 2
_RECEIVERS: Final = 4
"""The defaults of both settings; each applies while the other setting is varied."""


class Shape(Struct, frozen=True, kw_only=True):
    """Lanes, receivers and processes of a run."""

    lanes: int
    receivers: int
    processes: int

    def __str__(self) -> str:
        """The name of the row."""
        return f"{self.lanes} lanes, {self.receivers} receivers, {self.processes} proc."


def shapes(counts: Sequence[int] = COUNTS, processes: Sequence[int] = PROCESSES) -> list[Shape]:
    """All shapes: lanes and receivers varied together, lanes alone, receivers alone. The first is the smallest."""
    pairs = [(each, each) for each in counts]
    pairs += [(each, _RECEIVERS) for each in counts]
    pairs += [(_LANES, each) for each in counts]
    return [
        Shape(lanes=lanes, receivers=receivers, processes=each)
        for each in processes
        for lanes, receivers in dict.fromkeys(pairs)
    ]


class LanesRow(Struct, frozen=True, kw_only=True):
    """The row of a shape at one latency of SQS calls."""

    latency_ms: float
    row: VariantRow


def measure_lanes(
    servers: BenchServers,
    kind: LoadKind,
    *,
    messages: int,
    rounds: int,
    seed: int,
    among: Sequence[Shape],
    latencies_ms: Sequence[float] = LATENCIES_MS,
    done: Callable[[], None] = lambda: None,
) -> list[LanesRow]:
    """Measures every shape at every latency, as ratio to the first shape at that latency. Raises RunFailed."""
    found: list[LanesRow] = []
    for latency_ms in latencies_ms:
        with BenchEndpoint(latency_ms=latency_ms) as endpoint:
            slow = msgspec.structs.replace(servers, endpoint=endpoint)
            variants = [
                Variant(name=str(one), run=partial(_run, slow, kind, one, messages=messages, seed=seed))
                for one in among
            ]
            rows = compare(variants, rounds=rounds, seed=seed, speed=servers.speed, done=done)
        found += [LanesRow(latency_ms=latency_ms, row=row) for row in rows]
    return found


def _run(servers: BenchServers, kind: LoadKind, shape: Shape, number: int, *, messages: int, seed: int) -> Figures:
    load = workload(kind, messages, seed=seed + number)
    extra = {"LANES": str(shape.lanes), "RECEIVERS": str(shape.receivers)}
    with servers.place() as queue:
        servers.fill(queue, load.documents)
        with servers.fleet(OURS, queue, processes=shape.processes, extra=extra) as fleet:
            fleet.wait_polled(shape.receivers)
            fleet.warm_up(load)
            return fleet.drain(messages=messages, announced=load.announced)
