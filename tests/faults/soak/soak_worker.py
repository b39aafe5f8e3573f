"""The worker of a soak: its log is read from a pipe as it comes, so that an hour of it needs no disk."""

import os
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from server_process import ROOT
from tests.e2e.worker_process import COMMAND, WorkerProcess, wait_until

RUN: Final = ("nice", "-n", "5", COMMAND, "run")
"""A worker gives way to the load, so that the queue stays filled and the worker has always something to do."""
_READY_S: Final = 180.0
_LINES_KEPT: Final = 20


class SoakWorker(WorkerProcess):
    """`routing-sync run`. A class made of it has the function that takes the lines of the log (`worker_kind`)."""

    def __init__(self, environment: Mapping[str, str], folder: Path, name: str) -> None:
        """Starts it. Every line of its log goes to `take`; the last ones stay for an error."""
        self._last: deque[bytes] = deque(maxlen=_LINES_KEPT)
        super().__init__(environment, folder, name)

    command: Sequence[str] = RUN
    take: Callable[[bytes], None]

    def _start(self, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        process = subprocess.Popen(
            self.command,
            env={**os.environ, **environment},
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._reader = threading.Thread(target=self._read, args=(process,), daemon=True)
        self._reader.start()
        return process

    def wait_ready(self) -> None:
        """Waits until it is ready. Raises AssertionError with the end of its log."""
        wait_until(self.ready, within_s=_READY_S, what=lambda: f"the worker is ready: {self.last_lines()}")

    def last_lines(self) -> str:
        """The end of its log."""
        return b"".join(self._last).decode(errors="replace")

    def terminate(self, *, within_s: float = 40) -> tuple[int, float]:
        """Also waits for the last line."""
        ended = super().terminate(within_s=within_s)
        self._reader.join(timeout=20)
        return ended

    def close(self) -> None:
        """Also ends the reader."""
        super().close()
        self._reader.join(timeout=20)

    def _read(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        with process.stdout as lines:
            for line in lines:
                self._last.append(line)
                self.take(line)


def worker_kind(take: Callable[[bytes], None], command: Sequence[str] = RUN) -> type[SoakWorker]:
    """Workers that are started by `command`. `take` gets each line of their logs, of several threads."""
    return type("CountedWorker", (SoakWorker,), {"command": command, "take": staticmethod(take)})
