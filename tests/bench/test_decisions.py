"""Parsing, deciding and logging are measured step by step. No figure is asserted."""

from tests.bench.decisions import decisions
from tests.bench.loads.workload import LoadKind


def test_every_step_of_deciding_is_measured() -> None:
    steps = decisions(seed=1, events=3, seconds=0.001)
    assert {step.kind for step in steps} == {LoadKind.OWN, LoadKind.UNSHARED, LoadKind.SYNCS}
    assert all(step.us > 0 for step in steps)
