"""`decide` against the second reading of the tables, through JSON, on every point of the finite space."""

from collections.abc import Iterator
from itertools import product
from typing import Final

import orjson

from tests.handlers.test_question import SYNC
from tests.handlers.wire_events import Json
from tests.oracle import rules_oracle
from worker.cli_decide import answers

USERS: Final[tuple[tuple[list[str], str | None], ...]] = (
    ([], None),
    (["u-1"], None),
    ([], "u-1"),
    (["u-1", "u-2"], "u-2"),
    (["u-2"], "u-1"),
)
QUEUES: Final = ((None, None), ("q-1", None), (None, "q-1"), ("q-1", "q-1"), ("q-1", "q-2"))
"""What each side may have, up to the names: none, one that is among them, another."""


def queue(key: str | None) -> Json | None:
    return None if key is None else {"id": key}


def points() -> Iterator[Json]:
    flags = (False, True)
    for users, queues, status, ended, deleted, item_status, paused, trigger in product(
        USERS,
        QUEUES,
        ("open", "snoozed", "done"),
        flags,
        flags,
        ("ivr", "queued", "routed", "assigned", "wrap-up", "completed"),
        flags,
        ("conversation", "work-item"),
    ):
        conversation = {"assignedUsers": users[0], "queue": queue(queues[0]), "status": status, "ended": ended}
        item = {"assignedTo": users[1], "queue": queue(queues[1]), "status": item_status, "paused": paused}
        yield {
            **SYNC,
            "trigger": trigger,
            "conversation": {"id": "c", "rev": 3, **conversation, "deleted": deleted},
            "workItem": {"id": "w", "rev": 5, **item},
        }


def in_any_order(told: Json) -> Json:
    return {**told, "reasons": sorted(told["reasons"], key=repr)}


def test_decide_agrees_with_the_oracle_on_every_point_of_the_finite_space() -> None:
    """Through JSON, as from the command line: one line a question, one line an answer."""
    asked = list(points())
    found = answers(orjson.dumps(question) for question in asked)
    wrong = []
    for question, told in zip(asked, found, strict=True):
        expected = rules_oracle.decide(question)
        heard = orjson.loads(orjson.dumps(told))
        if heard != expected and in_any_order(heard) != in_any_order(expected):
            wrong.append((question, expected, heard))
    assert len(asked) == 5 * 5 * 3 * 2 * 2 * 6 * 2 * 2
    assert not wrong, f"{len(wrong)} of {len(asked)} differ; the first: {wrong[0]}"
