"""Workers whose log goes into a pipe. Its reader copies it to the worker's file, and stands still or leaves."""

import os
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path

from tests.e2e.worker_process import COMMAND, WorkerProcess


class PipedWorker(WorkerProcess):
    """A worker with a reader of its standard output."""

    def __init__(self, environment: Mapping[str, str], folder: Path, name: str) -> None:
        self._may_read = threading.Event()
        self._may_read.set()
        self._left = threading.Event()
        self._reader: threading.Thread | None = None
        super().__init__(environment, folder, name)

    def _start(self, environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
        end, out = os.pipe()
        process = subprocess.Popen(
            [COMMAND, "run"],
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.DEVNULL,
        )
        os.close(out)
        self._reader = threading.Thread(target=self._copy, args=(end,), daemon=True)
        self._reader.start()
        return process

    def stand_still(self) -> None:
        """The reader reads no more."""
        self._may_read.clear()

    def read_on(self) -> None:
        """The reader reads again."""
        self._may_read.set()

    def leave(self) -> None:
        """The reader closes the pipe."""
        self._left.set()
        self.read_on()
        self._join()

    def terminate(self, *, within_s: float = 40) -> tuple[int, float]:
        """Also waits for the last line."""
        ended = super().terminate(within_s=within_s)
        self._join()
        return ended

    def close(self) -> None:
        """Also ends the reader."""
        super().close()
        self.read_on()
        self._join()

    def _join(self) -> None:
        if self._reader is not None:
            self._reader.join(timeout=20)

    def _copy(self, end: int) -> None:
        with os.fdopen(end, "rb", buffering=0) as pipe, self.log.open("ab") as file:
            while self._may_read.wait() and not self._left.is_set() and (piece := pipe.read(65_536)):
                file.write(piece)
                file.flush()


class WorkerOnFile(WorkerProcess):
    """A worker whose log is a file of a folder of its own, `folder`."""

    folder: Path

    def __init__(self, environment: Mapping[str, str], _: Path, name: str) -> None:
        super().__init__(environment, self.folder, name)
