"""Cases 7, 8, 10 and 15: what a completion or a wrap-up may not overtake, and what it leaves in the timings."""

import pytest

from handlers.options import Options
from tests.causality.cases.histories import (
    COMPLETED_WHILE_THE_CUSTOMER_WRITES,
    ENDED_THEN_TAKEN,
    ENDED_WHILE_QUEUED,
    MESSAGE_TAKE_REPLY_CLOSE,
    TAKE_REPLY_CLOSE,
)
from tests.causality.stories.orders import all_orders
from tests.causality.stories.pair_world import PairWorld
from tests.causality.stories.story import ANNA, Story


@pytest.mark.parametrize(("story", "interleavings"), [(TAKE_REPLY_CLOSE, 15), (MESSAGE_TAKE_REPLY_CLOSE, 105)])
def test_case_7_the_work_item_is_completed_with_its_agent(story: Story, interleavings: int) -> None:
    found = all_orders(story)
    assert found.interleavings == interleavings
    assert found.count_unlike(w1_status="completed", w1_assignee=ANNA, c_status="done", c_assignee=(ANNA,)) == 0
    assert (found.violations, found.waiting) == (0, 0)


def test_case_8_the_customers_message_does_not_end_up_in_a_closed_conversation() -> None:
    found = all_orders(COMPLETED_WHILE_THE_CUSTOMER_WRITES)
    assert found.interleavings == 105
    assert found.count_unlike(c_status="open", w1_status="completed", w2_status="queued") == 0
    assert (found.violations, found.waiting) == (0, 0)


class TestCase10:
    def test_case_10_a_chat_that_ends_while_it_is_queued_stays_in_its_queue(self) -> None:
        found = all_orders(ENDED_WHILE_QUEUED)
        assert found.count_unlike(w1_status="queued", w1_queue="chat", c_ended=True) == 0
        assert (found.violations, found.waiting) == (0, 0)

    def test_case_10_it_goes_to_wrap_up_once_somebody_takes_it(self) -> None:
        found = all_orders(ENDED_THEN_TAKEN)
        assert found.interleavings == 3
        assert found.count_unlike(w1_status="wrap-up", w1_assignee=ANNA, c_assignee=(ANNA,), c_ended=True) == 0
        assert (found.violations, found.waiting) == (0, 0)


@pytest.mark.parametrize("one_batch", [True, False], ids=["one batch", "two batches"])
def test_case_15_an_assignment_and_an_end_leave_the_same_timings(one_batch: bool) -> None:
    world = PairWorld.at_the_start(TAKE_REPLY_CLOSE, Options())
    events = [event for write in TAKE_REPLY_CLOSE.writes if (event := world.write(write)) is not None]
    for batch in [events] if one_batch else [events[:1], events[1:]]:
        world.deliver(batch)
    item = world.item("w1")
    assert (item.status, item.assigned_to, item.completed_at) == ("completed", ANNA, world.clock.now())
    assert item.last_revision is not None
    assert item.handle is not None
    assert (item.last_revision.accepted_at, item.handle.time_ms) == (world.clock.now(), 0)
    assert item.resource_first_assign_time_ms is not None
