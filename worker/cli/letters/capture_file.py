"""A new file of dead letters, or standard output: whole at its name, or not there."""

import os
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from worker.letters.letter import Letter
from worker.letters.letter_capture import capture_line


class CaptureFileFailed(Exception):
    """The file cannot be written; the message is one line with the remedy."""


class CaptureFile:
    """A context manager. The lines go to a new file, `FILE.….part`, which gets its name at the end. Others than its
    owner cannot read it, for it holds customers' words."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path
        self._out: IO[str] | None = None

    def __enter__(self) -> Self:
        """Open the file. Raises CaptureFileFailed if it exists, or cannot be written."""
        if str(self._path) == "-":
            return self
        if self._path.exists():
            raise CaptureFileFailed(f"{self._path} exists: name a new file, or remove that one")
        try:
            # A new one, whatever lies there: a file that others can read, a link to elsewhere, another export's part.
            descriptor, part = tempfile.mkstemp(prefix=f"{self._path.name}.", suffix=".part", dir=self._path.parent)
        except OSError as error:
            raise self._failed(error) from error
        self._part = Path(part)
        self._out = os.fdopen(descriptor, "w", encoding="utf-8")
        return self

    def add(self, letter: Letter) -> None:
        """Write the letter. Raises CaptureFileFailed."""
        line = capture_line(letter) + "\n"
        if self._out is None:
            sys.stdout.write(line)
            return
        try:
            self._out.write(line)
        except OSError as error:
            raise self._failed(error) from error

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Give the file its name; after an error the part is removed. Raises CaptureFileFailed."""
        if self._out is None:
            return
        try:
            try:
                self._out.close()
            finally:
                if kind is not None:
                    self._part.unlink(missing_ok=True)
            if kind is None:
                self._part.replace(self._path)
        except OSError as failure:
            self._part.unlink(missing_ok=True)
            if kind is None:
                raise self._failed(failure) from failure

    def _failed(self, error: OSError) -> CaptureFileFailed:
        return CaptureFileFailed(f"{self._path} cannot be written: {error.strerror}: name a file elsewhere")
