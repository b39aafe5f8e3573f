"""What a process holds, as Linux tells it: memory, descriptors, threads, processor time."""

import re
from pathlib import Path
from typing import Final, Self

from msgspec import Struct

from tests.bench.runs.store_use import cpu_s

_RESIDENT: Final = re.compile(r"^VmRSS:\s+(\d+) kB$", re.MULTILINE)
_THREADS: Final = re.compile(r"^Threads:\s+(\d+)$", re.MULTILINE)


class ProcessUsage(Struct, frozen=True, kw_only=True):
    """Resident memory (VmRSS), open file descriptors, threads, and user and system seconds since the start."""

    resident_bytes: int
    descriptors: int
    threads: int
    cpu_s: float

    @classmethod
    def of(cls, pid: int) -> Self:
        """Reads a process. Raises FileNotFoundError or ProcessLookupError where it has ended."""
        status = Path(f"/proc/{pid}/status").read_text()
        resident, threads = _RESIDENT.search(status), _THREADS.search(status)
        if resident is None or threads is None:
            # A process that has ended and that nobody has waited for has no memory.
            raise ProcessLookupError(f"process {pid} has ended")
        return cls(
            resident_bytes=int(resident[1]) * 1_024,
            descriptors=len(list(Path(f"/proc/{pid}/fd").iterdir())),
            threads=int(threads[1]),
            cpu_s=cpu_s(pid),
        )
