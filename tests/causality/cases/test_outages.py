"""Cases 1, 2 and 5: events that come after minutes, first sight in an outage, and a foreign clock."""

import pytest

from tests.causality.cases.histories import ASSIGNED_THEN_ACCEPTED, MADE_IN_THE_OUTAGE, accepted_by_a_slow_clock
from tests.causality.stories.orders import all_orders, batches_after_outage
from tests.causality.stories.story import ANNA, BEN


class TestCase1:
    """Anna is assigned, Ben accepts and knows it, the customer writes three minutes later: Ben has it."""

    def test_case_1_after_five_minutes_of_outage_in_every_order_and_batch(self) -> None:
        found = batches_after_outage(ASSIGNED_THEN_ACCEPTED, outage_s=115)
        assert found.interleavings == 13
        assert (found.count_unlike(c_assignee=(BEN,), w1_assignee=BEN), found.violations, found.waiting) == (0, 0, 0)

    def test_case_1_in_every_interleaving(self) -> None:
        found = all_orders(ASSIGNED_THEN_ACCEPTED)
        assert found.interleavings == 15
        assert (found.count_unlike(c_assignee=(BEN,), w1_assignee=BEN), found.violations, found.waiting) == (0, 0, 0)


class TestCase2:
    """Conversation and work-item are made in the outage; a touch of the work-item says nothing of Anna's assignment."""

    def test_case_2_after_the_outage_in_every_order_and_batch(self) -> None:
        found = batches_after_outage(MADE_IN_THE_OUTAGE, outage_s=60)
        assert found.interleavings == 541
        assert found.count_unlike(c_assignee=(ANNA,), w1_assignee=ANNA, c_queue="chat", w1_queue="chat") == 0
        assert (found.violations, found.waiting) == (0, 0)

    def test_case_2_in_every_interleaving(self) -> None:
        found = all_orders(MADE_IN_THE_OUTAGE)
        assert found.interleavings == 945
        assert found.count_unlike(c_assignee=(ANNA,), w1_assignee=ANNA, c_queue="chat", w1_queue="chat") == 0
        assert (found.violations, found.waiting) == (0, 0)


class TestCase5:
    """The first case within seconds; the work-item service's clock is behind, or ahead."""

    @pytest.mark.parametrize("behind_s", [0.0, 61.0, 180.0, -180.0], ids=lambda behind_s: f"{behind_s:g} s behind")
    def test_case_5_in_every_order_and_batch(self, behind_s: float) -> None:
        found = batches_after_outage(accepted_by_a_slow_clock(behind_s), outage_s=0)
        assert found.interleavings == 13
        assert (found.count_unlike(c_assignee=(BEN,), w1_assignee=BEN), found.violations, found.waiting) == (0, 0, 0)
