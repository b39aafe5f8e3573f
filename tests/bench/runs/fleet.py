"""The processes of one consumer on one queue and one database, and the cost of emptying the queue.

CPU is user and system time of all threads of the processes, from the release of the queue until the last message is
deleted, the last event is published and the outbox is empty. Start-up and warm-up are not included.
"""

import contextlib
import os
import re
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, Final, TypeVar

from msgspec import Struct
from pymongo import MongoClient

from mongod import Mongod
from server_process import ROOT
from tests.bench.consumers.consumer import BARE, Consumer
from tests.bench.endpoint.process import BenchEndpoint, Drained
from tests.bench.endpoint.queue import EMPTY
from tests.bench.loads.workload import Workload
from tests.bench.runs.machine_speed import MachineSpeed
from tests.bench.runs.store_use import StoreUse, cpu_s
from worker.store.documents import Collection

_TAIL: Final = 2_000
_DRAINED_WITHIN_S: Final = 180
_SECONDS_A_MESSAGE_MAX: Final = 0.1
"""Added to the deadline for each message, for long runs on a busy machine."""
_CLEARED_WITHIN_S: Final = 20
_POLL_S: Final = 0.01
_RESIDENT: Final = re.compile(r"^VmRSS:\s+(\d+) kB$", re.MULTILINE)

Process = subprocess.Popen[bytes]
T = TypeVar("T")


class RunFailed(Exception):
    """A consumer did not empty its queue in time. The message ends with the end of the consumer's output."""


class Figures(Struct, frozen=True, kw_only=True):
    """The cost of emptying a queue once.

    `calls`: calls to SQS and SNS by action. `store`: the work of mongod. `disturbed`: a core was slow before or after.
    """

    messages: int
    cpu_s: float
    wall_s: float
    calls: Mapping[str, int]
    published: int
    store: StoreUse
    disturbed: bool

    @property
    def cpu_s_per_1000(self) -> float:
        """CPU seconds of the consumer's processes per 1,000 messages."""
        return self.cpu_s / self.messages * 1_000

    @property
    def wall_s_per_1000(self) -> float:
        """Wall seconds per 1,000 messages."""
        return self.wall_s / self.messages * 1_000

    @property
    def calls_per_1000(self) -> float:
        """Calls to SQS and SNS per 1,000 messages."""
        return sum(count for action, count in self.calls.items() if action != EMPTY) / self.messages * 1_000

    @property
    def mongod_cpu_s_per_1000(self) -> float:
        """CPU seconds of mongod per 1,000 messages."""
        return self.store.cpu_s / self.messages * 1_000


class ConsumerFleet:
    """The running processes. Methods that wait raise RunFailed after their deadline."""

    def __init__(
        self,
        consumer: Consumer,
        queue: str,
        *,
        endpoint: BenchEndpoint,
        mongod: Mongod,
        mongo: MongoClient[dict[str, Any]],
        speed: MachineSpeed,
        running: Sequence[tuple[Process, IO[bytes]]],
    ) -> None:
        """`queue`: the name of the queue and of the database. `running`: processes, each with its output."""
        self._consumer = consumer
        self._queue = queue
        self._endpoint = endpoint
        self._mongod = mongod
        self._mongo = mongo
        self._speed = speed
        self._running = running

    @property
    def processes(self) -> list[Process]:
        """The processes in the order of their start."""
        return [process for process, _ in self._running]

    def resident_bytes(self) -> int:
        """Resident memory (VmRSS) of all processes."""
        found = [_RESIDENT.search(Path(f"/proc/{one.pid}/status").read_text()) for one in self.processes]
        return sum(int(each[1]) * 1_024 for each in found if each is not None)

    def output_bytes(self) -> int:
        """The bytes that all processes have written to their standard output and error."""
        return sum(os.fstat(output.fileno()).st_size for _, output in self._running)

    def wait_polled(self, receivers: int) -> None:
        """Waits until every process has started and polls with `receivers` receivers."""
        self._repeat_until_answered(lambda: self._endpoint.polled(self._queue, pollers=receivers * len(self._running)))

    def warm_up(self, load: Workload) -> None:
        """Lets the consumer handle the warm-up messages, then stages the load, invisible for now."""
        self._endpoint.stage(self._queue, load.warm_up)
        self._endpoint.release(self._queue)
        self._drained(load.warm_up_announced)
        self._wait_cleared()
        self._endpoint.stage(self._queue, load.bodies)

    def stage(self, bodies: Sequence[str]) -> None:
        """Adds messages that stay invisible until `drain`."""
        self._endpoint.stage(self._queue, bodies)

    def drain(self, *, messages: int, announced: int, per_s: float | None = None, wait: bool = True) -> Figures:
        """Releases the staged messages, waits until all are settled, and returns the cost.

        `messages`: the number of staged messages. `announced`: events that the consumer must publish. `per_s`: messages
        that become visible a second; None: all at once. `wait`: first, until no core is slow.
        """
        undisturbed = self._speed.wait_until_full() if wait else self._speed.full()
        store = StoreUse.now(self._mongod, self._mongo, self._queue)
        began = self._cpu_s()
        self._endpoint.release(self._queue, per_s=per_s)
        released_s = 0 if per_s is None else messages / per_s
        within_s = _DRAINED_WITHIN_S + released_s + messages * _SECONDS_A_MESSAGE_MAX
        drained = self._drained(announced, within_s=within_s)
        self._wait_cleared()
        used_s = self._cpu_s() - began
        use = StoreUse.now(self._mongod, self._mongo, self._queue).since(store)
        return Figures(
            messages=messages,
            cpu_s=used_s,
            wall_s=drained.wall_s,
            calls=drained.calls,
            published=drained.published,
            store=use,
            disturbed=not (undisturbed and self._speed.full()),
        )

    def _cpu_s(self) -> float:
        return sum(cpu_s(process.pid) for process in self.processes)

    def _drained(self, published: int, *, within_s: float = _DRAINED_WITHIN_S) -> Drained:
        # The bare loop publishes nothing, so only its deletes are awaited.
        wanted = 0 if self._consumer.name == BARE.name else published
        return self._repeat_until_answered(lambda: self._endpoint.drained(self._queue, published=wanted), within_s)

    def _repeat_until_answered(self, call: Callable[[], T], within_s: float = _DRAINED_WITHIN_S) -> T:
        deadline = time.monotonic() + within_s
        while True:
            try:
                return call()
            except TimeoutError as error:
                ended = any(process.poll() is not None for process in self.processes)
                if ended or time.monotonic() > deadline:
                    raise self._failed() from error

    def _wait_cleared(self) -> None:
        """Waits until the outbox is empty: removing published entries is part of the measured work."""
        deadline = time.monotonic() + _CLEARED_WITHIN_S
        while self._mongo[self._queue][Collection.OUTBOX].find_one() is not None:
            if time.monotonic() > deadline:
                raise self._failed()
            # A query costs mongod time, which is measured too, so queries are spaced out.
            time.sleep(_POLL_S)

    def _failed(self) -> RunFailed:
        outputs = []
        for _, output in self._running:
            output.seek(0)
            outputs.append(output.read()[-_TAIL:].decode(errors="replace"))
        return RunFailed(f"{self._consumer.name} did not empty its queue:\n" + "\n".join(outputs))


@contextlib.contextmanager
def running(consumer: Consumer, variables: Mapping[str, str]) -> Iterator[tuple[Process, IO[bytes]]]:
    """Yields a process of the consumer and its output file; kills the process at the end."""
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
