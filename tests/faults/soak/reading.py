"""What a soak reads at intervals, and what it ends in."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from tests.faults.soak.process_usage import ProcessUsage


class SystemReading(Struct, frozen=True, kw_only=True):
    """The system at one moment. `at_s`: seconds since the workers were ready. `workers`: one entry a worker.

    `handled`: audit lines of events. `messages`: settled by the workers. `depth`: messages in the queue, in flight
    included. `outbox`: events that wait to be published. `connections`: to mongod, of all clients.
    """

    at_s: float
    workers: Sequence[ProcessUsage]
    queue_server: ProcessUsage
    mongod: ProcessUsage
    load: ProcessUsage
    handled: int
    messages: int
    depth: int
    outbox: int
    connections: int
    documents: int
    load_average: float


class SoakResult(Struct, frozen=True, kw_only=True):
    """The readings and the counts. `wrong`: what is lost or broken, empty if nothing is."""

    readings: Sequence[SystemReading]
    counts: Mapping[str, Any]
    wrong: Sequence[str]
