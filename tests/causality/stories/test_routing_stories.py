"""KDEV-28235 in every order of delivery: one end, which is told in full."""

from collections.abc import Sequence
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.options import Options, PolicyInUse
from tests.causality.stories.orders import all_orders
from tests.causality.stories.routing import (
    CREATES,
    CREATES_AND_QUEUES,
    REOPENED_AND_MOVED,
    REOPENED_BY_RULE,
    REOPENED_IVR,
    REOPENED_QUEUED,
)
from tests.causality.stories.sampled_orders import end_of_drawn_order
from tests.causality.stories.story import Story

_CLOSED: Final = {"w1 assignee": "anna", "w1 status": "completed", "w1 paused": False}


def _end(queue: str | None, status: str, user: str | None = None, *, of_first: str | None = None) -> dict[str, Any]:
    return {
        "c status": "open",
        "c assignee": () if user is None else (user,),
        "c queue": queue,
        "c ended": False,
        **_CLOSED,
        "w1 queue": of_first,
        "w2 assignee": user,
        "w2 queue": queue,
        "w2 status": status,
        "w2 paused": False,
    }


ORDERS: Final = {
    REOPENED_IVR.name: 20,
    REOPENED_QUEUED.name: 162,
    REOPENED_BY_RULE.name: 55,
    REOPENED_AND_MOVED.name: 210,
}
"""The interleavings of the writes, of their deliveries, and of the deliveries of the worker's own outside writes."""

CASES: Final = [
    (REOPENED_IVR, CREATES, _end(None, "ivr")),
    (REOPENED_QUEUED, CREATES, _end("mail", "assigned", "ben", of_first="mail")),
    (REOPENED_BY_RULE, CREATES_AND_QUEUES, _end("mail", "queued")),
    (REOPENED_AND_MOVED, CREATES, _end("support", "queued", of_first="mail")),
]


@pytest.mark.parametrize(("story", "options", "end"), CASES, ids=[story.name for story, _, _ in CASES])
def test_every_order_ends_alike(story: Story, options: Options, end: dict[str, Any]) -> None:
    found = all_orders(story, options)
    assert [each.values for each in found.ends] == [end], found.ends
    assert (found.violations, found.waiting) == (0, 0)
    assert (found.conversation_flips_max, found.work_item_flips_max) == (0, 0), found.worst
    assert found.interleavings == ORDERS[story.name]


@pytest.mark.thorough
@pytest.mark.parametrize(("story", "options", "end"), CASES, ids=[story.name for story, _, _ in CASES])
@settings(max_examples=10)
@given(draws=st.data())
def test_batches_and_repetitions_end_alike(
    story: Story, options: Options, end: dict[str, Any], draws: st.DataObject
) -> None:
    def choose(choices: Sequence[int]) -> int:
        return draws.draw(st.sampled_from(choices))

    assert end_of_drawn_order(story, choose, options) == end


def test_the_predecessors_way_leaves_it_with_the_agent() -> None:
    """No un-assignment in the transaction that creates: the work-item and the conversation stay Anna's."""
    found = all_orders(REOPENED_IVR, Options(create_work_items=True))
    assert {each.values["c assignee"] for each in found.ends} == {("anna",)}


def test_legacy_creates_one_in_every_order() -> None:
    """Under `legacy` nothing waits: the second update may come first, and does not say that the first re-opened it."""
    found = all_orders(
        REOPENED_IVR, Options(policy=PolicyInUse.LEGACY, create_work_items=True, unassign_on_unavailable=True)
    )
    ends = [(each.count, each.values["c assignee"], each.values["w2 assignee"]) for each in found.ends]
    assert ends == [(14, (), None), (2, ("anna",), "anna")]
    assert all(each.values["c status"] == "open" and "w3 status" not in each.values for each in found.ends)
