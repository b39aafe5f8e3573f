"""The independent count, on the smallest lists of writes."""

from typing import Any

import pytest

from tests.faults.expected_ends import NotedWrite, differences, possible_ends


def conversation(rev: int, lost: bool = False, **sets: Any) -> NotedWrite:
    return NotedWrite(side="conversation", rev=rev, sets=sets, lost=lost)


def item(rev: int, knew: int | None, lost: bool = False, **sets: Any) -> NotedWrite:
    return NotedWrite(side="work-item", rev=rev, sets=sets, known_rev=knew, lost=lost)


@pytest.mark.parametrize(
    ("writes", "possible"),
    [
        ([], [None]),
        ([conversation(2, agent="a")], ["a"]),
        ([conversation(2, agent="a"), item(2, 2, agent="b")], ["b"]),
        ([conversation(2, agent="a"), item(2, 2, agent="b"), conversation(3)], ["b"]),
        ([conversation(2, agent="a"), item(2, 1, agent="b")], ["a"]),
        ([conversation(2, agent="a"), item(2, None, agent="b")], ["a", "b"]),
        ([item(2, None, agent="b"), conversation(2, agent="a")], ["a"]),
        ([conversation(2, agent="a"), item(2, 2, lost=True, agent="b")], ["a", "b"]),
        ([conversation(2, lost=True, agent="a"), item(2, 2, agent="b")], [None, "a", "b"]),
        ([conversation(2, agent="a"), item(2, 2, agent="b"), item(3, 1, agent="c")], ["b", "a"]),
        ([conversation(2, queue="q"), item(2, 1, agent="b")], ["b"]),
    ],
)
def test_what_may_stand_at_the_end(writes: list[NotedWrite], possible: list[Any]) -> None:
    assert possible_ends(writes, "agent") == possible


def pair(
    agents: tuple[str | None, str | None], *, status: str = "open", ended: bool = False, item_status: str = "assigned"
) -> tuple[dict[str, Any], dict[str, Any]]:
    users = [] if agents[0] is None else [agents[0]]
    linked = {} if agents[1] is None else {"assignedTo": {"data": {"id": agents[1]}}}
    return (
        {"type": "conversation", "attributes": {"status": status, "assignedUsers": users, "ended": ended}},
        {"type": "work_item", "attributes": {"status": item_status, "paused": False}, "relationships": linked},
    )


ASSIGNED = [conversation(2, agent="a"), item(2, 2, agent="b")]


@pytest.mark.parametrize(
    ("writes", "stored", "differs"),
    [
        (ASSIGNED, pair(("b", "b")), False),
        (ASSIGNED, pair(("a", "a")), True),
        (ASSIGNED, pair(("a", "b")), True),
        ([*ASSIGNED, conversation(3, closed=True)], pair(("b", "b"), status="done", item_status="completed"), False),
        ([*ASSIGNED, conversation(3, closed=True)], pair(("b", "b"), status="done"), True),
        ([*ASSIGNED, conversation(3, closed=True)], pair(("b", "a"), status="done", item_status="completed"), True),
        ([*ASSIGNED, item(3, 2, closed=True)], pair(("a", "b"), status="done", item_status="completed"), False),
        ([*ASSIGNED, item(3, 2, closed=True)], pair(("b", "b"), item_status="completed"), True),
        ([*ASSIGNED, conversation(3, ended=True)], pair(("b", "b"), ended=True, item_status="wrap-up"), False),
        ([*ASSIGNED, conversation(3, ended=True)], pair(("b", "b"), ended=True), True),
        ([*ASSIGNED, conversation(3, ended=True)], pair(("b", "b"), item_status="wrap-up"), True),
        ([*ASSIGNED, conversation(3, paused=True)], pair(("b", "b"), status="snoozed"), True),
    ],
)
def test_a_pair_is_compared(
    writes: list[NotedWrite], stored: tuple[dict[str, Any], dict[str, Any]], differs: bool
) -> None:
    assert bool(list(differences(writes, *stored))) is differs
