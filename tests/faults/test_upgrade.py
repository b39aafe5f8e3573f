"""A rolling upgrade: workers of the version before and of this one, side by side on one queue and one database."""

import time
from pathlib import Path

import pytest

from tests.faults.fault_run import FaultRun
from tests.faults.services.worker_at_commit import BEFORE, worker_at

BESIDE_S = 60
EACH_ALONE_S = 10


@pytest.mark.needs("history")
def test_upgrade_with_both_versions_side_by_side(run: FaultRun, tmp_path: Path) -> None:
    this_kind = run.stage.kind
    run.stage.kind = worker_at(BEFORE, tmp_path / "before")
    before = run.workers(2)
    time.sleep(EACH_ALONE_S)
    run.stage.kind = this_kind
    run.workers(1)
    run.report("one worker of this version beside two of the version before")
    time.sleep(BESIDE_S)
    for worker in before:
        status, _ = worker.terminate()
        assert status == 0
    run.workers(1)
    run.report("only workers of this version")
    time.sleep(EACH_ALONE_S)
    run.finish(within_s=120)
    handled = [sum(1 for _ in worker.audits()) for worker in run.stage.workers]
    run.notes["events by worker"] = ", ".join(map(str, handled))
    assert all(handled)
