"""Workers forked from a server process that has imported the worker, so that hundreds can be started in minutes.

A fork runs `routing-sync run`. It starts in a fifth of the two seconds that the imports take.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from multiprocessing.context import ForkServerProcess
from pathlib import Path

from tests.e2e.worker_process import WorkerProcess
from worker.cli.main import run

_FORKS = multiprocessing.get_context("forkserver")
_FORKS.set_forkserver_preload(["tests.faults.services.forked_worker", "worker.process", "worker.cli.run"])


class _ForkedProcess:
    """A forked process with the interface of `subprocess.Popen`."""

    def __init__(self, process: ForkServerProcess) -> None:
        self._process = process
        assert process.pid is not None
        self.pid: int = process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        status = self._process.exitcode
        if status is None:
            raise subprocess.TimeoutExpired("routing-sync run", timeout or 0)
        return status

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def run_worker(environment: Mapping[str, str], log: Path) -> None:
    os.environ.update(environment)
    with log.open("ab") as out:
        os.dup2(out.fileno(), 1)
        os.dup2(out.fileno(), 2)
    sys.exit(run(["run"]))


class ForkedWorker(WorkerProcess):
    """A worker that is started by a fork."""

    def target(self) -> Callable[[Mapping[str, str], Path], None]:
        """The function that the fork calls with the environment and the path of the log."""
        return run_worker

    def _start(self, environment: Mapping[str, str]) -> _ForkedProcess:
        process = _FORKS.Process(target=self.target(), args=(dict(environment), self.log), daemon=True)
        process.start()
        return _ForkedProcess(process)
