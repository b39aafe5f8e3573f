"""The simulation within a small bound; `make simulate` has the large one."""

from msgspec.structs import replace

from handlers.options import PolicyInUse
from tests.causality.rollout_waits import Rollout
from tests.causality.simulation.run import Run
from tests.causality.simulation.tally import SimulationSettings, Tally
from tests.causality.simulation.weather import Trouble

SMALL = SimulationSettings(conversations=(8, 12), writes=(1, 3))


def test_seeded_fleets_keep_the_contract() -> None:
    """Each trouble alone, and all that a seed draws."""
    total = Tally()
    for seed, trouble in enumerate(Trouble):
        only = SimulationSettings(conversations=(8, 12), troubles=(trouble,))
        total.add(Run(seed, only).run())
    for seed in range(20, 24):
        total.add(Run(seed, SMALL).run())
    assert total.wrong == []
    # Every kind of fault was drawn at least once.
    assert min(total.syncs, total.crashes, total.sleeps, total.conflicts, total.away, total.lost, total.closed) > 0


def test_fleets_that_route_keep_the_contract() -> None:
    """Their own outside writes come back like any others: late, twice, in any order, or never."""
    total = Tally()
    for seed in range(40, 44):
        total.add(Run(seed, replace(SMALL, routes=True)).run())
    assert total.wrong == []
    assert min(total.syncs, total.conflicts) > 0


def test_a_seed_replays_its_run_exactly() -> None:
    assert Run(7, SMALL).run() == Run(7, SMALL).run()
    assert Run(7, SMALL).run() != Run(8, SMALL).run()


def test_it_finds_what_legacy_loses() -> None:
    assert Run(1, SMALL, PolicyInUse.LEGACY).run().wrong


def test_a_roll_out_makes_no_pair_wait_that_was_at_rest_for_an_hour() -> None:
    groups = Rollout(pairs=60).run()
    assert groups["more than an hour ago"].waits_s == []
    assert groups["10 to 60 minutes ago"].waits_s == []
    waits_s = groups["in the last minute"].waits_s
    assert 0 < len(waits_s) < 60
    assert max(waits_s) < 160
