"""Workers of an earlier commit, run from its files, with the libraries of this environment."""

import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

from server_process import ROOT
from tests.e2e.worker_process import ChildProcess, WorkerProcess

_PACKAGES = ("commands", "sync", "handlers", "worker")


def worker_at(commit: str, folder: Path) -> type[WorkerProcess]:
    """The kind of worker that runs `commit`, whose packages are put into `folder`.

    Raises AssertionError where a process would import other files than these.
    """
    archive = subprocess.run(
        ["git", "-C", str(ROOT), "archive", commit, "--", *_PACKAGES], capture_output=True, check=True
    )
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    _check_imports(folder, path)

    class WorkerAtCommit(WorkerProcess):
        """A worker that imports the files of the commit."""

        def _start(self, environment: Mapping[str, str]) -> ChildProcess:
            return super()._start({**environment, "PYTHONPATH": path})

    return WorkerAtCommit


def _check_imports(folder: Path, path: str) -> None:
    """The working tree is installed in this environment, too: the files of the commit must come first."""
    asked = (
        f"import {', '.join(_PACKAGES)}\nprint(*({', '.join(f'{name}.__file__' for name in _PACKAGES)},), sep='\\n')"
    )
    # -P keeps the current folder out of the module search path, as it is for the console script.
    printed = subprocess.run(
        [sys.executable, "-P", "-c", asked],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    strangers = [file for file in printed.stdout.split() if not Path(file).is_relative_to(folder)]
    assert not strangers, f"the worker would run {strangers}, not the files in {folder}"
