"""A soak: workers at the highest rate that the machine carries, read at intervals, then quiet, and the verdict.

The outside services keep the queue filled and wait while it is full, so the slowest part sets the rate.
"""

import asyncio
import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Final

from localstack_server import LocalStack
from mongod import Mongod
from tests.e2e.ledger import half_written, misplaced
from tests.e2e.stage import Stage, staged_on
from tests.e2e.worker_process import COMMAND
from tests.faults.load.document_writer import session_documents
from tests.faults.services.statsd_listener import StatsdListener
from tests.faults.soak.event_count import EventCount
from tests.faults.soak.pair_check import PairCheck
from tests.faults.soak.process_usage import ProcessUsage
from tests.faults.soak.reading import SoakResult, SystemReading
from tests.faults.soak.soak_delivery import SoakDelivery
from tests.faults.soak.soak_services import SoakServices
from tests.faults.soak.soak_worker import RUN, SoakWorker, worker_kind
from worker.telemetry.metrics import Metric

_RECEIVE_COUNT_MAX: Final = 1_000
_VISIBILITY_S: Final = "30"
_QUIET_S: Final = 2.0
_POLL_S: Final = 0.2
_END_S: Final = 60.0
LIVE_PAIRS: Final = 180
EVERYTHING_ON: Final = {
    "WAITING_TIMES": "true",
    "STATUS_SECONDS": "5",
    "SWEEP_INTERVAL_SECONDS": "30",
    "SWEEP_FULL_SECONDS": "600",
    "SYNC_GAP_SECONDS": "300",
    "IVR_SECONDS": "86400",
}
"""The settings of the workers beside the stage's: everything that runs by the clock runs often. Nobody queues the
work-items of the load, so that one in ivr is no drift."""


