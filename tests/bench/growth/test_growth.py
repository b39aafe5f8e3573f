"""The parts of `make bench-growth` measure what they claim. Figures of speed are not asserted."""

from collections.abc import Iterator
from typing import Any

import pytest
from pymongo import MongoClient

from mongod import Mongod
from sync.state.revision_runs import RUNS_MAX
from tests.bench.endpoint.process import BenchEndpoint
from tests.bench.growth.command import main
from tests.bench.growth.heat import measure_heat
from tests.bench.growth.history import history_of
from tests.bench.growth.lanes import Shape, shapes
from tests.bench.growth.memory import growth_share, measure_memory
from tests.bench.growth.rates import measure_rates
from tests.bench.growth.store import examined_on_few
from tests.bench.growth.tables import rows_table
from tests.bench.loads.many_pairs import DOCUMENTS_A_PAIR, put_pairs
from tests.bench.loads.workload import LoadKind, workload
from tests.bench.runs.comparison import Variant, compare
from tests.bench.runs.fleet import Figures
from tests.bench.runs.machine_speed import ANY_SPEED, MachineSpeed
from tests.bench.runs.servers import BenchServers
from tests.bench.runs.store_use import StoreUse
from worker.store.documents import Collection


@pytest.fixture
def servers(mongod: Mongod) -> Iterator[BenchServers]:
    mongo: MongoClient[dict[str, Any]] = MongoClient(mongod.uri)
    with mongo, BenchEndpoint() as endpoint:
        yield BenchServers(endpoint=endpoint, mongod=mongod, mongo=mongo, speed=ANY_SPEED)


def _figures(cpu_s: float, wall_s: float, *, disturbed: bool = False) -> Figures:
    use = StoreUse(cpu_s=cpu_s, committed=5, aborted=1, stored_bytes=0, journal_bytes=0, network_bytes=0, pages_read=3)
    return Figures(messages=1_000, cpu_s=cpu_s, wall_s=wall_s, calls={}, published=0, store=use, disturbed=disturbed)


def test_ratios_are_made_within_a_round_and_their_median_is_shown() -> None:
    slow_day = [1.0, 10.0, 1.0]
    base = Variant(name="base", run=lambda number: _figures(slow_day[number], slow_day[number]))
    twice = Variant(name="twice", run=lambda number: _figures(2 * slow_day[number], 4 * slow_day[number]))
    rows = compare([base, twice], rounds=3, seed=1, speed=ANY_SPEED)
    assert [(row.variant, row.cpu, row.mongod_cpu, row.rate) for row in rows] == [
        ("base", 1, 1, 1),
        ("twice", 2, 2, 0.25),
    ]
    assert [(row.cpu_s_per_1000, row.rate_per_s, row.aborted_per_1000) for row in rows] == [(1, 1_000, 1), (2, 250, 1)]
    assert rows[0].messages_a_transaction == 200


def test_a_disturbed_run_of_a_variant_is_repeated_and_counted_where_it_stays_so() -> None:
    runs = {"base": iter([False]), "once": iter([True, False]), "ever": iter([True])}

    def variant(name: str) -> Variant:
        return Variant(name=name, run=lambda _: _figures(1, 1, disturbed=next(runs[name])))

    rows = compare([variant("base"), variant("once")], rounds=1, seed=1, speed=ANY_SPEED)
    assert [(row.variant, row.rounds, row.disturbed) for row in rows] == [("base", 1, 0), ("once", 1, 0)]
    impatient = MachineSpeed(calibration_s=0, patience_s=0)
    [row] = compare([variant("ever")], rounds=1, seed=1, speed=impatient)
    assert row.disturbed == 1
    assert "A core was slow beside 1 of these 1 figures of a round." in str(rows_table("", [row]).caption)


def test_the_smallest_shape_comes_first_and_the_shipped_one_is_among_them() -> None:
    found = shapes()
    assert found[0] == Shape(lanes=1, receivers=1, processes=1)
    assert Shape(lanes=2, receivers=4, processes=2) in found
    assert len(found) == len(set(found)) == 18


@pytest.mark.thorough
def test_many_pairs_are_those_that_a_load_meets(servers: BenchServers) -> None:
    load = workload(LoadKind.UNSHARED, 3, seed=1, warm_up=0)
    inserted: list[int] = []
    with servers.place() as database:
        put_pairs(servers.mongo, database, 3, done=inserted.append)
        for collection, documents in load.documents.items():
            stored = servers.mongo[database][collection].find().sort("_id")
            expected = sorted(documents, key=lambda one: str(one["_id"]))
            assert [one["_id"] for one in stored] == [one["_id"] for one in expected]
    assert sum(inserted) == 3 * DOCUMENTS_A_PAIR


@pytest.mark.e2e
def test_hot_conversations_end_at_their_last_revision_with_two_processes(
    servers: BenchServers,
) -> None:
    [row] = measure_heat(servers, messages=100, rounds=1, seed=1, heats=[True], processes=[2])
    assert row.rate_per_s > 0


@pytest.mark.e2e
def test_messages_at_a_rate_come_alone_and_share_no_transaction(servers: BenchServers) -> None:
    at_once, quiet = measure_rates(servers, LoadKind.UNSHARED, messages=40, rounds=1, seed=1, rates_per_s=[None, 20])
    # The last of forty is released after 1.95 seconds.
    assert quiet.rate_per_s < 40 / 1.95
    assert at_once.messages_a_transaction is not None
    assert quiet.messages_a_transaction is not None
    assert quiet.messages_a_transaction < at_once.messages_a_transaction
    assert at_once.calls_per_1000 < quiet.calls_per_1000


@pytest.mark.e2e
def test_a_history_with_gaps_keeps_no_more_runs_than_agreed(servers: BenchServers) -> None:
    events = RUNS_MAX + 6
    history = history_of(servers, events, 2)
    assert (history.last_rev, history.runs) == (2 * events, RUNS_MAX)
    assert 0 < history.state_bytes < history.pair_bytes
    assert set(history.documents) >= {Collection.CONVERSATIONS, Collection.SYNC_STATES}


@pytest.mark.e2e
def test_mongod_looks_at_no_document_that_is_not_wanted(servers: BenchServers) -> None:
    every = examined_on_few(servers, messages=30, seed=1, few=1_500)
    found = [each for each in every if each.operation == "query" and each.found]
    looked_at = {each.collection for each in found}
    assert looked_at >= {Collection.CONVERSATIONS, Collection.SYNC_STATES, Collection.WORK_ITEMS}
    for each in found:
        # Two queries find a work-item: by its conversation, and by the id in the sync state.
        assert each.documents_a_found <= (2 if each.collection == Collection.WORK_ITEMS else 1), each


@pytest.mark.e2e
def test_memory_is_read_after_every_wave(servers: BenchServers) -> None:
    memory = measure_memory(servers, messages=200, seed=1, wave=100)
    assert [each.messages for each in memory.readings] == [100, 200]
    assert all(each.resident_bytes > 10_000_000 for each in memory.readings)


@pytest.mark.parametrize(
    ("values", "share"),
    [([9, 9, 9, 100, 100, 100], 0.0), ([1, 1, 1, 100, 105, 110], 0.1), ([5], 0.0)],
)
def test_growth_is_that_of_the_second_half(values: list[int], share: float) -> None:
    assert growth_share(values) == pytest.approx(share)


def test_a_part_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--parts", "lanes,heap"])
    assert "no such parts: heap" in capsys.readouterr().err
