"""Quiet queues: so many messages a second, compared with a queue that is full when the worker looks at it.

At a low rate a call to SQS brings one message, a batch holds one, and so does a transaction: each message costs what a
hundred share under load.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

import msgspec

from tests.bench.consumers.consumer import OURS
from tests.bench.endpoint.process import BenchEndpoint
from tests.bench.loads.workload import LoadKind, workload
from tests.bench.runs.comparison import Variant, VariantRow, compare
from tests.bench.runs.fleet import Figures
from tests.bench.runs.servers import BenchServers

RATES_PER_S: Final = (None, 300, 100, 30, 10)
"""Messages a second; None: all at once. The first is what the others are compared with."""
LATENCY_MS: Final = 10.0
"""The duration of a call to SQS, as on AWS: while it lasts, messages arrive."""
_SECONDS: Final = 20
_RECEIVERS: Final = 4


def measure_rates(
    servers: BenchServers,
    kind: LoadKind,
    *,
    messages: int,
    rounds: int,
    seed: int,
    rates_per_s: Sequence[int | None] = RATES_PER_S,
    done: Callable[[], None] = lambda: None,
) -> list[VariantRow]:
    """Measures every rate, for 20 seconds or `messages`, whichever are fewer messages. Raises RunFailed."""
    with BenchEndpoint(latency_ms=LATENCY_MS) as endpoint:
        slow = msgspec.structs.replace(servers, endpoint=endpoint)
        variants = [
            Variant(
                name="all at once" if per_s is None else f"{per_s} messages a second",
                run=partial(_run, slow, kind, per_s, messages=messages, seed=seed),
            )
            for per_s in rates_per_s
        ]
        return compare(variants, rounds=rounds, seed=seed, speed=servers.speed, done=done)


def _run(servers: BenchServers, kind: LoadKind, per_s: int | None, number: int, *, messages: int, seed: int) -> Figures:
    count = messages if per_s is None else min(messages, per_s * _SECONDS)
    load = workload(kind, count, seed=seed + number)
    with servers.place() as queue:
        servers.fill(queue, load.documents)
        with servers.fleet(OURS, queue) as fleet:
            fleet.wait_polled(_RECEIVERS)
            fleet.warm_up(load)
            return fleet.drain(messages=count, announced=load.announced, per_s=per_s)
