"""`make demo` ends with every check held, and shows the incident under both policies."""

import json
import os
import subprocess
import sys

from server_process import ROOT


def test_the_demo_holds_what_it_promises() -> None:
    own = os.pathsep.join(filter(None, [str(ROOT / "localstack"), os.environ.get("PYTHONPATH")]))
    done = subprocess.run(
        [sys.executable, "-m", "demo", "--json"],
        env={**os.environ, "PYTHONPATH": own},
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    printed = json.loads(done.stdout)
    assert [check["what"] for check in printed["checks"] if not check["holds"]] == []
    assert printed["incident"]["ends"] == printed["incident"]["expected"]
    assert [event["audits"]["legacy"]["outcome"] for event in printed["incident"]["events"]] == [
        "skipped",
        "applied",
        "skipped",
    ]
    assert len(printed["pairs"]) == 3
