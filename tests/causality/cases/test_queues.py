"""Case 9: a work-item in ivr takes no queue from its conversation."""

from tests.causality.cases.histories import IVR_THEN_QUEUED, IVR_WITHOUT_QUEUE
from tests.causality.stories.orders import all_orders


def test_case_9_a_conversation_keeps_its_queue_where_no_rule_hits() -> None:
    found = all_orders(IVR_WITHOUT_QUEUE)
    assert found.interleavings == 3
    assert (found.count_unlike(c_queue="voice", w1_status="ivr"), found.violations, found.waiting) == (0, 0, 0)


def test_case_9_and_takes_that_of_the_rule_that_hits() -> None:
    found = all_orders(IVR_THEN_QUEUED)
    assert found.interleavings == 15
    assert (found.count_unlike(c_queue="sales", w1_queue="sales"), found.violations, found.waiting) == (0, 0, 0)
