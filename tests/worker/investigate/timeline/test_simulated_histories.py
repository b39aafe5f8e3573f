"""Histories that this worker made under policy `causal` keep the contract: no finding says that they lost an update."""

from collections import defaultdict
from collections.abc import Mapping
from typing import Any, Final

import orjson
import pytest

from handlers.options import PolicyInUse
from tests.causality.simulation.run import Run
from tests.causality.simulation.tally import SimulationSettings, Tally
from tests.worker.investigate.timeline.pair_story import entry
from worker.investigate.timeline.builder import build_timeline
from worker.investigate.timeline.entry import TimelineEntry
from worker.investigate.timeline.timeline import FindingKind

CALM: Final = SimulationSettings(conversations=(10, 14), troubles=())


def lost_updates(seed: int, policy: PolicyInUse) -> tuple[Tally, list[str]]:
    heard: dict[str, list[TimelineEntry]] = defaultdict(list)

    def keep(key: str, event: Mapping[str, Any]) -> None:
        heard[key].append(entry(orjson.loads(orjson.dumps(event))))

    tally = Run(seed, CALM, policy, heard=keep).run()
    timelines = [build_timeline(key, entries) for key, entries in heard.items()]
    found = [each for timeline in timelines for each in timeline.findings]
    return tally, [each.text for each in found if each.kind is FindingKind.UPDATE_LOST]


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(3, 7))
def test_a_history_that_keeps_the_contract_lost_no_update(seed: int) -> None:
    tally, lost = lost_updates(seed, PolicyInUse.CAUSAL)
    assert (tally.wrong, lost) == ([], [])
    assert tally.syncs


def test_what_legacy_lost_is_found() -> None:
    tally, lost = lost_updates(3, PolicyInUse.LEGACY)
    assert tally.wrong
    assert lost
