"""A worker's clock that a test sets while the worker runs, by libfaketime.

libfaketime moves the wall clock of one process by an offset that it reads from a file, and leaves the monotonic clock.
The library comes with `make setup` on Linux on x86-64, in the package `libfaketime`. That of Debian 12 is older:
with it `time.sleep` fails.
"""

import os
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final

NO_LIBRARY: Final = "libfaketime moves no clock here: its package is for Linux on x86-64"
_TRIED_OFFSET_S: Final = 86_400
_TRIED: Final = "import time; time.sleep(0.001); print(time.time())"


class ClockOffset:
    """The offset of a clock, kept in a file that `variables` name to the worker."""

    def __init__(self, folder: Path, name: str) -> None:
        library = clock_library()
        assert library is not None, NO_LIBRARY
        self._file = folder / f"{name}.offset"
        self.set(0)
        self.variables = _variables(library, self._file)

    def set(self, seconds: int) -> None:
        """Set the clock to the true time and so many seconds."""
        # Replaced in one step: a half-written file would be another jump.
        written = self._file.with_suffix(".new")
        written.write_text(f"{seconds:+d}s\n")
        written.replace(self._file)


@cache
def clock_library() -> Path | None:
    """The libfaketime that moves the clock of a Python process on this machine; None where there is none."""
    package = find_spec("libfaketime")
    if package is None or package.origin is None:
        return None
    library = Path(package.origin).parent / "vendor" / "libfaketime" / "src" / "libfaketime.so.1"
    return library if library.exists() and _moves_the_clock(library) else None


def _moves_the_clock(library: Path) -> bool:
    moved, true = (
        subprocess.run([sys.executable, "-c", _TRIED], env={**os.environ, **each}, capture_output=True, check=False)
        for each in ({**_variables(library), "FAKETIME": f"+{_TRIED_OFFSET_S}s"}, {})
    )
    return moved.returncode == 0 and float(moved.stdout) - float(true.stdout) > _TRIED_OFFSET_S / 2


def _variables(library: Path, file: Path | None = None) -> Mapping[str, str]:
    return {
        "LD_PRELOAD": str(library),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        **({} if file is None else {"FAKETIME_TIMESTAMP_FILE": str(file)}),
    }
