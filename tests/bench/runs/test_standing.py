"""Consumers that stay running: every wave meets new pairs, and is measured beside the reference's."""

from collections.abc import Iterator
from typing import Any

import pytest
from pymongo import MongoClient

from mongod import Mongod
from tests.bench.consumers.consumer import BARE, OURS, Consumer
from tests.bench.endpoint.process import BenchEndpoint
from tests.bench.loads.workload import LoadKind
from tests.bench.runs.fleet import Figures, RunFailed
from tests.bench.runs.machine_speed import ANY_SPEED
from tests.bench.runs.rounds import BenchPlan, measure_rounds
from tests.bench.runs.servers import BenchServers
from tests.bench.runs.standing import Beside, ReferenceFailed, Waves, measure_beside, standing
from tests.bench.runs.store_use import StoreUse
from worker.store.documents import Collection

_USE = StoreUse(cpu_s=1, committed=1, aborted=0, stored_bytes=0, journal_bytes=0, network_bytes=0, pages_read=0)


@pytest.fixture
def servers(mongod: Mongod) -> Iterator[BenchServers]:
    mongo: MongoClient[dict[str, Any]] = MongoClient(mongod.uri)
    with mongo, BenchEndpoint() as endpoint:
        yield BenchServers(endpoint=endpoint, mongod=mongod, mongo=mongo, speed=ANY_SPEED)


def _figures(cpu_s: float, wall_s: float, *, disturbed: bool = False) -> Figures:
    return Figures(messages=1_000, cpu_s=cpu_s, wall_s=wall_s, calls={}, published=0, store=_USE, disturbed=disturbed)


def test_a_wave_is_compared_with_the_mean_of_those_beside_it() -> None:
    beside = Beside(before=_figures(1, 2), figures=_figures(4, 4), after=_figures(3, 6))
    assert (beside.cpu, beside.wall, beside.disturbed) == (2, 1, False)


@pytest.mark.parametrize("place", ["before", "figures", "after"])
def test_a_slow_core_beside_one_of_the_three_disturbs_the_ratio(place: str) -> None:
    full = dict.fromkeys(("before", "figures", "after"), _figures(1, 1))
    assert Beside(**{**full, place: _figures(1, 1, disturbed=True)}).disturbed


@pytest.mark.e2e
@pytest.mark.parametrize("agents", [None, 3])
def test_every_wave_meets_new_pairs(servers: BenchServers, agents: int | None) -> None:
    waves = Waves(kind=LoadKind.UNSHARED, messages=20, seed=1, agents=agents)
    with standing(servers, OURS, waves) as ours:
        first, second = ours.wave(), ours.wave()
        [database] = [name for name in servers.mongo.list_database_names() if name.startswith("bench-")]
        revs = [one["rev"] for one in servers.mongo[database][Collection.CONVERSATIONS].find()]
    assert first.messages == second.messages == 20
    # Warm-up included, and every conversation was written once.
    assert len(revs) == 240
    assert len(set(revs)) == 1


@pytest.mark.e2e
@pytest.mark.parametrize(("killed", "failure"), [(0, ReferenceFailed), (1, RunFailed)], ids=["reference", "consumer"])
def test_it_is_told_whose_wave_failed(servers: BenchServers, killed: int, failure: type[Exception]) -> None:
    waves = Waves(kind=LoadKind.OWN, messages=10, seed=1, agents=None)
    with standing(servers, BARE, waves) as reference, standing(servers, BARE, waves) as consumer:
        measure_beside(ANY_SPEED, reference, consumer)
        (reference, consumer)[killed].kill()
        with pytest.raises(failure, match="a  own syncs: bare did not empty its queue"):
            measure_beside(ANY_SPEED, reference, consumer)


@pytest.mark.e2e
def test_a_consumer_that_fails_is_named_and_has_no_cell(servers: BenchServers) -> None:
    ends = Consumer(name="ends", command=("/bin/sh", "-c", "echo no such queue"))
    plan = BenchPlan(consumers=[BARE, ends], kinds=[LoadKind.OWN], messages=10, rounds=2, seed=1, agents=None)
    outcome = measure_rounds(servers, plan)
    assert [(cell.consumer, cell.rounds) for cell in outcome.cells] == [("bare", 2)]
    [failure] = outcome.failures
    assert "ends did not empty its queue" in failure
    assert "no such queue" in failure
