"""Every point of the finite space of a conversation and a work-item, against the second reading of the tables."""

from collections.abc import Iterator
from itertools import product
from typing import Final

import pytest

from sync.gates import Side
from tests.oracle import rules_oracle
from tests.sync.pairs import Json, answer, c, in_any_order, question, w

pytestmark = pytest.mark.thorough

TRIGGERS: Final[tuple[Side, ...]] = ("conversation", "work-item")
QUEUES: Final = (None, {"id": "q1"}, {"id": "q2"})
ASSIGNED_USERS: Final[tuple[list[str], ...]] = ([], ["u1"], ["u2", "u1"], ["u3"])
MISMATCHES_SHOWN: Final = 5


def conversations() -> Iterator[Json]:
    for status, users, queue, ended, deleted in product(
        ("open", "snoozed", "done"), ASSIGNED_USERS, QUEUES, (False, True), (False, True)
    ):
        yield c(status=status, assignedUsers=users, queue=queue, ended=ended, deleted=deleted)


def work_items() -> Iterator[Json]:
    for status, user, queue, paused in product(
        ("ivr", "queued", "routed", "assigned", "wrap-up", "completed"), (None, "u1", "u2"), QUEUES, (False, True)
    ):
        yield w(status=status, assignedTo=user, queue=queue, paused=paused)


def check(questions: Iterator[Json]) -> int:
    """The number of questions; fails with the first answers that differ."""
    asked = 0
    wrong: list[str] = []
    for one in questions:
        asked += 1
        expected, found = rules_oracle.decide(one), answer(one)
        if expected != found and in_any_order(expected) != in_any_order(found):
            wrong.append(f"{one}\n  the text: {expected}\n  the code: {found}")
    assert not wrong, f"{len(wrong)} of {asked} differ; the first:\n" + "\n".join(wrong[:MISMATCHES_SHOWN])
    return asked


def test_a1_to_a6_and_b1_to_b9_at_every_point() -> None:
    points = (question(*point) for point in product(TRIGGERS, conversations(), work_items()))
    assert check(points) == 2 * (3 * 4 * 3 * 2 * 2) * (6 * 3 * 3 * 2)


def test_gates_at_every_point() -> None:
    """Every event before every pair, missing documents included: 3 revisions × sync or not × supported or not."""
    events = [
        {"rev": rev, "isSync": sync, "supported": supported}
        for rev, sync, supported in product((None, 2, 3, 4, 5, 9), (False, True), (True, False))
    ]
    some_conversations = [None, *(one for one in conversations() if one["queue"] is None)]
    some_work_items = [None, *(one for one in work_items() if one["queue"] is None and not one["paused"])]
    points = (question(*point) for point in product(TRIGGERS, some_conversations, some_work_items, events))
    assert check(points) == 2 * (1 + 48) * (1 + 18) * 24


def test_null_conversation_and_null_work_item_at_every_point() -> None:
    pairs = [
        *((None, one) for one in work_items()),
        *((one, None) for one in conversations()),
        (None, None),
    ]
    points = (question(trigger, *pair) for trigger, pair in product(TRIGGERS, pairs))
    assert check(points) == 2 * (108 + 144 + 1)
