"""Standard output of the verbs that print results: an output that cannot be written is an error of its own.

A verb reads files and calls services, whose errors are OSErrors too. `OutputLost` is none, so no verb takes a broken
pipe or a full disk behind its output for a fault of its input. `run` has line writers instead
(worker/telemetry/output/), because a worker outlives its output.
"""

import io
import os
import select
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from typing_extensions import Buffer

_STDOUT: Final = 1


class OutputLost(Exception):
    """Standard output cannot be written; the message says why."""


class GuardedOutput(io.FileIO):
    """Standard output without a buffer. The first failed write raises OutputLost, and later ones drop their bytes, so
    that the interpreter's own flush at the end of the process finds nothing to fail on."""

    def __init__(self, *, closed_from_the_start: bool) -> None:
        super().__init__(_STDOUT, "wb", closefd=False)
        self._closed_from_the_start = closed_from_the_start
        self._lost = False

    def write(self, data: "Buffer", /) -> int:
        """Write some or all of the bytes, waiting where the reader of a non-blocking pipe is slow."""
        size = memoryview(data).nbytes
        if self._lost:
            return size
        if self._closed_from_the_start:
            self._lost = True
            raise OutputLost("it is closed")
        try:
            while (written := super().write(data)) is None:
                select.select([], [self], [])
        except OSError as error:
            self._lost = True
            raise OutputLost(error.strerror) from error
        return written


def guard_standard_streams() -> None:
    """Put a guard before standard output, and an empty stream in the place of each other standard stream that was
    closed when the process began."""
    was = sys.stdout
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(GuardedOutput(closed_from_the_start=was is None)),
        encoding="utf-8" if was is None else was.encoding,
        errors="strict" if was is None else was.errors,
        line_buffering=was is not None and bool(was.line_buffering),
    )
    if sys.stdin is None:
        sys.stdin = Path(os.devnull).open(encoding="utf-8")  # noqa: SIM115 - for the life of the process
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
