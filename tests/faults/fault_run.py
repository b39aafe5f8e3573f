"""A fault run: a load, workers, the faults that the test injects; then quiet, the end of the workers, the audit."""

import contextlib
import sys
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Any

from tests.e2e.ledger import Ledger
from tests.e2e.stage import Stage
from tests.e2e.worker_process import WorkerProcess
from tests.faults.audit import RunFigures, WorkerLog, audit
from tests.faults.load.document_writer import session_documents
from tests.faults.load.load import WriteLoad
from tests.faults.load.outside_services import OutsideServices
from tests.faults.load.written_pair import LoadServices
from tests.faults.services.forked_worker import ForkedWorker
from tests.faults.services.statsd_listener import StatsdListener
from worker.telemetry.metrics import Metric

# Longer than any fault, so that the gap poll never decides in the place of an event.
GAP_SECONDS = 3_600
_QUIET_S = 1.0
CROSSING_WRITES = partial(OutsideServices, pairs=60, per_second=40)
"""The load of every case that does not ask for another."""


@dataclass(slots=True, kw_only=True)
class FaultRun:
    """The parts of a run that a test uses."""

    name: str
    seed: int
    random: Random
    stage: Stage
    load: WriteLoad
    ledger: Ledger
    metrics: StatsdListener
    began: float = field(default_factory=time.monotonic)
    took_s: float = 0.0
    kills: int = 0
    figures: RunFigures | None = None
    notes: dict[str, str] = field(default_factory=dict)

    def workers(self, count: int = 2, **variables: str) -> list[WorkerProcess]:
        """Starts `count` workers, and waits until they are ready."""
        started = [self.stage.worker(**variables) for _ in range(count)]
        for worker in started:
            worker.wait_ready()
        return started

    @property
    def pauses(self) -> int:
        """The number of times that a worker paused because MongoDB was away."""
        return self.metrics.count(Metric.STORE_PAUSE)

    def report(self, text: str) -> None:
        """Prints a line of progress."""
        sys.stdout.write(f"    {time.monotonic() - self.began:6.1f} s  {text}\n")
        sys.stdout.flush()

    def finish(
        self,
        *,
        within_s: float = 90,
        delete_may_have_failed: Collection[str] = frozenset(),
        announced: Sequence[Mapping[str, Any]] | None = None,
        lines_may_be_dropped: bool = False,
    ) -> RunFigures:
        """Ends the load, waits for quiet, stops the workers by SIGTERM, and audits the run."""
        self.load.stop()
        self.report(f"{self.load.published} messages published, waiting for quiet")
        self.wait_quiet(within_s=within_s)
        for worker in self.stage.workers:
            if worker.process.poll() is None:
                status, _ = worker.terminate()
                assert status == 0, f"the worker ended with {status}: {worker.log.read_text()[-2_000:]}"
        lines = WorkerLog(lines=[line for worker in self.stage.workers for line in worker.lines()])
        self.figures = audit(
            self.stage,
            self.load,
            self.ledger,
            lines,
            delete_may_have_failed=delete_may_have_failed,
            announced=announced,
            lines_dropped_max=self.metrics.count(Metric.LOG_DROPPED) if lines_may_be_dropped else 0,
        )
        self.took_s = time.monotonic() - self.began
        self.report("audited")
        return self.figures

    def wait_quiet(self, *, within_s: float) -> None:
        """Waits until queue and outbox stay empty for a second: a published event comes back as a message."""
        deadline = time.monotonic() + within_s
        since = time.monotonic()
        while time.monotonic() - since < _QUIET_S:
            if not self.stage.drained():
                since = time.monotonic()
                left = f"{self.stage.depth()} messages, {self.stage.database['outbox'].count_documents({})} events left"
                assert since < deadline, f"not quiet within {within_s:.0f} s: {left}"
            time.sleep(0.1)

    def row(self) -> dict[str, Any]:
        """The run's row in the final table. A run without figures was interrupted or failed."""
        figures = self.figures
        return {
            "case": self.name if figures else f"{self.name}: NOT FINISHED",
            "messages": figures.messages if figures else self.load.delivery.published,
            "syncs": figures.syncs if figures else "",
            "kills": self.kills,
            "redelivered": figures.redeliveries if figures else "",
            "conflicts": self.metrics.count(Metric.CONFLICT),
            "pauses": self.pauses,
            "seconds": f"{self.took_s:.0f}" if figures else "",
            "seed": self.seed,
            "": "; ".join(f"{name} {value}" for name, value in self.notes.items()),
        }


@contextlib.contextmanager
def fault_run(
    stage: Stage, *, uri: str, name: str, seed: int, services: Callable[..., LoadServices] = CROSSING_WRITES
) -> Iterator[FaultRun]:
    """Yields a run whose load has begun, and ends the load in any case."""
    stage.kind = ForkedWorker
    stage.database["work_sessions"].insert_many(session_documents())
    with StatsdListener() as metrics:
        stage.variables |= {
            "LOG_LEVEL": "debug",
            "STATSD_HOST": "127.0.0.1",
            "STATSD_PORT": str(metrics.port),
            "SYNC_GAP_SECONDS": str(GAP_SECONDS),
        }
        load = WriteLoad(stage, uri=uri, seed=seed, services=services)
        run = FaultRun(
            name=name,
            seed=seed,
            random=Random(seed),
            stage=stage,
            load=load,
            ledger=Ledger(stage.database),
            metrics=metrics,
        )
        run.report(f"{name}: seed {seed}")
        load.start()
        try:
            yield run
        finally:
            load.abandon()
