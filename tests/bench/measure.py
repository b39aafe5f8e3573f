"""One run: a store made ready, a consumer started and warmed up, the queue released at once, CPU and wall read.

CPU is user and system time of the consumer's process, all its threads, from the release to the last deletion and the
last announcement; starting up and warming up are not in it.
"""

import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import IO, Any, Final

from pymongo import MongoClient

from localstack_server import aws_environment
from mongod import Mongod
from server_process import ROOT
from tests.bench.consumers import BARE, Consumer
from tests.bench.endpoint_process import BenchEndpoint, Drained
from tests.bench.workload import Workload
from worker.collection import Collection

_ARN: Final = "arn:aws:sns:us-east-1:000000000000:"
_TAIL: Final = 2_000
_DRAINED_WITHIN_S: Final = 180
_CLEARED_WITHIN_S: Final = 20
_numbers = count(1)

Process = subprocess.Popen[bytes]
Watcher = Callable[[Process], None]


class RunFailed(Exception):
    """A consumer did not empty its queue; the message ends with the last of what it printed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What a run took; `calls` are those to SQS, by action."""

    messages: int
    cpu_s: float
    wall_s: float
    calls: Mapping[str, int]

    @property
    def cpu_s_per_1000(self) -> float:
        """CPU seconds of the consumer's process per 1,000 messages."""
        return self.cpu_s / self.messages * 1_000

    @property
    def wall_s_per_1000(self) -> float:
        """Wall seconds per 1,000 messages."""
        return self.wall_s / self.messages * 1_000


def _nothing(_: Process) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """The servers that all runs share."""

    endpoint: BenchEndpoint
    mongod: Mongod
    mongo: MongoClient[dict[str, Any]]

    def run(
        self,
        consumer: Consumer,
        load: Workload,
        *,
        extra: Mapping[str, str] | None = None,
        begin: Watcher = _nothing,
        end: Watcher = _nothing,
    ) -> Figures:
        """Measure one consumer on one load; `begin` and `end` are called at the ends of what is measured.

        `extra`: variables of the consumer's own. Raises RunFailed.
        """
        queue = f"bench-{next(_numbers)}"
        database = self.mongo[queue]
        for collection, documents in load.documents.items():
            database[collection].insert_many([dict(one) for one in documents], ordered=False)
        try:
            with _running(consumer, {**self._environment(queue), **consumer.variables, **(extra or {})}) as (
                process,
                output,
            ):
                try:
                    self._warm_up(process, queue, load)
                    begin(process)
                    figures = self._drain(process, queue, load)
                    end(process)
                    return figures
                except TimeoutError as error:
                    output.seek(0)
                    told = output.read()[-_TAIL:].decode(errors="replace")
                    raise RunFailed(f"{consumer.name} did not empty its queue ({load.kind.value}):\n{told}") from error
        finally:
            self.endpoint.drop(queue)
            self.mongo.drop_database(queue)

    def _warm_up(self, process: Process, queue: str, load: Workload) -> None:
        self.endpoint.stage(queue, load.warm_up)
        self.endpoint.release(queue)
        self._drained(process, queue, load.warm_up_announced)
        self._wait_cleared(queue)
        self.endpoint.stage(queue, load.bodies)

    def _drain(self, process: Process, queue: str, load: Workload) -> Figures:
        began = _cpu_s(process)
        self.endpoint.release(queue)
        drained = self._drained(process, queue, load.announced)
        self._wait_cleared(queue)
        cpu_s = _cpu_s(process) - began
        return Figures(messages=len(load.bodies), cpu_s=cpu_s, wall_s=drained.wall_s, calls=drained.calls)

    def _drained(self, process: Process, queue: str, published: int) -> Drained:
        # The bare loop announces nothing, and is waited for by its deletions alone.
        published = 0 if process.args == BARE.command else published
        deadline = time.monotonic() + _DRAINED_WITHIN_S
        while True:
            try:
                return self.endpoint.drained(queue, published=published)
            except TimeoutError:
                if process.poll() is not None or time.monotonic() > deadline:
                    raise

    def _wait_cleared(self, database: str) -> None:
        """Until nothing is left in the outbox: taking it out is part of the work."""
        deadline = time.monotonic() + _CLEARED_WITHIN_S
        while self.mongo[database][Collection.OUTBOX].find_one() is not None:
            if time.monotonic() > deadline:
                raise TimeoutError

    def _environment(self, queue: str) -> dict[str, str]:
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
            "PYTHONPATH": str(ROOT),
        }


@contextlib.contextmanager
def bench(*, latency_ms: float) -> Iterator[Bench]:
    """The servers, stopped at the end."""
    with BenchEndpoint(latency_ms=latency_ms) as endpoint, Mongod() as mongod:
        mongo: MongoClient[dict[str, Any]] = MongoClient(mongod.uri)
        with mongo:
            yield Bench(endpoint=endpoint, mongod=mongod, mongo=mongo)


@contextlib.contextmanager
def _running(consumer: Consumer, variables: Mapping[str, str]) -> Iterator[tuple[Process, IO[bytes]]]:
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            consumer.command,
            env={**os.environ, **variables},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            yield process, output
        finally:
            process.kill()
            process.wait()


def _cpu_s(process: Process) -> float:
    """User and system seconds of a process, all threads. Linux numbers the CPU clocks of others this way."""
    return time.clock_gettime((~process.pid << 3) | 2)
