"""The standard streams of the worker: a line writer before each, so that neither can end or delay the worker."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from msgspec import Struct

from worker.telemetry.output.line_writer import LineWriter

DRAIN_S: Final = 1.0
"""How long the end of the process waits for a reader that stands still."""


class StandardStreams(Struct, frozen=True, kw_only=True):
    """The writers of standard output, for the log, and of standard error."""

    out: LineWriter
    err: LineWriter


@contextmanager
def bounded_streams() -> Iterator[StandardStreams]:
    """Put a line writer before either stream while the context lasts; `sys.stdout` and `sys.stderr` write to them.

    At the end the lines that wait are written, for `DRAIN_S` at most.
    """
    stdout, stderr = sys.stdout, sys.stderr
    out = LineWriter(_descriptor(stdout, 1))
    # One writer for one file: two would cut each other's lines.
    err = out if _are_one_file(stdout, stderr) else LineWriter(_descriptor(stderr, 2))
    sys.stdout, sys.stderr = LineStream(out), LineStream(err)
    try:
        yield StandardStreams(out=out, err=err)
    finally:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, LineStream):
                stream.end_line()
        sys.stdout, sys.stderr = stdout, stderr
        for writer in (err, out):
            writer.drain(DRAIN_S)


class LineStream(io.TextIOBase):
    """A text stream that hands whole lines to a line writer."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, writer: LineWriter) -> None:
        self._writer = writer
        self._begun = ""

    def writable(self) -> bool:
        """It is."""
        return True

    def write(self, text: str) -> int:
        """Hand on the lines that are complete, and keep the rest."""
        lines, feed, self._begun = (self._begun + text).rpartition("\n")
        if feed:
            self._hand_on(lines + feed)
        return len(text)

    def end_line(self) -> None:
        """Hand on a line that was begun."""
        if self._begun:
            self.write("\n")

    def _hand_on(self, lines: str) -> None:
        self._writer.write(lines.encode(self.encoding, self.errors))


def _descriptor(stream: Any, number: int) -> int | None:
    """The stream's number. None if the stream was closed when the process began: Python has no object for it then."""
    return None if stream is None else number


def _are_one_file(stdout: Any, stderr: Any) -> bool:
    return stdout is not None and stderr is not None and os.path.sameopenfile(1, 2)
