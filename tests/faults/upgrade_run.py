"""A rolling upgrade under the load of a fault run, and what the sweep has to repair after it.

Version 0.2 leaves one kind of pair out of step by itself: an active work-item, made of a conversation that its maker
knew to be done. This version takes such a conversation for the newer side (docs/operations.md, *Old and
new versions side by side*). So the sweep looks at the end, as after every upgrade, and may find nothing else.
"""

from pathlib import Path
from typing import Final

from tests.e2e.worker_process import WorkerProcess, wait_until
from tests.faults.fault_run import FaultRun
from tests.faults.proxied_run import set_visibility
from tests.releases.last_release import last_release
from tests.releases.rolling_fleet import Fleet, RollingFleet, Version
from tests.releases.stored_sweep import repaired_drift
from tests.releases.worker_at_commit import worker_at

_LEFT_BY_OLD: Final = {"CLOSED_CONVERSATION"}
_STAGE_S: Final = 300
_VISIBILITY_S: Final = 60


def upgrade(run: FaultRun, fleets: tuple[Fleet, ...], *, folder: Path, events: int) -> None:
    """Makes the fleet each of these in turn, for an equal share of the events; then sweeps, and ends and audits the
    run. Raises AssertionError."""
    # The sweep tells of work-items that nothing queues, and this load has no queue rules.
    run.stage.variables["IVR_SECONDS"] = "86400"
    # Starting workers takes the processors for seconds; no message may become visible meanwhile.
    set_visibility(run, _VISIBILITY_S)
    release = last_release()
    kinds = {"old": worker_at(release.commit, folder), "new": run.stage.kind}

    def start(version: Version) -> WorkerProcess:
        run.stage.kind = kinds[version]
        worker = run.stage.worker()
        # On a busy machine the imports alone take a minute.
        wait_until(
            worker.ready, within_s=_STAGE_S, what=lambda: f"the {version} worker is ready: {worker.lines()[-5:]}"
        )
        return worker

    fleet = RollingFleet(start)
    for number, versions in enumerate(fleet.roll(*fleets), 1):
        run.report(f"{release.version} is old: {' and '.join(versions)}, {run.load.published} messages published")
        run.load.wait_published(events * number // len(fleets), within_s=_STAGE_S)
    run.load.stop()
    run.wait_quiet(within_s=_STAGE_S)
    drift = repaired_drift(run.stage)
    run.notes["events by version"] = ", ".join(f"{version} {count}" for version, count in fleet.handled().items())
    run.notes["repaired by the sweep"] = ", ".join(f"{count} {kind}" for kind, count in drift.items()) or "nothing"
    figures = run.finish(within_s=_STAGE_S)
    assert figures.messages >= events
    assert set(drift) <= _LEFT_BY_OLD, drift
    assert all(worker.audits() for _, worker in fleet.workers), "a worker has handled nothing"
