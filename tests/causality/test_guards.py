"""Each guard of the algorithm is needed: without any one of them the checker finds a violation.

The guard is taken out of a copy of the code, which then runs as a process of its own.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.causality.guards import GUARDS, Guard

ROOT = Path(__file__).parents[2]
PACKAGES = ("commands", "sync", "handlers", "worker")


def _copy_without(guard: Guard, target: Path) -> None:
    """The code as it is, but for the guard."""
    for name in (*PACKAGES, "tests"):
        (target / name).symlink_to(ROOT / name, target_is_directory=True)
    package, _, name = guard.file.partition("/")
    (target / package).unlink()
    (target / package).mkdir()
    # Its compiled modules, too: they are valid for the very same sources, and for the others made anew.
    for each in (ROOT / package).iterdir():
        (target / package / each.name).symlink_to(each)
    text = (ROOT / guard.file).read_text()
    assert text.count(guard.text) == 1, f"{guard.file} has the guard once: {guard.text!r}"
    (target / package / name).unlink()
    (target / package / name).write_text(text.replace(guard.text, guard.without))


@pytest.mark.parametrize("name", GUARDS)
def test_without_the_guard_the_contract_breaks(name: str, tmp_path: Path) -> None:
    _copy_without(GUARDS[name], tmp_path)
    checked = subprocess.run(
        [sys.executable, "-m", "tests.causality.guards", name],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stderr) == (1, ""), checked.stdout
    assert "→" in checked.stdout
