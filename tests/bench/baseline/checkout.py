"""A commit of this repository, unpacked into a folder, and its worker as a consumer of the benchmark."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from msgspec import Struct

from server_process import ROOT
from tests.bench.consumers.consumer import Consumer

_PACKAGES: Final = ("worker", "handlers", "sync", "commands")
_SHORT: Final = 12
_START: Final = """
try:
    from worker.cli.main import main
except ModuleNotFoundError:
    from worker.cli import main
main()
"""
"""Before version 0.2.0 `worker.cli` is a module; since then it is a package."""


class UnknownCommit(Exception):
    """The repository holds no such commit, or the commit holds no worker. The message is one line with the remedy."""


class Commit(Struct, frozen=True, kw_only=True):
    """A commit: its full hash and the first line of its message."""

    hash: str
    subject: str

    def __str__(self) -> str:
        """The short hash and the subject."""
        return f"{self.hash[:_SHORT]} ({self.subject})"


def find_commit(revision: str, repository: Path = ROOT) -> Commit:
    """The commit that a hash, branch or tag names. Raises UnknownCommit."""
    try:
        found = _git(repository, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}")
    except subprocess.CalledProcessError as error:
        known = f"BASE={revision} names no commit of this repository"
        raise UnknownCommit(f"{known}: give a hash, branch or tag that `git log --all` shows.") from error
    return Commit(hash=found, subject=_git(repository, "log", "-1", "--format=%s", found))


def working_tree() -> str:
    """The commit that the working tree is at, and whether the worker's packages differ from it."""
    changed = _git(ROOT, "status", "--porcelain", "--", *_PACKAGES)
    return f"{find_commit('HEAD')}{', with changes' if changed else ''}"


def unpack_packages(commit: Commit, folder: Path, repository: Path = ROOT) -> None:
    """Writes the four import packages of a commit into a folder. Raises UnknownCommit where one is missing."""
    archive = folder / "packages.zip"
    try:
        _git(repository, "archive", "--format=zip", f"--output={archive}", commit.hash, "--", *_PACKAGES)
    except subprocess.CalledProcessError as error:
        raise UnknownCommit(
            f"{commit} lacks one of the packages {', '.join(_PACKAGES)}: give a later commit."
        ) from error
    shutil.unpack_archive(archive, folder)
    archive.unlink()


def worker_in(folder: Path, *, name: str) -> Consumer:
    """`routing-sync run` with the packages of a folder, and the libraries of this environment."""
    # -P keeps the current folder, which is the working tree, out of the module search path.
    return Consumer(
        name=name,
        command=(sys.executable, "-P", "-c", _START, "run"),
        variables={"PYTHONPATH": str(folder)},
    )


def _git(repository: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(repository), *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()
