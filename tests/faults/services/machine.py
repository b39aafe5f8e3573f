"""What single cases need of the machine, beyond `make setup`: tried before the first case runs."""

import contextlib
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Final

from tests.faults.services.clock_offset import NO_LIBRARY, clock_library
from tests.faults.services.name_server import isolated
from tests.releases.last_release import lacking_history, last_release

_BLOCK: Final = bytes(1_048_576)


@cache
def lacking(need: str) -> str | None:
    """Why the machine lacks a need of the `needs` marker; None where it has it."""
    return _TRIALS[need]()


def mount_tmpfs(folder: Path, megabytes: int) -> str | None:
    """Mounts a small file system at `folder`. Returns why it cannot be mounted."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return "there is no `mount` here"
    return f"a small file system cannot be mounted: {done.stderr.strip()}" if done.returncode else None


def unmount(folder: Path) -> None:
    """Unmounts what `mount_tmpfs` mounted, once no process uses it."""
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(filler: Path) -> None:
    """Writes until the file system is full."""
    with filler.open("ab", buffering=0) as out:
        for block in (_BLOCK, _BLOCK[:512]):
            # Until there is no room for one more.
            with contextlib.suppress(OSError):
                while True:
                    out.write(block)


def _no_small_disk() -> str | None:
    with tempfile.TemporaryDirectory() as folder:
        reason = mount_tmpfs(Path(folder), 1)
        if reason is None:
            unmount(Path(folder))
    return reason


def _no_own_name_server() -> str | None:
    with tempfile.NamedTemporaryFile() as resolver:
        try:
            done = subprocess.run(isolated(Path(resolver.name), "true"), capture_output=True, text=True, check=False)
        except FileNotFoundError:
            return "there is no `unshare` here"
    return f"a worker cannot be given a name server: {done.stderr.strip()}" if done.returncode else None


def _no_history() -> str | None:
    return lacking_history(last_release().commit)


_TRIALS: Final[Mapping[str, Callable[[], str | None]]] = {
    "libfaketime": lambda: None if clock_library() is not None else NO_LIBRARY,
    "small disk": _no_small_disk,
    "own name server": _no_own_name_server,
    "history": _no_history,
}
