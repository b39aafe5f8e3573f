"""The last released version: which section of the changelog counts, and what is said where the history is missing."""

import subprocess
from pathlib import Path

import pytest

from server_process import ROOT
from tests.releases.last_release import NoRelease, Release, lacking_history, last_release

UNRELEASED = "# Changelog\n\n## [Unreleased]\n\n### Added\n\n- A line.\n\n"
RELEASED = "# Changelog\n\n## [Unreleased]\n\n"
SECTIONS = "## [0.3.0] - 2026-12-01\n\nCommit 3333333.\n\n## [0.2.0] - 2026-11-26\n\nEverything up to commit 2222222.\n"


@pytest.mark.parametrize(
    ("changelog", "expected"),
    [
        (UNRELEASED + SECTIONS, Release(version="0.3.0", commit="3333333")),
        (RELEASED + SECTIONS, Release(version="0.2.0", commit="2222222")),
        (SECTIONS, Release(version="0.2.0", commit="2222222")),
    ],
    ids=["a tree with unreleased lines", "the tree of the newest version", "a changelog without the heading"],
)
def test_the_last_version_is_the_one_before_the_tree(changelog: str, expected: Release) -> None:
    assert last_release(changelog) == expected


@pytest.mark.parametrize(
    ("changelog", "message"),
    [
        ("", "has no version before this one"),
        (RELEASED + "## [0.1.0]\n\nCommit 1111111.\n", "has no version before this one"),
        (UNRELEASED + "## [0.1.0]\n\nThe first one.\n", "names no commit of version 0.1.0: add `Commit HASH.`"),
    ],
    ids=["empty", "the first version", "no commit"],
)
def test_a_changelog_that_names_no_commit_is_told_with_the_remedy(changelog: str, message: str) -> None:
    with pytest.raises(NoRelease, match=message):
        last_release(changelog)


def test_this_repository_names_its_last_version() -> None:
    """Its commit holds that version, wherever the history is there."""
    release = last_release()
    if lacking_history(release.commit) is None:
        shown = ["git", "-C", str(ROOT), "show", f"{release.commit}:pyproject.toml"]
        project = subprocess.run(shown, capture_output=True, text=True, check=True).stdout
        assert f'\nversion = "{release.version}"\n' in project


def test_a_shallow_clone_says_what_it_lacks(tmp_path: Path) -> None:
    origin, shallow = tmp_path / "origin", tmp_path / "shallow"
    identity = ("-c", "user.name=t", "-c", "user.email=t@t")
    for arguments in (
        ("init", "-q", str(origin)),
        ("-C", str(origin), *identity, "commit", "-q", "--allow-empty", "-m", "first"),
        ("-C", str(origin), *identity, "commit", "-q", "--allow-empty", "-m", "second"),
        ("clone", "-q", "--depth", "1", f"file://{origin}", str(shallow)),
    ):
        subprocess.run(["git", *arguments], check=True)
    log = subprocess.run(["git", "-C", str(origin), "rev-list", "HEAD"], capture_output=True, text=True, check=True)
    second, first = log.stdout.split()
    assert lacking_history(second, shallow) is None
    assert lacking_history(first, origin) is None
    missing = lacking_history(first, shallow)
    assert missing is not None
    assert missing.endswith("because this clone is shallow: run `git fetch --unshallow`")
    unknown = lacking_history("0" * 40, origin)
    assert unknown is not None
    assert unknown.endswith("fetch the branch that has it")


def test_a_folder_without_history_says_so(tmp_path: Path) -> None:
    missing = lacking_history("1234567", tmp_path)
    assert missing is not None
    assert missing.endswith("is no clone with git's history: clone the repository")
