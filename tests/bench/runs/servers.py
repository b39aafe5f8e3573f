"""The servers of the benchmark, and one measured run: store filled, consumer warmed up, queue released, cost read."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any, Final

from msgspec import Struct
from pymongo import MongoClient
from pymongo.errors import BulkWriteError

from localstack_server import aws_environment
from mongod import Mongod
from server_process import ROOT
from tests.bench.consumers.consumer import Consumer
from tests.bench.endpoint.process import BenchEndpoint
from tests.bench.loads.workload import Documents, Workload
from tests.bench.runs.fleet import ConsumerFleet, Figures, Process, RunFailed, running
from tests.bench.runs.machine_speed import MachineSpeed
from worker.store.documents import Collection

_ARN: Final = "arn:aws:sns:us-east-1:000000000000:"
_DUPLICATE_KEY: Final = 11_000
_SHARED: Final = frozenset({Collection.QUEUES, Collection.WORK_SESSIONS})
"""The collections whose documents can be those of several loads."""
_numbers = count(1)

Watcher = Callable[[Process], None]


def _nothing(_: Process) -> None:
    pass


class BenchServers(Struct, frozen=True, kw_only=True):
    """The servers that all runs share: the stand-in for SQS and SNS, and MongoDB. `speed`: of the machine."""

    endpoint: BenchEndpoint
    mongod: Mongod
    mongo: MongoClient[dict[str, Any]]
    speed: MachineSpeed

    def run(
        self,
        consumer: Consumer,
        load: Workload,
        *,
        extra: Mapping[str, str] | None = None,
        begin: Watcher = _nothing,
        end: Watcher = _nothing,
    ) -> Figures:
        """Measures one consumer on one load. Calls `begin` before the queue is released, `end` when it is empty.

        A disturbed run is repeated while the patience lasts. `extra`: environment variables for this run. Raises
        RunFailed.
        """
        return self.speed.undisturbed(lambda: self._run(consumer, load, extra=extra, begin=begin, end=end))

    def _run(
        self, consumer: Consumer, load: Workload, *, extra: Mapping[str, str] | None, begin: Watcher, end: Watcher
    ) -> Figures:
        with self.place() as queue:
            self.fill(queue, load.documents)
            try:
                with self.fleet(consumer, queue, extra=extra) as fleet:
                    fleet.warm_up(load)
                    begin(fleet.processes[0])
                    figures = fleet.drain(messages=len(load.bodies), announced=load.announced)
                    end(fleet.processes[0])
                    return figures
            except RunFailed as error:
                raise RunFailed(f"{load.kind.value}: {error}") from error

    @contextlib.contextmanager
    def place(self) -> Iterator[str]:
        """Yields a new name for a queue and a database, and removes both at the end."""
        name = f"bench-{next(_numbers)}"
        try:
            yield name
        finally:
            self.endpoint.drop(name)
            self.mongo.drop_database(name)

    def fill(self, database: str, documents_by_collection: Documents) -> None:
        """Inserts documents into a database. Queues and sessions that are there already stay as they are."""
        for collection, documents in documents_by_collection.items():
            if not documents:
                continue
            try:
                self.mongo[database][collection].insert_many([dict(one) for one in documents], ordered=False)
            except BulkWriteError as error:
                kept = collection in _SHARED
                if not kept or any(each["code"] != _DUPLICATE_KEY for each in error.details["writeErrors"]):
                    raise

    @contextlib.contextmanager
    def fleet(
        self, consumer: Consumer, queue: str, *, processes: int = 1, extra: Mapping[str, str] | None = None
    ) -> Iterator[ConsumerFleet]:
        """Runs processes of a consumer on a queue and the database of the same name; kills them at the end."""
        variables = {**self.environment(queue), **consumer.variables, **(extra or {})}
        with contextlib.ExitStack() as stack:
            yield ConsumerFleet(
                consumer,
                queue,
                endpoint=self.endpoint,
                mongod=self.mongod,
                mongo=self.mongo,
                speed=self.speed,
                running=[stack.enter_context(running(consumer, variables)) for _ in range(processes)],
            )

    def environment(self, queue: str) -> dict[str, str]:
        """The variables of a process on this queue and the database of the same name."""
        return {
            **aws_environment(self.endpoint.url),
            "AWS_ENDPOINT_URL_SQS": self.endpoint.url,
            "AWS_ENDPOINT_URL_SNS": self.endpoint.url,
            "SQS_QUEUE_URL": f"{self.endpoint.url}/000000000000/{queue}",
            "SNS_CONVERSATION_TOPIC_ARN": f"{_ARN}conversation",
            "SNS_WORK_ITEM_TOPIC_ARN": f"{_ARN}work-item",
            "MONGODB_URI": self.mongod.uri,
            "MONGODB_DATABASE": queue,
            "HTTP_PORT": "0",
            # The bench counts what is published.
            "HEARTBEAT_SECONDS": "0",
            "PYTHONPATH": str(ROOT),
        }


@contextlib.contextmanager
def running_servers(*, latency_ms: float, patience_s: float = 240) -> Iterator[BenchServers]:
    """Starts the servers, and stops them at the end. `patience_s`: for the cores, see MachineSpeed."""
    with BenchEndpoint(latency_ms=latency_ms) as endpoint, Mongod() as mongod:
        mongo: MongoClient[dict[str, Any]] = MongoClient(mongod.uri)
        with mongo:
            yield BenchServers(endpoint=endpoint, mongod=mongod, mongo=mongo, speed=MachineSpeed(patience_s=patience_s))
