"""MongoDB's disk is full: mongod ends or refuses writes, and recovers once there is room."""

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from mongod import Mongod
from tests.faults.fault_run import FaultRun
from tests.faults.services.machine import fill, mount_tmpfs, unmount

_DISK_MB = 450


class _EagerMongod(Mongod):
    """A mongod that writes to its disk every second, so that it soon fails on a full one."""

    def _command(self) -> Sequence[str]:
        return [*super()._command(), "--syncdelay", "1"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A small file system."""
    folder = tmp_path / "disk"
    folder.mkdir()
    assert mount_tmpfs(folder, _DISK_MB) is None
    yield folder
    unmount(folder)


@pytest.mark.needs("small disk")
def test_the_disk_is_full(run_on: Callable[..., FaultRun], small_disk: Path) -> None:
    filler = small_disk / "filler"
    with _EagerMongod(data=small_disk / "data") as mongod:
        run = run_on(mongod.uri)
        workers = run.workers(2, STORE_DEADLINE_SECONDS="3", STORE_RETRY_MAX_SECONDS="2")
        run.load.wait_published(100, within_s=60)
        fill(filler)
        run.report("the disk is full")
        deadline = time.monotonic() + 60
        while not all(worker.http("/readyz")[0] == 503 for worker in workers):
            assert time.monotonic() < deadline, "the workers do not report that MongoDB cannot write"
            fill(filler)
            time.sleep(0.2)
        run.notes["mongod"] = "refused" if mongod.running else "ended by itself"
        time.sleep(3)
        for worker in workers:
            assert worker.process.poll() is None
            assert worker.http("/healthz")[0] == 200
        filler.unlink()
        mongod.kill()
        mongod.start()
        for worker in workers:
            worker.wait_ready()
        run.finish()
