"""The shutdown signal: the first SIGTERM or SIGINT requests a stop, the second ends the process at once."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Final, TypeVar

from worker.telemetry.logs import Log

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)

T = TypeVar("T")


class ShutdownSignal:
    """Whether a stop of the worker was requested."""

    def __init__(self, log: Log, *, before_exit: Callable[[], object]) -> None:
        """`before_exit` is called before a second signal ends the process; it must return soon."""
        self._log = log
        self._before_exit = before_exit
        self._requested = asyncio.Event()

    def install_handlers(self) -> None:
        """Handle both signals from now on; needs a running event loop."""
        for number in SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal, number)

    def request(self) -> None:
        """Request a stop."""
        self._requested.set()

    async def wait_until_requested(self) -> None:
        """Return once a stop was requested."""
        await self._requested.wait()

    async def unless_requested(self, work: Awaitable[T]) -> T | None:
        """The result of `work`; None, and `work` is cancelled, if a stop is requested before its end."""
        working = asyncio.ensure_future(work)
        stopping = asyncio.ensure_future(self.wait_until_requested())
        try:
            await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
            if working.done():
                return working.result()
            working.cancel()
            await asyncio.wait([working])
            return None
        finally:
            stopping.cancel()
            working.cancel()

    def _on_signal(self, number: signal.Signals) -> None:
        if self._requested.is_set():
            self._log.warning("second signal, exiting at once", signal=number.name)
            self._before_exit()
            os._exit(128 + number)
        self._log.info("stopping", signal=number.name)
        self.request()
