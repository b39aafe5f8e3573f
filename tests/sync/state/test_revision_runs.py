"""Observed revisions as unbroken runs (docs/rules.md, *The sync state*)."""

from collections.abc import Iterable
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from sync.state.revision_runs import RUNS_MAX, RevisionRuns, contains, highest_gap, with_range, with_revision


def built(revs: Iterable[int]) -> RevisionRuns:
    runs: RevisionRuns = ()
    for rev in revs:
        runs = with_revision(runs, rev)
    return runs


class TestRuns:
    def test_unbroken_runs(self) -> None:
        assert built([1, 2, 3, 4, 5, 6, 8]) == ((1, 6), (8, 8))
        assert built([8, 6, 5, 1, 4, 3, 2]) == ((1, 6), (8, 8))
        assert built([1, 3, 2]) == ((1, 3),)

    def test_at_most_256_the_lowest_gap_is_closed(self) -> None:
        runs = built(range(10, 10 + 2 * RUNS_MAX, 2))
        assert (RUNS_MAX, len(runs)) == (256, 256)
        beyond = with_revision(runs, 1000)
        assert len(beyond) == 256
        assert beyond[0] == (10, 12)
        assert beyond[1:] == (*runs[2:], (1000, 1000))

    def test_a_revision_below_all_of_256_runs_closes_its_own_gap(self) -> None:
        runs = built(range(10, 10 + 2 * RUNS_MAX, 2))
        assert with_revision(runs, 1) == ((1, 10), *runs[1:])

    def test_a_revision_in_the_closed_gap_is_no_news(self) -> None:
        beyond = with_revision(built(range(10, 10 + 2 * RUNS_MAX, 2)), 1000)
        assert with_revision(beyond, 11) is beyond

    def test_a_range_closes_every_gap_within_it(self) -> None:
        assert with_range(((1, 2), (4, 4), (7, 9)), 2, 6) == ((1, 9),)
        assert with_range(((1, 2), (9, 9)), 4, 6) == ((1, 2), (4, 6), (9, 9))

    def test_the_highest_gap_up_to_a_revision(self) -> None:
        runs: RevisionRuns = ((1, 3), (5, 6), (9, 9))
        assert [highest_gap(runs, last) for last in (2, 4, 6, 8, 9, 12)] == [0, 4, 4, 8, 8, 12]
        assert highest_gap((), 3) == 3

    def test_an_empty_range_and_an_observed_one_are_no_news(self) -> None:
        runs: RevisionRuns = ((1, 6), (8, 8))
        assert with_range(runs, 4, 3) is runs
        assert with_range(runs, 2, 6) is runs

    @given(st.lists(st.integers(min_value=1, max_value=80), max_size=60))
    def test_they_hold_the_added_revisions_and_no_others(self, revs: list[int]) -> None:
        runs = built(revs)
        assert {rev for rev in range(100) if contains(runs, rev)} == set(revs)
        assert list(runs) == sorted(runs)
        assert all(end + 1 < start for (_, end), (start, _) in pairwise(runs))

    @given(st.data(), st.frozensets(st.integers(min_value=1, max_value=80), max_size=40))
    def test_in_any_order(self, data: st.DataObject, revs: frozenset[int]) -> None:
        shuffled = data.draw(st.permutations(sorted(revs)))
        assert built(shuffled) == built(sorted(revs))

    @settings(deadline=None)
    @given(st.lists(st.integers(min_value=1, max_value=20_000), max_size=700))
    def test_beyond_256_nothing_observed_is_forgotten(self, revs: list[int]) -> None:
        runs = built(revs)
        assert len(runs) <= RUNS_MAX
        assert all(contains(runs, rev) for rev in revs)
        assert all(end + 1 < start for (_, end), (start, _) in pairwise(runs))
