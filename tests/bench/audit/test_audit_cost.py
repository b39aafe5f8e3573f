"""`make bench-audit` handles each load with and without the kept audit. No figure is asserted."""

import pytest

from mongod import Mongod
from tests.bench.audit.command import measure_audit

pytestmark = pytest.mark.thorough


def test_a_sync_keeps_a_record_and_an_event_that_changes_nothing_of_ours_none(mongod: Mongod) -> None:
    unshared, syncs = measure_audit(mongod, events=20, rounds=1)
    assert (unshared.off.kept, unshared.on.kept) == (0, 0)
    assert (syncs.off.kept, syncs.on.kept) == (0, 20)
    assert 0 < syncs.on.stored_bytes / syncs.on.kept < 2_000
    assert all(each.cpu_ratio > 0 and each.wall_ratio > 0 for each in (unshared, syncs))
