"""Host names are looked up where the system starts no more threads. Reports: docs/faults.md, *Reports of others*."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import pytest

from worker.errors import Misconfigured
from worker.runtime.lookup_threads import LOOKUPS_MAX, lookup_threads


@contextmanager
def _no_more_threads() -> Iterator[None]:
    def refuse(thread: threading.Thread) -> NoReturn:
        raise RuntimeError("can't start new thread")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        yield


async def test_names_are_looked_up_when_no_thread_can_be_started_any_more() -> None:
    loop = asyncio.get_running_loop()
    with lookup_threads(loop), _no_more_threads():
        found = await asyncio.gather(*(loop.getaddrinfo("localhost", 80) for _ in range(3 * LOOKUPS_MAX)))
    assert all(found)


async def test_a_start_without_threads_names_the_limit() -> None:
    with (
        _no_more_threads(),
        pytest.raises(Misconfigured, match=r"limit of processes \(`pids\.max`"),
        lookup_threads(asyncio.get_running_loop()),
    ):
        pass
