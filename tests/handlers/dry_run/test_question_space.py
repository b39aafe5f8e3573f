"""`decide` against an independent implementation of docs/rules.md, by way of JSON, on the whole finite space."""

import random
from collections.abc import Callable, Iterable
from itertools import product
from typing import Final

import orjson
import pytest

from tests.handlers.dry_run.questions import SYNC
from tests.handlers.wire_events import Json
from tests.oracle import causal_oracle, points, rules_oracle
from tests.oracle.causal_oracle import FIELDS, in_order_of_the_tables
from tests.oracle.rules_oracle import table_a, table_b
from worker.cli.input_files.decide import answers

pytestmark = pytest.mark.thorough

TRIGGERS: Final = ("conversation", "work-item")
MISMATCHES_SHOWN: Final = 3


def asked_of(policy: str) -> list[Json]:
    """A question for every pair and each trigger, without a state."""
    return [
        {**SYNC, "policy": policy, "trigger": trigger, "conversation": c, "workItem": w}
        for (c, w), trigger in product(points.pairs(), TRIGGERS)
    ]


def check(questions: Iterable[Json], oracle: Callable[[Json], Json]) -> int:
    """Compare every answer with the oracle's and return the number of questions. Each is one line of JSON."""
    asked = list(questions)
    found = answers(orjson.dumps(question) for question in asked)
    wrong: list[str] = []
    for question, told in zip(asked, found, strict=True):
        expected = oracle(question)
        heard = orjson.loads(orjson.dumps(told))
        if heard != expected and in_order_of_the_tables(heard) != in_order_of_the_tables(expected):
            wrong.append(f"{question}\n  the text: {expected}\n  decide: {heard}")
    assert not wrong, f"{len(wrong)} of {len(asked)} differ; the first:\n" + "\n".join(wrong[:MISMATCHES_SHOWN])
    return len(asked)


def test_legacy_agrees_with_the_oracle_on_every_point_of_the_finite_space() -> None:
    assert check(asked_of("legacy"), rules_oracle.decide) == 2 * points.COUNT


def test_causal_at_first_sight_agrees_with_the_oracle_on_every_point_of_the_finite_space() -> None:
    assert check(asked_of("causal"), causal_oracle.decide) == 2 * points.COUNT


def test_causal_with_a_state_agrees_with_the_oracle() -> None:
    """Random states: any revisions, known before or after the change, some missing, some unobserved. The trigger has no
    influence.

    `tests/sync/causal/test_exhaustive.py` covers each direction's combinations at every point.
    """
    draw = random.Random(7)

    def some(highest: int = 3) -> dict[str, int]:
        return {field: draw.randint(0, highest) for field in FIELDS if draw.random() < 0.8}

    def runs(rev: int) -> list[list[int]]:
        return [[one, one] for one in range(1, rev + 1) if draw.random() < 0.8]

    def state() -> Json:
        every: Json = {
            "changed": some(),
            "known": some(),
            "knownAt": some(5),
            "touched": some(5),
            "doneBy": {"number": draw.randint(0, 2), "rev": draw.randint(1, 3)},
            "observed": {"conversation": runs(3), "workItem": runs(5)},
        }
        return {name: value for name, value in every.items() if draw.random() < 0.7}

    def item(w: Json) -> Json:
        return {**w, "workItemNumber": draw.randint(1, 3), "resourceRev": draw.randint(1, 3)}

    telling = [(c, w) for c, w in points.pairs() if len(table_a(c, w, "causal") + table_b(c, w, "causal")) > 1]
    questions = [
        {
            **SYNC,
            "policy": "causal",
            "trigger": draw.choice(TRIGGERS),
            "conversation": c,
            "workItem": item(w),
            "state": state(),
        }
        for c, w in telling
    ]
    assert check(questions, causal_oracle.decide) > 1_000
