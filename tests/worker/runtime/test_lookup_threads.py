"""Host names are looked up, and the process ends, where the system starts no more threads; a silent name server delays
no end of the process. Reports: docs/faults.md, *Reports of others*."""

import asyncio
import socket
import subprocess
import sys
import threading
from contextlib import ExitStack
from typing import Any

import pytest

from tests.worker.stand_ins.thread_limit import no_more_threads
from worker.errors import Misconfigured
from worker.runtime.lookup_threads import LOOKUPS_MAX, lookup_threads, run_with_few_threads


async def test_names_are_looked_up_when_no_thread_can_be_started_any_more() -> None:
    loop = asyncio.get_running_loop()
    with lookup_threads(loop), no_more_threads():
        found = await asyncio.gather(*(loop.getaddrinfo("localhost", 80) for _ in range(3 * LOOKUPS_MAX)))
    assert all(found)


def test_the_loop_ends_when_no_thread_can_be_started_any_more() -> None:
    async def work(until_the_loop_is_closed: ExitStack) -> int:
        loop = asyncio.get_running_loop()
        with lookup_threads(loop):
            until_the_loop_is_closed.enter_context(no_more_threads())
            return len(await loop.getaddrinfo("127.0.0.1", 80))

    with ExitStack() as stack:
        assert run_with_few_threads(work(stack)) > 0


def test_the_loop_ends_as_the_runner_of_python_3_12_and_newer_ends_it() -> None:
    async def work() -> None:
        loop: Any = asyncio.get_running_loop()
        await loop.shutdown_default_executor(300.0)
        await loop.shutdown_default_executor(timeout=300.0)

    run_with_few_threads(work())


async def test_a_start_without_threads_names_the_limit() -> None:
    with (
        no_more_threads(),
        pytest.raises(Misconfigured, match=r"limit of processes \(`pids\.max`"),
        lookup_threads(asyncio.get_running_loop()),
    ):
        pass


async def test_a_failed_look_up_raises_its_own_error_and_a_cancelled_one_leaves_the_threads_at_work() -> None:
    loop = asyncio.get_running_loop()
    asked = threading.Event()
    with lookup_threads(loop):
        with pytest.raises(socket.gaierror):
            await loop.getaddrinfo("256.256.256.256", 80, flags=socket.AI_NUMERICHOST)
        with pytest.raises(UnicodeError):
            await loop.getaddrinfo("a" * 64, 80)
        waiting = [loop.run_in_executor(None, asked.wait) for _ in range(2 * LOOKUPS_MAX)]
        for each in waiting:
            each.cancel()
        asked.set()
        assert await loop.getaddrinfo("localhost", 80)


def test_a_look_up_that_hangs_does_not_delay_the_end_of_the_process() -> None:
    script = """
import asyncio, threading
from worker.runtime.lookup_threads import lookup_threads, run_with_few_threads

async def main():
    loop = asyncio.get_running_loop()
    with lookup_threads(loop):
        hanging = loop.run_in_executor(None, threading.Event().wait)
        await asyncio.wait([hanging], timeout=0.1)

run_with_few_threads(main())
"""
    ended = subprocess.run([sys.executable, "-c", script], timeout=20, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
