"""A short soak: memory and descriptors are flat, and no event is lost. And faults made on purpose are found.

`FAULT_SOAK_MINUTES` sets how long it lasts; `make soak` is the hour.
"""

import os
import sys
from pathlib import Path
from typing import Final

import pytest

from tests.faults.soak.command import faults_of, tables
from tests.faults.soak.soak_run import soak_run

MINUTES: Final = float(os.environ.get("FAULT_SOAK_MINUTES", "2.5"))
LEAKING_S: Final = 80.0

pytestmark = pytest.mark.soak


def _report(text: str) -> None:
    sys.stdout.write(f"    {text}\n")
    sys.stdout.flush()


def test_a_soak_is_flat_and_loses_nothing(tmp_path: Path, seed: int) -> None:
    with soak_run(tmp_path, report=_report, seed=seed) as run:
        result = run.live(seconds=MINUTES * 60, interval_s=1)
    _report(tables(result))
    assert list(faults_of(result)) == []
    assert result.counts["pairs checked"] > 0


def test_leaks_and_a_lost_event_are_found(tmp_path: Path, seed: int) -> None:
    command = (sys.executable, "-m", "tests.faults.soak.leaking_worker")
    with soak_run(tmp_path, report=_report, seed=seed, workers=1, drop=1, command=command) as run:
        result = run.live(seconds=LEAKING_S, interval_s=1)
    found = "\n".join(faults_of(result))
    assert "worker 1: memory, MB grew by" in found
    assert "worker 1: descriptors grew by" in found
    (lost,) = (each for each in result.wrong if each.startswith("lost: event "))
    # The event's revision is missing of its document, too: the two counts are independent.
    key, _, rev = lost.removeprefix("lost: event ").partition(" ")[0].rpartition("-")
    assert f"{key}: no event of its revisions {rev} was handled" in result.wrong
