"""Standard output breaks under load: events are handled and settled all the same, and each log line is whole or
counted as dropped."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from mongod import Mongod
from tests.e2e.worker_process import WorkerProcess, wait_until
from tests.faults.fault_run import FaultRun
from tests.faults.services.machine import fill, mount_tmpfs, unmount
from tests.faults.services.piped_worker import PipedWorker, WorkerOnFile
from worker.telemetry.metrics import Metric

SMALL_BUFFER = "65536"
LOG_DISK_MB = 8


@pytest.fixture
def log_disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system for logs."""
    folder = tmp_path / "logs"
    folder.mkdir()
    assert mount_tmpfs(folder, LOG_DISK_MB) is None
    yield folder
    unmount(folder)


def piped_workers(run: FaultRun, **variables: str) -> list[PipedWorker]:
    run.stage.kind = PipedWorker
    # Longer than the case: a message that comes twice was settled and not deleted.
    patient = {"VisibilityTimeout": "900"}
    run.stage.sqs.set_queue_attributes(QueueUrl=run.stage.variables["SQS_QUEUE_URL"], Attributes=patient)
    return [worker for worker in run.workers(2, **variables) if isinstance(worker, PipedWorker)]


def handles_more(run: FaultRun, events: int) -> None:
    """Waits until that many more messages are settled, while the load goes on."""
    done = run.metrics.count(Metric.OUTCOME) + events
    wait_until(
        lambda: run.metrics.count(Metric.OUTCOME) >= done,
        within_s=90,
        what=lambda: f"{done} settled: {run.metrics.count(Metric.OUTCOME)}",
    )


def assert_well(workers: list[PipedWorker] | list[WorkerProcess]) -> None:
    for worker in workers:
        assert worker.http("/healthz")[0] == 200
        assert worker.http("/readyz")[0] == 200


def test_the_reader_of_the_log_stands_still(run: FaultRun) -> None:
    """Row 1: the queue takes every line meanwhile, and all are read in the end."""
    workers = piped_workers(run)
    for worker in workers:
        worker.stand_still()
    handles_more(run, 300)
    assert_well(workers)
    for worker in workers:
        worker.read_on()
    assert run.finish().syncs > 0
    assert run.metrics.count(Metric.LOG_DROPPED) == 0


def test_the_log_overflows(run: FaultRun) -> None:
    """Row 1: the reader stands still for longer than the queue has room."""
    workers = piped_workers(run, LOG_BUFFER_BYTES=SMALL_BUFFER)
    for worker in workers:
        worker.stand_still()
    handles_more(run, 300)
    wait_until(lambda: run.metrics.count(Metric.LOG_DROPPED) > 100, within_s=60, what=lambda: "lines are dropped")
    assert_well(workers)
    for worker in workers:
        worker.read_on()
    told = "log lines dropped"
    wait_until(lambda: any(worker.says(told) for worker in workers), within_s=30, what=lambda: "the drops are told")
    run.finish(lines_may_be_dropped=True)
    lines = [line for worker in workers for line in worker.lines() if line["msg"] == told]
    assert sum(line["lines"] for line in lines) == run.metrics.count(Metric.LOG_DROPPED)
    run.notes["dropped"] = str(run.metrics.count(Metric.LOG_DROPPED))


def test_the_reader_of_the_log_leaves(run: FaultRun) -> None:
    """Row 1: a pipe that breaks. Every line from then on is counted as dropped by the end of the process."""
    workers = piped_workers(run, LOG_BUFFER_BYTES=SMALL_BUFFER)
    handles_more(run, 100)
    for worker in workers:
        worker.leave()
    handles_more(run, 300)
    assert_well(workers)
    run.finish(lines_may_be_dropped=True)
    dropped = run.metrics.count(Metric.LOG_DROPPED)
    assert dropped > 300
    run.notes["dropped"] = str(dropped)


@pytest.mark.needs("small disk")
def test_the_disk_of_the_log_is_full(run_on: Callable[..., FaultRun], mongod: Mongod, log_disk: Path) -> None:
    """Row 1: ENOSPC in the middle of a line; there is room again before the queue is full."""

    class OnDisk(WorkerOnFile):
        folder = log_disk

    run = run_on(mongod.uri)
    run.stage.kind = OnDisk
    workers = run.workers(2)
    handles_more(run, 50)
    filler = log_disk / "filler"
    fill(filler)
    handles_more(run, 300)
    assert_well(workers)
    sizes = [worker.log.stat().st_size for worker in workers]
    fill(filler)
    handles_more(run, 50)
    assert [worker.log.stat().st_size for worker in workers] == sizes, "the disk is not full"
    filler.unlink()
    assert run.finish().syncs > 0
    assert run.metrics.count(Metric.LOG_DROPPED) == 0
