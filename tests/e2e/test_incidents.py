"""The outside writes of both captured incidents, through SNS, SQS, the worker and MongoDB, on LocalStack."""

import json
import os
import subprocess
from pathlib import Path

from tests.e2e.stage import Stage
from tests.e2e.worker_process import COMMAND, WorkerProcess, wait_until

CAPTURED = Path(__file__).parent.parent / "fixtures" / "captured"


def _handled(worker: WorkerProcess) -> set[str]:
    return {line["event"]["id"] for line in worker.audits() if line["event"] is not None}


def _publish(stage: Stage, worker: WorkerProcess, captured: str) -> None:
    """Publish a captured event, unless it is a sync, and wait until it and what it caused are handled."""
    one = stage.folder / "one.ndjson"
    one.write_text(captured)
    done = subprocess.run(
        [COMMAND, "publish", "--outside-only", str(one)],
        env={**os.environ, **stage.variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    if done.stdout.startswith("1 published"):
        event = json.loads(captured)["body"]["body"]["id"]
        # SNS may not have delivered it yet, when the queue is empty.
        wait_until(lambda: event in _handled(worker), within_s=60, what=lambda: f"{event} is handled")
    stage.wait_drained(within_s=30)


def test_the_outside_writes_of_both_incidents_end_as_they_must(stage: Stage) -> None:
    worker = stage.worker()
    worker.wait_ready()
    for incident in sorted(CAPTURED.iterdir()):
        for line in (incident / "events.ndjson").read_text().splitlines():
            _publish(stage, worker, line)
    lost = stage.database["conversations"].find_one({"_id": "621fc1d36a39b4aa389cb72b"})
    assert lost is not None
    assert lost["attributes"]["assignedUsers"] == ["61a6a83fdf1e2d21501a77c1"]
    item = stage.database["work_items"].find_one({"_id": "621fc1d5cb4ca800935aa935"})
    assert item is not None
    assert item["relationships"]["assignedTo"]["data"]["id"] == "61a6a83fdf1e2d21501a77c1"
    assert item["relationships"]["queue"]["data"]["id"] == lost["relationships"]["queue"]["data"]["id"]
    unassigned = stage.database["work_items"].find_one({"_id": "60277f56264a9600131673d4"})
    assert unassigned is not None
    assert unassigned["attributes"]["status"] == "queued"
    assert "assignedTo" not in unassigned["relationships"]
    # The trace of the event that caused a write stands in its announcement and in its audit line.
    (sync,) = stage.announced(until=bool)
    assert sync["dd"]["trace_id"] == "4400790063371993808"
    applied = [line for line in worker.audits() if line["outcome"] == "applied"]
    assert [line["dd"]["trace_id"] for line in applied] == ["4400790063371993808"]
    assert worker.terminate()[0] == 0
