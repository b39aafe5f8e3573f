"""A day in the life in a small form: 200 conversations, events and HTTP, lost events, kills, the sweeps. The long form
is among the faults (`make faults FAULTS=day`)."""

import os
from typing import Final

from mongod import Mongod
from tests.e2e.stage import Stage
from tests.faults.day.day_audit import audited
from tests.faults.day.day_run import DayRun, DayTimes
from tests.faults.day.script import day_script

CONVERSATIONS: Final = 200
SECONDS: Final = 24.0
STEPS: Final = 6
TIMES: Final = DayTimes(kill_every_s=6, gap_s=60, full_sweep_s=3_600, live=False)


def test_a_small_day_in_the_life(stage: Stage, mongod: Mongod) -> None:
    seed = int(os.environ.get("DAY_SEED", "1"))
    script = day_script(seed, conversations=CONVERSATIONS, seconds=SECONDS, steps=STEPS)
    run = DayRun(stage=stage, uri=mongod.uri, script=script, times=TIMES)
    run.live()
    run.end()
    audit = audited(run)
    # The audit finds what is wrong: one wait dropped, one place wrong.
    database = stage.database
    database["waits"].delete_one({})
    assert any("is missing" in line for line in audit.waits_wrong())
    database["work_sessions"].update_one({}, {"$push": {"workItems": {"id": "nobody's", "itemSize": 1}}})
    assert any("too many" in line for line in audit.places_wrong())
    queued = {"active": True, "attributes.status": "queued"}
    database["work_items"].update_many(queued, {"$set": {"attributes.status": "completed", "active": False}})
    assert any("has no active work-item" in line for line in audit.pairs_wrong())
