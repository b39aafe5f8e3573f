"""Distinct ids: exact while few, near while many, and the same in any order and in parts."""

import pytest

from worker.shadow.distinct import DistinctIds


def distinct(names: range) -> DistinctIds:
    ids = DistinctIds()
    for name in (*names, *names):
        ids.add(f"c-{name}")
    return ids


@pytest.mark.parametrize("count", [0, 1, 4_095])
def test_few_are_counted_exactly(count: int) -> None:
    ids = distinct(range(count))
    assert (ids.count, ids.is_exact) == (count, True)


def test_many_are_counted_within_five_percent() -> None:
    ids = distinct(range(50_000))
    assert not ids.is_exact
    assert ids.count == pytest.approx(50_000, rel=0.05)


def test_parts_merge_to_the_whole() -> None:
    parts = distinct(range(30_000))
    parts.merge(distinct(range(20_000, 50_000)))
    assert parts.count == distinct(range(50_000)).count
