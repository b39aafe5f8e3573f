"""The threads that look up host names: all of them start with the process.

asyncio starts a thread when a look-up needs it. If the container may have no more processes by then (`pids.max`,
`ulimit -u`), the look-up fails with a RuntimeError, which no library translates. With all threads started, the limit is
met at the start, as one line with the remedy.
"""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Final

from worker.errors import Misconfigured

LOOKUPS_MAX: Final = 8
"""Look-ups at the same time; further ones wait. Each service has one name, and asyncio allows five on one CPU."""


@contextmanager
def lookup_threads(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Start the threads and make them the loop's while the context lasts. Raises Misconfigured if the system refuses
    one. Nothing may look a name up afterwards."""
    threads = ThreadPoolExecutor(max_workers=LOOKUPS_MAX, thread_name_prefix="lookup")
    try:
        _start(threads)
        loop.set_default_executor(threads)
        yield
    finally:
        # Not left to asyncio, which starts a thread for it.
        threads.shutdown(wait=False)


def _start(threads: ThreadPoolExecutor) -> None:
    all_started = threading.Event()
    try:
        for _ in range(LOOKUPS_MAX):
            # Each thread waits, so that none is idle and the next call starts another.
            threads.submit(all_started.wait)
    except RuntimeError as error:
        raise Misconfigured(
            f"the system allows no {LOOKUPS_MAX} more threads: raise the limit of processes (`pids.max` of the "
            "container, `ulimit -u`)"
        ) from error
    finally:
        all_started.set()
