"""What a load takes beside the cost of each event: the worker's memory, MongoDB's disk for each pair, and the log."""

from collections.abc import Callable
from typing import Final

from tests.bench.consumers.consumer import OURS
from tests.bench.loads.many_pairs import put_pairs
from tests.bench.loads.workload import LoadKind, workload
from tests.bench.runs.servers import BenchServers
from worker.sizing.capacity import RECEIVERS
from worker.sizing.costs import Footprint
from worker.store.documents import Collection

PAIRS: Final = 20_000
_OF_A_PAIR: Final = (Collection.CONVERSATIONS, Collection.WORK_ITEMS, Collection.SYNC_STATES)


def measure_footprint(
    servers: BenchServers, *, messages: int, seed: int, pairs: int = PAIRS, done: Callable[[], None] = lambda: None
) -> Footprint:
    """Measures one worker on so many messages of the mix, and the files of so many pairs. Raises RunFailed."""
    load = workload(LoadKind.MIX, messages, seed=seed)
    with servers.place() as queue, servers.fleet(OURS, queue) as fleet:
        servers.fill(queue, load.documents)
        fleet.warm_up(load)
        logged = fleet.output_bytes()
        fleet.drain(messages=messages, announced=load.announced)
        logged = fleet.output_bytes() - logged
        resident = fleet.resident_bytes()
    done()
    with servers.place() as queue:
        put_pairs(servers.mongo, queue, pairs)
        with servers.fleet(OURS, queue) as fleet:
            # It makes its indexes before it polls.
            fleet.wait_polled(RECEIVERS)
        stored = _stored_bytes(servers, queue)
    done()
    return Footprint(resident_bytes=resident, pair_bytes=stored / pairs, logged_bytes=logged / messages)


def _stored_bytes(servers: BenchServers, database: str) -> int:
    """The bytes of a pair's documents, not compressed, and of the files of their indexes, after a checkpoint.

    The pairs of the benchmark are copies of one, so MongoDB compresses them far better than a team's own.
    """
    servers.mongo.admin.command("fsync")
    sizes = (servers.mongo[database].command("collStats", collection) for collection in _OF_A_PAIR)
    return sum(int(each["size"] + each["totalIndexSize"]) for each in sizes)
