"""All costs of an event, for docs/scale.md: CPU of worker and mongod, calls to SQS and SNS, bytes."""

from collections.abc import Callable
from statistics import median

from tests.bench.consumers.consumer import OURS
from tests.bench.endpoint.queue import EMPTY
from tests.bench.loads.workload import LoadKind, workload
from tests.bench.runs.fleet import Figures
from tests.bench.runs.servers import BenchServers
from worker.sizing.costs import EventCost


def measure_costs(
    servers: BenchServers, *, messages: int, rounds: int, seed: int, done: Callable[[], None] = lambda: None
) -> list[EventCost]:
    """Measures the four loads in every round. Calls `done` after every run. Raises RunFailed."""
    found: dict[LoadKind, list[Figures]] = {kind: [] for kind in LoadKind}
    for number in range(rounds):
        for kind in LoadKind:
            found[kind].append(servers.run(OURS, workload(kind, messages, seed=seed + number)))
            done()
    return [_cost(kind, runs) for kind, runs in found.items()]


def _cost(kind: LoadKind, runs: list[Figures]) -> EventCost:
    def of(figure: Callable[[Figures], float]) -> float:
        return median(figure(run) / run.messages for run in runs)

    return EventCost(
        kind=kind.value,
        worker_cpu_s=of(lambda run: run.cpu_s),
        mongod_cpu_s=of(lambda run: run.store.cpu_s),
        receive_calls=of(lambda run: run.calls.get("ReceiveMessage", 0)),
        empty_receive_calls=of(lambda run: run.calls.get(EMPTY, 0)),
        delete_calls=of(lambda run: run.calls.get("DeleteMessageBatch", 0)),
        publish_calls=of(lambda run: run.calls.get("PublishBatch", 0)),
        published=of(lambda run: run.published),
        transactions=of(lambda run: run.store.committed),
        stored_bytes=of(lambda run: run.store.stored_bytes),
        journal_bytes=of(lambda run: run.store.journal_bytes),
        network_bytes=of(lambda run: run.store.network_bytes),
    )
