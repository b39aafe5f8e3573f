"""Workers of an earlier commit, run from its files in the same environment."""

import os
import subprocess
import tarfile
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import Final

from server_process import ROOT
from tests.e2e.worker_process import ChildProcess, WorkerProcess

BEFORE: Final = "4123bfc"
"""The last commit whose sync state has the former shape, and that ends a wait by age."""


def worker_at(commit: str, folder: Path) -> type[WorkerProcess]:
    """The kind of worker that runs `commit`, whose files are put into `folder`."""
    archive = subprocess.run(["git", "-C", str(ROOT), "archive", commit], capture_output=True, check=True)
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")

    class WorkerAtCommit(WorkerProcess):
        """A worker that imports the files of the commit."""

        def _start(self, environment: Mapping[str, str]) -> ChildProcess:
            path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
            return super()._start({**environment, "PYTHONPATH": path})

    return WorkerAtCommit
