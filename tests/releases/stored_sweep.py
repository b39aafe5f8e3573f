"""`routing-sync sweep` of this version on the database of a stage, once its queue is quiet."""

import json
import os
import subprocess
from collections import Counter

from tests.e2e.stage import Stage
from tests.e2e.worker_process import COMMAND


def repaired_drift(stage: Stage) -> Counter[str]:
    """The drift that `sweep --all` finds and repairs, by class; the workers publish what it announces.

    Raises AssertionError where it leaves some.
    """
    done = subprocess.run(
        [COMMAND, "sweep", "--all", "--quiet-queue", "--json"],
        env={**os.environ, **stage.variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    return Counter(line["drift"] for line in lines if "summary" not in line)
