"""The contract on the worker's own handlers, exhaustively within a small bound; `make exhaustive` has the large one."""

import pytest

from handlers.options import PolicyInUse
from tests.causality.exhaustive import WORLDS, World, look
from tests.causality.starts import PAIRS

CAUSAL = [world for world in WORLDS if world.policy is PolicyInUse.CAUSAL]
LEGACY = [world for world in WORLDS if world.policy is PolicyInUse.LEGACY]


@pytest.mark.parametrize("world", CAUSAL, ids=lambda world: world.name)
def test_causal_keeps_the_contract_after_one_write(world: World) -> None:
    for pair in PAIRS:
        found = look(world, pair, 1)
        assert (found.bad, found.examples) == (0, [])
        assert found.ends > 5


@pytest.mark.parametrize(
    ("number", "pair"), [(0, "queued"), (1, "assigned"), (2, "ivr, conversation assigned"), (0, "no work-item")]
)
def test_causal_keeps_the_contract_after_two_writes(number: int, pair: str) -> None:
    found = look(CAUSAL[number], pair, 2)
    assert (found.bad, found.examples) == (0, [])
    assert found.ends > 50


def test_legacy_loses_updates() -> None:
    found = look(LEGACY[0], "assigned", 2, to_the_first=True)
    assert found.bad > 0
    assert found.by_point