@dataclass(slots=True, kw_only=True)
class SoakRun:
    """One soak on a stage. `report`: prints a line of progress. `took`: gets each reading as it is taken."""

    stage: Stage
    mongod: Mongod
    queue_server: LocalStack
    metrics: StatsdListener
    seed: int
    workers: int
    backlog: int
    drop: int
    report: Callable[[str], None]
    took: Callable[[SystemReading], None] = field(default=lambda _: None)
    count: EventCount = field(default_factory=EventCount)
    readings: list[SystemReading] = field(default_factory=list)
    _delivery: SoakDelivery = field(init=False)
    _services: SoakServices = field(init=False)
    _check: PairCheck = field(init=False)
    _failed: BaseException | None = None

    def live(self, *, seconds: float, interval_s: float) -> SoakResult:
        """Runs for `seconds`, with a reading each `interval_s`. Raises AssertionError where a part has ended."""
        self._prepare()
        thread = threading.Thread(target=self._run_load, daemon=True)
        processes = [self._worker() for _ in range(self.workers)]
        for process in processes:
            process.wait_ready()
        thread.start()
        try:
            self._read_until(processes, seconds=seconds, interval_s=interval_s)
            self._services.stopping = True
            thread.join(_END_S)
            self._assert_load(thread)
            self.report("the load has ended, waiting for quiet")
            left = self._wait_quiet()
        finally:
            self._services.stopping = self._delivery.abandoned = True
        for process in processes:
            status, took_s = process.terminate()
            assert status == 0, f"{process.log.stem} ended with {status}: {process.last_lines()}"
            self.report(f"stopped in {took_s:.1f} s")
        wrong = [*left, *self._wrong(), *self.drift()]
        return SoakResult(readings=self.readings, counts=self._counts(), wrong=wrong)

    def _worker(self) -> SoakWorker:
        worker = self.stage.worker()
        assert isinstance(worker, SoakWorker)
        return worker

    def _prepare(self) -> None:
        database = self.stage.database
        database["work_sessions"].insert_many(session_documents())
        self._unsubscribe_spy()
        # As long as provisioned by default: the suite's ten seconds lapse where a machine is busy.
        self.stage.sqs.set_queue_attributes(
            QueueUrl=self.stage.variables["SQS_QUEUE_URL"], Attributes={"VisibilityTimeout": _VISIBILITY_S}
        )
        self.stage.variables |= {
            **EVERYTHING_ON,
            "STATSD_HOST": "127.0.0.1",
            "STATSD_PORT": str(self.metrics.port),
        }
        chance = Random(self.seed)
        self._delivery = SoakDelivery(
            stage=self.stage, random=Random(chance.random()), count=self.count, drop=self.drop
        )
        self._services = SoakServices(
            uri=self.mongod.uri,
            database=self.stage.variables["MONGODB_DATABASE"],
            delivery=self._delivery,
            random=Random(chance.random()),
            per_second=0,
            pairs=LIVE_PAIRS,
            count=self.count,
            backlog=self.backlog,
        )
        self._check = PairCheck(database=database, services=self._services, count=self.count)

    def _unsubscribe_spy(self) -> None:
        """The stage's other subscriber would have to be emptied, and its filter costs LocalStack time."""
        stage = self.stage
        for topic in ("SNS_CONVERSATION_TOPIC_ARN", "SNS_WORK_ITEM_TOPIC_ARN"):
            found = stage.sns.list_subscriptions_by_topic(TopicArn=stage.variables[topic])["Subscriptions"]
            for each in found:
                if each["Endpoint"].endswith("-spy"):
                    stage.sns.unsubscribe(SubscriptionArn=each["SubscriptionArn"])

    def _run_load(self) -> None:
        async def work() -> None:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._delivery.run())
                await self._services.run()
                self._delivery.ended = True

        try:
            asyncio.run(work())
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that reads
            self._failed = error

    def _assert_load(self, thread: threading.Thread) -> None:
        if self._failed is not None:
            raise AssertionError("the load itself failed") from self._failed
        assert not thread.is_alive(), f"the load did not end within {_END_S:.0f} s"

    def _read_until(self, processes: Sequence[SoakWorker], *, seconds: float, interval_s: float) -> None:
        began = time.monotonic()
        told_s = 0.0
        while (at_s := time.monotonic() - began) < seconds:
            if self._failed is not None:
                raise AssertionError("the load itself failed") from self._failed
            for process in processes:
                assert process.process.poll() is None, f"{process.log.stem} has ended: {process.last_lines()}"
            reading = self._reading(at_s, processes)
            self.readings.append(reading)
            self.took(reading)
            if at_s >= told_s:
                self._tell(reading)
                told_s += max(seconds / 60, 10)
            self._check.round()
            time.sleep(max(0.0, began + (len(self.readings)) * interval_s - time.monotonic()))

    def _reading(self, at_s: float, processes: Sequence[SoakWorker]) -> SystemReading:
        database = self.stage.database
        return SystemReading(
            at_s=at_s,
            workers=[ProcessUsage.of(each.process.pid) for each in processes],
            queue_server=ProcessUsage.of(self.queue_server.pid),
            mongod=ProcessUsage.of(self.mongod.pid),
            load=ProcessUsage.of(os.getpid()),
            handled=self.count.handled,
            messages=self.metrics.count(Metric.OUTCOME),
            depth=self.stage.depth(),
            outbox=database["outbox"].estimated_document_count(),
            connections=database.client.admin.command("serverStatus")["connections"]["current"],
            documents=sum(database[each].estimated_document_count() for each in ("conversations", "work_items")),
            load_average=os.getloadavg()[0],
        )

    def _tell(self, reading: SystemReading) -> None:
        before = next((each for each in self.readings if each.at_s > reading.at_s - 60), reading)
        spent_s = max(reading.at_s - before.at_s, 1e-9)
        rate = (reading.handled - before.handled) / spent_s
        memory = ", ".join(f"{each.resident_bytes / 1e6:.1f} MB" for each in reading.workers)
        self.report(
            f"{reading.handled:,} events, {rate:.0f} a second; {memory}; {self._check.pairs:,} pairs checked, "
            f"{self.count.outstanding} outstanding; load {reading.load_average:.1f}"
        )

    def _wait_quiet(self, within_s: float = 180) -> list[str]:
        """Waits until nothing is outstanding, in the queue or in the outbox. Returns what never came to an end."""
        deadline = time.monotonic() + within_s
        since = time.monotonic()
        while time.monotonic() - since < _QUIET_S:
            # A lost event stays outstanding: once the queue has been empty for long it does not come any more.
            if not self.stage.drained():
                since = time.monotonic()
                if since > deadline:
                    outbox = self.stage.database["outbox"].count_documents({})
                    return [f"not quiet within {within_s:.0f} s: {self.stage.depth()} messages, {outbox} in the outbox"]
            time.sleep(_POLL_S)
        return []

    def drift(self) -> list[str]:
        """What a sweep of everything would repair or tell. Nothing may be in flight."""
        done = subprocess.run(
            [COMMAND, "sweep", "--all", "--dry-run", "--quiet-queue", "--json"],
            env={**os.environ, **self.stage.variables},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode in (0, 1), done.stderr
        *lines, last = done.stdout.splitlines()
        self.report(f"swept: {last}")
        return [f"drift at the end: {line[:300]}" for line in lines]

    def _wrong(self) -> list[str]:
        letters = [each["Body"] for each in self.stage.dead_letters()]
        lost = self.count.lost()
        poisoned = self._delivery.poisoned
        return [
            *(f"lost: event {each} has no audit line" for each in lost),
            *self._check.at_the_end(),
            *(f"half-written: {each}" for each in half_written(self.stage.database)),
            *(f"session {key}: stored, due: {pair}" for key, pair in misplaced(self.stage.database).items()),
            *(f"a dead letter that is no poison: {each[:200]}" for each in letters if each not in poisoned),
            *(f"poison without a dead letter: {each[:200]}" for each in poisoned if each not in letters),
            *(f"a warning, {times} times: {text}" for text, times in self.count.unwanted()),
        ]

    def _counts(self) -> dict[str, Any]:
        count, check = self.count, self._check
        return {
            "outside events": count.published,
            "messages published by the load": self._delivery.messages,
            "audit lines of events": count.handled,
            "outcomes": dict(count.outcomes),
            "triggers": dict(count.triggers),
            "outside writes": self._services.writes,
            "events lost": len(count.lost()),
            "poison": self._delivery.poisoned.total(),
            "dead letters": self.metrics.count(Metric.DEAD_LETTER),
            "conflicts": self.metrics.count(Metric.CONFLICT),
            "pairs checked": check.pairs,
            "pairs made old": check.made_old,
            "log": dict(count.messages),
        }


@contextlib.contextmanager
def soak_run(
    folder: Path,
    *,
    report: Callable[[str], None],
    took: Callable[[SystemReading], None] = lambda _: None,
    seed: int = 1,
    workers: int = 2,
    backlog: int = 600,
    drop: int = 0,
    command: Sequence[str] = RUN,
) -> Iterator[SoakRun]:
    """Yields a soak on servers of its own; stops everything at the end. `command` starts a worker."""
    with (
        LocalStack() as server,
        Mongod() as mongod,
        staged_on(server.environment, mongod.uri, folder, name="soak", receive_count_max=_RECEIVE_COUNT_MAX) as stage,
        StatsdListener() as metrics,
    ):
        run = SoakRun(
            stage=stage,
            mongod=mongod,
            queue_server=server,
            metrics=metrics,
            seed=seed,
            workers=workers,
            backlog=backlog,
            drop=drop,
            report=report,
            took=took,
        )
        stage.kind = worker_kind(run.count.take, command)
        yield run
