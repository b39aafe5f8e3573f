"""Policy `causal`, each field newer on either side or waiting, against the second reading of docs/rules.md.

All fields newer on one side, at every point: tests/handlers/dry_run/test_question_space.py.
"""

import random
from collections.abc import Iterable, Mapping
from itertools import product
from typing import Final

import pytest
from hypothesis import settings

from sync.conversation import FIELDS, Field
from sync.evidence import NewerSide
from tests.oracle import causal_oracle, points, rules_oracle
from tests.oracle.causal_oracle import FIELD_OF, in_order_of_the_tables
from tests.sync.pairs import Json, causal_answer, state_in_which

pytestmark = pytest.mark.thorough

CONTESTED: Final[tuple[Field, ...]] = ("assignee", "queue", "status", "ended")
"""Every field but `paused`, which is always the conversation's."""
DEEP: Final = settings.default is not None and settings.default.max_examples >= 5_000
"""`HYPOTHESIS_PROFILE=deep`: every pair, not a sample."""
MISMATCHES_SHOWN: Final = 5

Sides = Mapping[Field, NewerSide]


def check(asked: Iterable[tuple[Json, Json, Json]]) -> int:
    """The number of questions, each a pair and a state; fails with the first answers that differ."""
    count = 0
    wrong: list[str] = []
    for c, w, state in asked:
        count += 1
        expected = causal_oracle.reconcile(c, w, state)
        found = causal_answer(c, w, state)
        if expected != found and in_order_of_the_tables(expected) != in_order_of_the_tables(found):
            wrong.append(f"{c}\n{w}\n{state}\n  the text: {expected}\n  the code: {found}")
    assert not wrong, f"{len(wrong)} of {count} differ; the first:\n" + "\n".join(wrong[:MISMATCHES_SHOWN])
    return count


def ways(sides: tuple[NewerSide, ...]) -> list[Sides]:
    """Every assignment of the contested fields to the sides; `paused` to the work-item, which must not matter."""
    return [
        {**dict(zip(CONTESTED, each, strict=True)), "paused": NewerSide.WORK_ITEM}
        for each in product(sides, repeat=len(CONTESTED))
    ]


def telling_pairs() -> list[tuple[Json, Json]]:
    """The pairs on which rules of at least two contested fields fire, shuffled; every pair in the deep profile."""
    every = list(points.pairs())
    telling = every if DEEP else [pair for pair in every if len(fields_asked(*pair)) > 1]
    random.Random(1).shuffle(telling)
    return telling


def fields_asked(c: Json, w: Json) -> set[str]:
    fired = (*rules_oracle.table_a(c, w, "causal"), *rules_oracle.table_b(c, w, "causal"))
    return {FIELD_OF[rule] for rule, _ in fired} - {"paused"}


def test_a1_to_a6_and_b1_to_b10_with_each_field_newer_on_either_side() -> None:
    both = [state_in_which(sides) for sides in ways((NewerSide.CONVERSATION, NewerSide.WORK_ITEM))]
    some = telling_pairs()[:: 1 if DEEP else 2]
    assert check((c, w, state) for (c, w), state in product(some, both)) >= 466 * 16


def test_with_every_way_in_which_fields_may_wait() -> None:
    some = telling_pairs()[:: 1 if DEEP else 16]
    every = [state_in_which(sides) for sides in ways(tuple(NewerSide)) if NewerSide.UNDECIDED in sides.values()]
    assert len(every) == 3**4 - 2**4
    assert check((c, w, state) for (c, w), state in product(some, every)) >= 59 * 65


def test_every_field_waits_at_every_point() -> None:
    all_wait = state_in_which(dict.fromkeys(FIELDS, NewerSide.UNDECIDED))
    assert check((c, w, all_wait) for c, w in points.pairs()) == points.COUNT


class TestA7:
    """The conversation is done by the completion of an earlier work-item, the later one is active."""

    def test_with_every_state_after_a_completion(self) -> None:
        every = list(points.pairs())
        random.Random(2).shuffle(every)
        closed = [(c, w) for c, w in every if c["status"] == "done"][: None if DEEP else 25]
        others = [(c, w) for c, w in every if c["status"] != "done"][: None if DEEP else 5]
        states = list(points.states_after_a_completion())
        some = ((c, {**w, **item}, state) for (c, w), (state, item) in product(closed + others, states))
        assert check(some) >= 30 * 480

    def test_at_every_point_where_it_fires_and_where_it_waits(self) -> None:
        fires: Json = {"changed": {}, "known": {}, "doneBy": {"number": 1, "rev": 2}}
        waits: Json = {**fires, "observed": {"conversation": [[1, 2]], "workItem": [[1, 5]]}}
        some = ((c, {**w, "workItemNumber": 2}, state) for (c, w), state in product(points.pairs(), (fires, waits)))
        assert check(some) == 2 * points.COUNT

    def test_with_the_other_fields_newer_on_either_side_or_waiting(self) -> None:
        closed = [(c, w) for c, w in telling_pairs() if c["status"] == "done" and w["status"] != "completed"]
        some = closed[:: 1 if DEEP else 12]
        # Revision 3 of the conversation is observed, so A7 fires: nothing outside changed the status.
        states = [
            {**state, "changed": {**state["changed"], "status": 0}, "doneBy": {"number": 1, "rev": 3}}
            for state in map(state_in_which, ways(tuple(NewerSide)))
        ]
        asked = ((c, {**w, "workItemNumber": 2}, state) for (c, w), state in product(some, states))
        assert check(asked) >= 20 * 3**4
