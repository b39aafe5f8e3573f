"""A system that starts only so many threads: the start ends with the remedy, or the worker runs and ends as ever."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.worker_process import free_port, wait_until
from tests.worker.cli.test_main import AWAY
from worker.cli.healthcheck import check
from worker.runtime.lookup_threads import LOOKUPS_MAX

pytestmark = pytest.mark.thorough

SCRIPT = """
import sys, threading
from worker.cli.main import main

left, start = int(sys.argv.pop(1)), threading.Thread.start

def limited(thread):
    global left
    if left == 0:
        raise RuntimeError("can't start new thread")
    left -= 1
    start(thread)

threading.Thread.start = limited
main()
"""
LINE_WRITERS = 2
DATADOG = 1
ALL = LINE_WRITERS + LOOKUPS_MAX + DATADOG


@contextmanager
def _worker(threads: int, port: int = 0) -> Iterator[subprocess.Popen[str]]:
    environment = {**os.environ, **AWAY, "HTTP_PORT": str(port), "STATSD_HOST": "localhost"}
    command = [sys.executable, "-c", SCRIPT, str(threads), "run"]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("threads", [0, 1, LINE_WRITERS, ALL - 1])
def test_a_start_without_threads_is_one_line_with_the_remedy(threads: int) -> None:
    with _worker(threads) as process:
        _, errors = process.communicate(timeout=60)
    (line,) = errors.splitlines()
    assert line.startswith("routing-sync run: the system starts no more threads: raise the limit of processes")
    assert process.returncode == 1


def test_a_worker_that_has_all_its_threads_runs_and_ends_without_another() -> None:
    port = free_port()
    with _worker(ALL, port) as process:

        def alive() -> bool:
            assert process.poll() is None
            return check({"HTTP_PORT": str(port)})[0] == 0

        wait_until(alive, within_s=60, what=lambda: check({"HTTP_PORT": str(port)})[1])
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "")
