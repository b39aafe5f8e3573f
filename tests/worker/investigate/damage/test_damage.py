"""Damage made on purpose: an event comes out as it was, or its loss or repair is told (`make damage` takes more)."""

from pathlib import Path
from random import Random
from typing import Final

import pytest

from tests.worker.investigate.damage.documents import document
from tests.worker.investigate.damage.trial import tried

INPUTS: Final = 150


@pytest.mark.thorough
@pytest.mark.parametrize("seed", [f"thorough-{number}" for number in range(6)])
def test_no_damage_makes_a_wrong_value_in_silence(tmp_path: Path, seed: str) -> None:
    exact = 0
    for number in range(INPUTS):
        verdict = tried(document(Random(f"{seed}:{number}")), tmp_path)
        assert verdict.violations == [], f"input {number} of seed {seed}"
        exact += verdict.counts["exact"]
    assert exact > 2 * INPUTS, "most events are restored"


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["all brackets", "some brackets", "one bracket", "commas", "quotes", "blanks"])
def test_these_damages_are_repaired_in_every_event_and_form(tmp_path: Path, name: str) -> None:
    for number in range(20):
        made = document(Random(f"{name}:{number}"), (name,))
        verdict = tried(made, tmp_path)
        assert (verdict.violations, verdict.differences, verdict.lost) == ([], [], set())
        assert verdict.counts.total() == verdict.counts["exact"] >= 4


def test_the_trial_sees_a_wrong_value(tmp_path: Path) -> None:
    made = next(
        one
        for number in range(1_000)
        if (one := document(Random(number), ())).form == "lines" and '"rev":2' in one.text
    )
    changed = type(made)(
        name=made.name, text=made.text.replace('"rev":2', '"rev":3'), form=made.form, events=made.events
    )
    assert made.text != changed.text
    assert any("wrong without a report" in line for line in tried(changed, tmp_path).violations)
    emptied = type(made)(name=made.name, text=made.text.split("\n", 1)[1], form=made.form, events=made.events)
    assert any("lost without a report" in line for line in tried(emptied, tmp_path).violations)
