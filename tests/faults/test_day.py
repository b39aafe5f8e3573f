"""A day in the life, simulated: two thousand conversations, two processes of each kind, one killed now and then."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from localstack_server import LocalStack
from mongod import Mongod
from tests.e2e.stage import Stage, staged_on
from tests.faults.conftest import RECEIVE_COUNT_MAX
from tests.faults.day.day_audit import audited
from tests.faults.day.day_run import DayRun, DayTimes
from tests.faults.day.script import day_script

CONVERSATIONS: Final = int(os.environ.get("FAULT_DAY_CONVERSATIONS", "2000"))
PER_SECOND: Final = float(os.environ.get("FAULT_DAY_PER_SECOND", "5"))
"""Conversations that begin in a second."""
STEPS: Final = 8
SWEEPS: Final = os.environ.get("FAULT_DAY_SWEEP", "on") != "off"
TIMES: Final = DayTimes(kill_every_s=15, gap_s=15, full_sweep_s=60, live=True)

pytestmark = pytest.mark.day


@pytest.fixture
def day_stage(localstack: LocalStack, mongod: Mongod, tmp_path: Path) -> Iterator[Stage]:
    aws, most = localstack.environment, RECEIVE_COUNT_MAX
    with staged_on(aws, mongod.uri, tmp_path, name="day", receive_count_max=most) as stage:
        yield stage


def test_a_day_in_the_life(day_stage: Stage, mongod: Mongod, seed: int) -> None:
    seconds = 1.5 * CONVERSATIONS / PER_SECOND
    script = day_script(seed, conversations=CONVERSATIONS, seconds=seconds, steps=STEPS)
    run = DayRun(stage=day_stage, uri=mongod.uri, script=script, times=TIMES, sweeps=SWEEPS)
    run.live()
    run.end()
    audited(run)
