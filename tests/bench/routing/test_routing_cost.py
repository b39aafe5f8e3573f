"""`make bench-routing` handles every load with each of the options. No figure is asserted."""

from tests.bench.routing.command import COLUMNS, measure_routing


def test_every_load_is_measured_with_each_of_the_options() -> None:
    found = measure_routing(events=4, rounds=1)
    assert len({each.load for each in found}) == 4
    assert len(found) == 4 * len(COLUMNS)
    assert all(each.us > 0 and each.ratio > 0 for each in found)
