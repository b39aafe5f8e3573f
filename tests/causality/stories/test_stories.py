"""The stories of a day in every order of delivery: one end each, and no value that a sync takes and brings back."""

from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handlers.options import Options, PolicyInUse
from sync.conversation import Field
from tests.causality.stories.day_to_day import STORIES, TWO_WAY_STORIES
from tests.causality.stories.flips import Sight
from tests.causality.stories.orders import all_orders
from tests.causality.stories.sampled_orders import end_of_drawn_order
from tests.causality.stories.story import Story

pytestmark = pytest.mark.thorough

ORDERS: Final = {
    "e-mail re-opened, the agent away": 945,
    "transfer while assigned": 15,
    "snooze and queue change in one update": 105,
    "end and come back": 945,
    "delete": 63,
    "accept by the router": 105,
    "an offer times out": 945,
    "take, reply, close": 105,
    "completed while the customer writes": 15,
    "accept, reply, close": 105,
}
"""The interleavings of each story (docs/proof.md, *Stories of a day*) but two, whose thousands `make stories` takes."""
SHORT_STORIES: Final = tuple(story for story in (*STORIES, *TWO_WAY_STORIES) if story.name in ORDERS)


def test_only_the_two_longest_are_left_to_the_command() -> None:
    left = {story.name for story in (*STORIES, *TWO_WAY_STORIES)} - ORDERS.keys()
    assert left == {"inbound chat", "outbound voice, assigned by a workflow"}


@pytest.mark.parametrize("story", SHORT_STORIES, ids=lambda story: story.name)
def test_every_order_of_a_story(story: Story) -> None:
    found = all_orders(story)
    assert found.interleavings == ORDERS[story.name]
    assert len(found.ends) == story.ends, found.ends
    assert (found.violations, found.waiting) == (0, 0)
    assert (found.conversation_flips_max, found.work_item_flips_max) == (0, 0), found.worst


@pytest.mark.parametrize("story", STORIES, ids=lambda story: story.name)
@settings(max_examples=10)
@given(draws=st.data())
def test_batches_and_repetitions_end_alike(story: Story, draws: st.DataObject) -> None:
    first = end_of_drawn_order(story, lambda _: 0)
    assert end_of_drawn_order(story, lambda choices: draws.draw(st.sampled_from(choices))) == first


def test_policy_legacy_is_seen_to_fail() -> None:
    """The same story, in which `legacy` loses the agent and lets a person see values go and come back."""
    [story] = [story for story in STORIES if story.name == "e-mail re-opened, the agent away"]
    found = all_orders(story, Options(policy=PolicyInUse.LEGACY))
    assert (len(found.ends) > 1, found.violations > 0, found.work_item_flips_max) == (True, True, 1)


class TestFlips:
    PLACE: Final[tuple[str, Field]] = ("w1", "assignee")

    def sight(self, first: str | None) -> Sight:
        return Sight(shown={self.PLACE: first})

    def test_a_value_that_a_sync_takes_away_and_brings_back_is_a_flip(self) -> None:
        sight = self.sight(None).after_write({self.PLACE: "anna"})
        sight = sight.after_sync({self.PLACE: None}).after_sync({self.PLACE: "anna"})
        assert (sight.conversation_flips, sight.work_item_flips, sight.flips) == (0, 1, 1)

    def test_what_follows_an_outside_write_is_none(self) -> None:
        sight = Sight(shown={("c", "paused"): False, ("w1", "paused"): False})
        for value in (True, False):
            sight = sight.after_write({("c", "paused"): value, ("w1", "paused"): not value})
            sight = sight.after_sync({("c", "paused"): value, ("w1", "paused"): value})
        assert sight.flips == 0

    def test_nor_is_a_value_that_a_person_brings_back(self) -> None:
        sight = self.sight("anna").after_sync({self.PLACE: None})
        assert sight.after_write({self.PLACE: "anna"}).flips == 0

    def test_nor_one_that_stays_away(self) -> None:
        assert self.sight("anna").after_sync({self.PLACE: "ben"}).flips == 0
