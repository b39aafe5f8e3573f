"""A run beside a slow core is told from the others, repeated, and counted where it stays so."""

from typing import Any

import pytest
from pymongo import MongoClient

from mongod import Mongod
from tests.bench.consumers.consumer import BARE
from tests.bench.endpoint.process import BenchEndpoint
from tests.bench.loads.workload import LoadKind
from tests.bench.runs.machine_speed import MachineSpeed
from tests.bench.runs.rounds import BenchPlan, measure_rounds
from tests.bench.runs.servers import BenchServers


class Core:
    """Takes so many seconds for the work, in turn; the last for ever."""

    def __init__(self, *seconds: float) -> None:
        self._rest = iter(seconds)
        self._last = seconds[-1]
        self.probes = 0

    def __call__(self, _: int) -> float:
        self.probes += 1
        self._last = next(self._rest, self._last)
        return self._last


def _speed(core: Core, *, patience_s: float = 0) -> MachineSpeed:
    return MachineSpeed(calibration_s=0, patience_s=patience_s, pause_s=0, probe=core)


@pytest.fixture(autouse=True)
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda _: {0})
    monkeypatch.setattr("os.sched_setaffinity", lambda _, __: None)


def test_a_core_is_slow_where_it_takes_a_quarter_more_than_the_fastest_probe() -> None:
    speed = _speed(Core(1.0, 1.2, 1.3, 0.9, 1.2))
    assert [speed.full() for _ in range(5)] == [True, True, False, True, False]


def test_the_wait_ends_while_the_core_is_slow() -> None:
    speed = _speed(Core(1.0, 2.0))
    assert speed.full()
    assert not speed.wait_until_full()


def test_it_waits_until_the_core_is_at_full_speed() -> None:
    speed = _speed(Core(1.0, 2.0, 1.0), patience_s=1)
    assert speed.full()
    assert speed.wait_until_full()


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("seconds", "patience_s", "probes", "disturbed"),
    [
        pytest.param([1.0], 60, 6, 0, id="at full speed"),
        pytest.param([1.0, 2.0, 1.0], 60, 12, 0, id="slow after the first wave"),
        pytest.param([1.0, 2.0, 1.0], 0, 6, 1, id="slow after the first wave, and no patience"),
        pytest.param([1.0, 2.0], 1e-9, 7, 1, id="slow for ever: the one repetition uses the patience up"),
    ],
)
def test_the_three_waves_are_repeated_where_one_is_disturbed_and_counted(
    mongod: Mongod, seconds: list[float], patience_s: float, probes: int, disturbed: int
) -> None:
    mongo: MongoClient[dict[str, Any]] = MongoClient(mongod.uri)
    core = Core(*seconds)
    with mongo, BenchEndpoint() as endpoint:
        servers = BenchServers(endpoint=endpoint, mongod=mongod, mongo=mongo, speed=_speed(core, patience_s=patience_s))
        plan = BenchPlan(consumers=[BARE], kinds=[LoadKind.OWN], messages=10, rounds=1, seed=1, agents=None)
        outcome = measure_rounds(servers, plan)
    [cell] = outcome.cells
    assert (core.probes, cell.disturbed) == (probes, disturbed)
