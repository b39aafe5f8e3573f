"""The last released version, and the commit that it was cut from, as CHANGELOG.md names them.

The sections stand in the order of the versions, the newest one on top. A working tree with lines under `Unreleased`
comes after the newest version. A working tree without such lines is the newest version itself, so the one before it is
the last. Tags are not used: a clone may lack them.
"""

import re
import subprocess
from pathlib import Path
from typing import Final

from msgspec import Struct

from server_process import ROOT

_SECTION: Final = re.compile(r"^## \[([^\]]+)\].*$", re.MULTILINE)
_COMMIT: Final = re.compile(r"\bcommit ([0-9a-f]{7,40})\b", re.IGNORECASE)
_UNRELEASED: Final = "Unreleased"


class NoRelease(Exception):
    """CHANGELOG.md names no last version, or no commit of it. The message is one line with the remedy."""


class Release(Struct, frozen=True, kw_only=True):
    """A version, and the commit that it was cut from."""

    version: str
    commit: str


def last_release(changelog: str | None = None) -> Release:
    """The last version before the working tree. `changelog`: the text, if not this repository's. Raises NoRelease."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8") if changelog is None else changelog
    sections = _sections(text)
    is_unreleased = bool(sections.pop(_UNRELEASED, "").strip())
    versions = list(sections)[0 if is_unreleased else 1 :]
    if not versions:
        raise NoRelease("CHANGELOG.md has no version before this one: add its section, `## [VERSION] - DATE`.")
    version = versions[0]
    found = _COMMIT.search(sections[version])
    if found is None:
        raise NoRelease(f"CHANGELOG.md names no commit of version {version}: add `Commit HASH.` below its heading.")
    return Release(version=version, commit=found.group(1))


def lacking_history(commit: str, repository: Path = ROOT) -> str | None:
    """Why the repository cannot give the files of the commit, with the remedy; None where it can."""
    if _git(repository, "rev-parse", "--git-dir") is None:
        return f"commit {commit} is needed, and {repository} is no clone with git's history: clone the repository"
    if _git(repository, "cat-file", "-e", f"{commit}^{{commit}}") is not None:
        return None
    if _git(repository, "rev-parse", "--is-shallow-repository") == "true":
        return f"git has no commit {commit} here, because this clone is shallow: run `git fetch --unshallow`"
    return f"git has no commit {commit} here: fetch the branch that has it"


def _sections(text: str) -> dict[str, str]:
    """The text below each heading, by version."""
    headings = list(_SECTION.finditer(text))
    ends = [*(heading.start() for heading in headings), len(text)][1:]
    return {heading.group(1): text[heading.end() : end] for heading, end in zip(headings, ends, strict=True)}


def _git(repository: Path, *arguments: str) -> str | None:
    """What git prints; None where it fails, or where there is no git."""
    try:
        done = subprocess.run(["git", "-C", str(repository), *arguments], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None
