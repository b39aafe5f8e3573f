"""Row 1: standard output and standard error break, and the worker lives, answers, and ends with its right status."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.worker_process import COMMAND, free_port, wait_until
from tests.worker.cli.test_main import AWAY
from worker.cli.healthcheck import check

pytestmark = pytest.mark.thorough

BLOCK = b"x" * 65_536


@contextmanager
def worker(out: Any, errors: Any = subprocess.DEVNULL) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, str]]]:
    """A worker that waits for its services, and where it serves its health."""
    where = {"HTTP_PORT": str(free_port())}
    process = subprocess.Popen([COMMAND, "run"], env={**os.environ, **AWAY, **where}, stdout=out, stderr=errors)
    try:
        yield process, where
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def stop_when_alive(process: subprocess.Popen[bytes], where: dict[str, str]) -> int:
    """The exit status after a SIGTERM, which is sent once the worker answers."""

    def alive() -> bool:
        assert process.poll() is None, f"the worker ended with status {process.returncode}"
        return check(where)[0] == 0

    wait_until(alive, within_s=60, what=lambda: check(where)[1])
    process.send_signal(signal.SIGTERM)
    return process.wait(timeout=20)


@pytest.fixture
def full_pipe() -> Iterator[tuple[int, int]]:
    """A pipe that is full, and whose reader stands still."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, BLOCK)
    except BlockingIOError:
        os.set_blocking(writer, True)
    yield reader, writer
    os.close(reader)
    os.close(writer)


def test_row_1_the_reader_of_both_streams_stands_still(full_pipe: tuple[int, int]) -> None:
    _, writer = full_pipe
    with worker(writer, writer) as (process, where):
        assert stop_when_alive(process, where) == 0


@pytest.mark.parametrize(("variable", "value", "status"), [("LANES", "none", 2), ("HTTP_HOST", "203.0.113.1", 1)])
def test_row_1_the_reader_of_both_streams_stands_still_and_a_setting_is_wrong(
    full_pipe: tuple[int, int], variable: str, value: str, status: int
) -> None:
    _, writer = full_pipe
    environment = {**os.environ, **AWAY, variable: value}
    done = subprocess.run([COMMAND, "run"], env=environment, stdout=writer, stderr=writer, check=False, timeout=60)
    assert done.returncode == status


def test_row_1_the_reader_leaves_after_the_first_line() -> None:
    with worker(subprocess.PIPE) as (process, where):
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["msg"] == "worker starting"
        process.stdout.close()
        assert stop_when_alive(process, where) == 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has /dev/full")
def test_row_1_both_streams_are_full() -> None:
    with Path("/dev/full").open("wb") as full, worker(full, full) as (process, where):
        assert stop_when_alive(process, where) == 0


def test_row_1_the_streams_are_closed() -> None:
    where = {"HTTP_PORT": str(free_port())}
    closing = ["sh", "-c", 'exec "$0" run <&- >&- 2>&-', COMMAND]
    with subprocess.Popen(closing, env={**os.environ, **AWAY, **where}) as process:
        try:
            assert stop_when_alive(process, where) == 0
        finally:
            process.kill()


def test_row_1_a_non_blocking_pipe_loses_no_line_and_breaks_none() -> None:
    """The lines of an audited batch are longer than the pipe's buffer."""
    script = """
from worker.runtime.clock import SystemClock
from worker.telemetry.logs import LogIdentity, open_log, write_audit_lines
from worker.telemetry.output.standard_streams import bounded_streams

with bounded_streams() as streams:
    log = open_log(level="info", identity=LogIdentity(), clock=SystemClock(), to=streams.out)
    write_audit_lines(log, ({"number": number, "text": "x" * 3_000} for number in range(200)))
"""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    with ExitStack() as stack:
        stack.callback(os.close, reader)
        with subprocess.Popen([sys.executable, "-c", script], stdout=writer) as process:
            os.close(writer)
            lines = bytearray()
            while piece := os.read(reader, 4_096):
                lines += piece
        assert process.returncode == 0
    assert [json.loads(line)["number"] for line in lines.splitlines()] == list(range(200))


@pytest.mark.parametrize("place", ["main", "thread", "finalizer", "warning", "print"])
def test_row_1_what_python_itself_would_print_goes_the_same_way(place: str, full_pipe: tuple[int, int]) -> None:
    """To a standard error whose reader stands still; and never with the exception's message."""
    script = f"""
import sys, threading, warnings
from worker.runtime.clock import SystemClock
from worker.telemetry.logs import LogIdentity, log_uncaught_errors, open_log, redirect_library_logs
from worker.telemetry.output.standard_streams import bounded_streams

class Finalized:
    def __del__(self):
        int("a customer's words")

with bounded_streams() as streams:
    log = open_log(level="info", identity=LogIdentity(), clock=SystemClock(), to=streams.out)
    redirect_library_logs(log)
    log_uncaught_errors(log, before_exit=lambda: streams.out.drain(10))
    log.info("begun")
    if {place!r} == "thread":
        thread = threading.Thread(target=int, args=("a customer's words",), name="t")
        thread.start()
        thread.join()
    elif {place!r} == "finalizer":
        Finalized()
    elif {place!r} == "warning":
        warnings.warn("outdated", stacklevel=1)
    elif {place!r} == "print":
        print("a library's text", file=sys.stderr)
if {place!r} == "main":
    int("a customer's words")
"""
    _, errors = full_pipe
    done = subprocess.run(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=errors, check=False, timeout=60
    )
    assert done.returncode == (1 if place == "main" else 0)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert b"customer" not in done.stdout
    expected = {
        "main": ["begun", "stopped by a fault in our code"],
        "thread": ["begun", "a thread ended with an exception"],
        "finalizer": ["begun", "an exception was ignored"],
        "warning": ["begun", "<string>:23: UserWarning: outdated"],
        "print": ["begun"],
    }
    assert [line["msg"] for line in lines] == expected[place]
