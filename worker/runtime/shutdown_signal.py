"""SIGTERM and SIGINT: the first asks the worker to stop, the second ends the process at once."""

import asyncio
import os
import signal
from typing import Final

from worker.telemetry.logs import Log

SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


class ShutdownSignal:
    """Whether the worker was asked to stop."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._requested = asyncio.Event()

    def install_handlers(self) -> None:
        """Take both signals from now on."""
        for number in SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, self._on_signal, number)

    def request(self) -> None:
        """Ask the worker to stop."""
        self._requested.set()

    async def wait_until_requested(self) -> None:
        """Wait until it is asked to stop."""
        await self._requested.wait()

    def _on_signal(self, number: signal.Signals) -> None:
        if self._requested.is_set():
            self._log.warning("second signal, exiting at once", signal=number.name)
            os._exit(128 + number)
        self._log.info("stopping", signal=number.name)
        self.request()
