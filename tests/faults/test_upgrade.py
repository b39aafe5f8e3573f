"""A rolling upgrade and a roll-back under load: workers of the last version and of this one, side by side on one queue
and one database, replaced one at a time."""

from pathlib import Path

import pytest

from tests.faults.fault_run import FaultRun
from tests.faults.upgrade_run import upgrade
from tests.releases.rolling_fleet import ROLL_BACK, UPGRADE, Fleet

EVENTS = 2_000

pytestmark = [pytest.mark.upgrade, pytest.mark.needs("history")]


@pytest.mark.parametrize(
    "fleets",
    [(*UPGRADE, *ROLL_BACK, *UPGRADE[1:]), (*UPGRADE, *ROLL_BACK)],
    ids=["forth_back_and_forth", "forth_and_back"],
)
def test_upgrade(run: FaultRun, tmp_path: Path, fleets: tuple[Fleet, ...]) -> None:
    upgrade(run, fleets, folder=tmp_path / "old", events=EVENTS)
