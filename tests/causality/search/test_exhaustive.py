"""The contract on the worker's own handlers, exhaustively within a small bound; `make exhaustive` has the large one."""

from typing import Any

import pytest
from msgspec.structs import replace

from handlers.options import Options, PolicyInUse
from tests.causality.search.batches import compare_partitions
from tests.causality.search.exhaustive import WORLDS, SearchWorld, look
from tests.causality.search.starts import SearchStart

CAUSAL = [world for world in WORLDS if world.policy is PolicyInUse.CAUSAL]
LEGACY = [world for world in WORLDS if world.policy is PolicyInUse.LEGACY]
FEW: dict[str, Any] = {"conversation_kinds": ("assign u2", "done"), "work_item_kinds": ("assign u2", "complete")}


@pytest.mark.parametrize("world", CAUSAL, ids=lambda world: world.name)
def test_causal_keeps_the_contract_after_one_write(world: SearchWorld) -> None:
    if world.extras in ((("removals", 1),), (("foreign", 1),)):
        # Another write beside the one that is counted multiplies the states.
        world = replace(world, **FEW)
    for pair in ("assigned", "no work-item, conversation assigned"):
        found = look(world, pair, 1)
        assert (found.bad, found.examples) == (0, [])
        assert found.ends > 3


@pytest.mark.parametrize(
    ("pair", "world"),
    [
        ("queued", SearchWorld(name="observed from the start", **FEW)),
        ("assigned", SearchWorld(name="one event lost", extras=(("losses", 1),), **FEW)),
        ("ivr, conversation assigned", SearchWorld(name="silent", known=False, extras=(("silent", True),), **FEW)),
    ],
)
def test_causal_keeps_the_contract_after_two_writes(pair: str, world: SearchWorld) -> None:
    found = look(world, pair, 2)
    assert (found.bad, found.examples) == (0, [])
    assert found.ends > 50


@pytest.mark.parametrize("pair", ["queued", "assigned"])
def test_a_batch_ends_as_its_events_do_one_by_one(pair: str) -> None:
    kinds = {**FEW, "work_item_kinds": ("assign u2", "complete", "wrap up")}
    found = compare_partitions(
        SearchStart(pair=pair).node(options=Options(), budget=SearchWorld(name="few", **kinds).budget(2))
    )
    assert (found.bad, found.examples) == (0, [])
    assert found.partitions > 50


def test_legacy_loses_updates() -> None:
    found = look(LEGACY[0], "assigned", 2, to_the_first=True)
    assert found.bad > 0
    assert found.by_point
