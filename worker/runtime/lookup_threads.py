"""The threads that look up host names: all of them start with the process, and none of them delays its end.

asyncio starts a thread when a look-up needs it. If the container may have no more processes by then (`pids.max`,
`ulimit -u`), the look-up fails with a RuntimeError, which no library translates. With all threads started, the limit is
met at the start, as one line with the remedy. The end of the loop starts none either.

A look-up waits for a silent name server for as long as resolv.conf says, and cannot be cancelled. asyncio and
concurrent.futures wait for their threads before the process ends; these threads are left behind.
"""

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final, ParamSpec, TypeVar

from worker.errors import thread_limit_named

LOOKUPS_MAX: Final = 8
"""Look-ups at the same time; further ones wait. Each service has one name, and asyncio allows five on one CPU."""

P = ParamSpec("P")
T = TypeVar("T")


@contextmanager
def lookup_threads(loop: asyncio.AbstractEventLoop) -> Iterator[None]:
    """Start the threads and make them the loop's while the context lasts. Raises Misconfigured if the system refuses
    one. Nothing may look a name up afterwards."""
    with thread_limit_named():
        threads = _LookupThreads()
    loop.set_default_executor(threads)
    try:
        yield
    finally:
        threads.shutdown()


def run_with_few_threads(work: Coroutine[Any, Any, T]) -> T:
    """`asyncio.run` for work that uses `lookup_threads`: the end of the loop starts no thread, and waits for none."""
    with asyncio.Runner(loop_factory=_Loop) as runner:
        return runner.run(work)


class _Loop(asyncio.SelectorEventLoop):
    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - 3.12 and newer pass it
        """Do nothing. asyncio starts a thread here, in which it shuts the executor down."""


class _LookupThreads(ThreadPoolExecutor):
    """An executor of asyncio's kind whose own threads are never used. A daemon thread ends with the process."""

    def __init__(self) -> None:
        super().__init__(max_workers=1)
        self._calls: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        for _ in range(LOOKUPS_MAX):
            Thread(target=self._work, name="lookup", daemon=True).start()

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """The result of the call, once a thread has made it."""
        future: Future[T] = Future()
        self._calls.put((future, partial(fn, *args, **kwargs)))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: ARG002 - the signature is the base class's
        """End the threads that are idle. Does not wait for the others."""
        for _ in range(LOOKUPS_MAX):
            self._calls.put(None)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            future, function = call
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(function())
                except BaseException as error:  # noqa: BLE001 - the caller receives it
                    future.set_exception(error)
